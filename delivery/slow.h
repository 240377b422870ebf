/*
 * slow: by whose connection next to nothing goes out, and who of these is given up when all
 * connections are in use and mail waits for one (S2). While connections are free, a slow host is
 * waited for as long as its time lasts. Whoever calls this holds the lock of turns.
 */
#ifndef POSTERN_SLOW_H
#define POSTERN_SLOW_H

#include "delivery/delivery.h"

enum {
	SLOW_TIME = 5000, /* ms: a courier that sent less than SLOW_OCTETS in them is slow */
	SLOW_OCTETS = 500,
};

/* It begins with a lane, and is not slow. */
void slow_begin(struct courier *c);

/*
 * Others wait, and there are no more connections. Slow ones may have half of them; what is beyond
 * that is given up, one for each lane that would have to wait for long, as if its time were over.
 * A queue that moves is no reason: where all is slow, such as this machine or its name server,
 * nobody would be served the sooner for it. To be called again from time to time.
 */
void slow_give_up(struct turns *t);

#endif

/*
 * scan: the messages of a lane, one by one.
 */
#ifndef POSTERN_SCAN_H
#define POSTERN_SCAN_H

#include "delivery/delivery.h"

/*
 * Sees to the messages of the lane that the courier is at, until nobody has not had its turn, or
 * this courier cannot go on. True: it stops in the middle, because it is waited for elsewhere.
 */
bool scan_lane(struct courier *c, struct found *found);

/* Sees to one message. */
void scan_message(struct courier *c, const char *id, struct found *found);

#endif

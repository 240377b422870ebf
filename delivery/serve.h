/*
 * serve: the relay at work. Its first thread hears the bell and knows the times; it does nothing
 * else, so that nothing keeps it from that.
 */
#ifndef POSTERN_SERVE_H
#define POSTERN_SERVE_H

#include "delivery/delivery.h"

/*
 * Serves all lanes of the login until nothing in them is due. `dir` is that of its bell (bell.h).
 * Exit status: 0, or 75 if a lane would look due again at once.
 */
int serve_run(struct relay *r, int dir);

#endif

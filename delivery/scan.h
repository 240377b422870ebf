/*
 * scan: the messages of the lane at work, one by one.
 */
#ifndef POSTERN_SCAN_H
#define POSTERN_SCAN_H

#include "delivery/delivery.h"

/*
 * Goes over the lane at work, oldest message first, until nothing in it is due. `grow` is called
 * when what is left would keep this relay busy for long. *found is about the last time that it
 * went over the lane. False: the spool is in trouble, which was logged, and this relay must not go
 * over the lane again.
 */
bool scan_lane(struct relay *r, void (*grow)(struct relay *r), struct found *found);

#endif

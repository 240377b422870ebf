/*
 * share: one connection for several lanes of a host. Whose mail may go by a connection that was
 * made for somebody else's?
 */
#ifndef POSTERN_SHARE_H
#define POSTERN_SHARE_H

#include "delivery/delivery.h"

/*
 * Goes on with the connection that the courier has from the lane before. False: it will not do for
 * this lane.
 */
bool share_take(struct courier *c);

/* The connection was made for this lane: so it says at the lane at which it may be used next. */
void share_note(struct courier *c);

#endif

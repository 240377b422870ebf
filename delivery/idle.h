/*
 * idle: couriers that wait for mail with their connection open, and what they are told meanwhile.
 * Whoever calls this holds the lock of turns, but for idle_wait.
 */
#ifndef POSTERN_IDLE_H
#define POSTERN_IDLE_H

#include "delivery/delivery.h"

/* It is one of them, behind the others; and is none any more, if it was. It is at a host. */
void idle_begin(struct turns *t, struct courier *c);
void idle_end(struct turns *t, struct courier *c);

/* Until it is told something, its host says something, or its patience ends. */
void idle_wait(const struct courier *c);

/* It is to know this, and waits no more. */
void idle_tell(struct turns *t, struct courier *c, enum turn_word word);

/* One that waits at this lane, or (NULL) at this host. NULL: there is none. */
struct courier *idle_find(const struct turns *t, const struct schedule_lane *l,
	const struct schedule_host *h);

#endif

/*
 * courier: a thread that has a connection at a time, and what it goes from lane to lane with.
 */
#ifndef POSTERN_COURIER_H
#define POSTERN_COURIER_H

#include "delivery/delivery.h"

/* One that does not run yet, with a number of its own (turns.h). NULL with errno set. */
struct courier *courier_new(struct relay *r, int number);

/* Starts the thread, which does what r->visit says. 0 or -errno. */
int courier_start(struct courier *c);

/* Waits for the end of the thread, if it was started. */
void courier_free(struct courier *c);

#endif

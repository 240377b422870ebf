/*
 * visit: what a courier does, from lane to lane.
 */
#ifndef POSTERN_VISIT_H
#define POSTERN_VISIT_H

#include "delivery/delivery.h"

/* All that a courier does, from its first lane to turns_end: r->visit of serve.h. */
void visit_all(struct courier *c);

/* Sees to one message, in the calling thread, and to nothing else. */
void visit_alone(struct courier *c, const char *lane, const char *id);

#endif

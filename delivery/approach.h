/*
 * approach: how a host is met: which TLS the connection must have, and for which name,
 * whether we log in, and how much goes at once.
 */
#ifndef POSTERN_APPROACH_H
#define POSTERN_APPROACH_H

#include "delivery/delivery.h"

/*
 * The terms of a connection to r->work.to, by the settings of the lane and by what is remembered
 * of the host: what failed with it lately is not tried again.
 */
void approach_set(struct relay *r);

#endif

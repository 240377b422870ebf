/*
 * approach: how a host is met: which TLS the connection must have, and for which name,
 * whether we log in, and how much goes at once.
 */
#ifndef POSTERN_APPROACH_H
#define POSTERN_APPROACH_H

#include "delivery/delivery.h"

/* What is known of the lane at work by which TLS is decided; which host it is about is not. */
struct policy_facts approach_facts(const struct courier *c);

/*
 * The terms of a connection to c->work.to, by the settings of the lane and by what is remembered
 * of the host: what failed with it lately is not tried again.
 */
void approach_set(struct courier *c);

/*
 * The connection that there is goes on, for a lane whose host is the same (c->work.to). What was
 * proved for another lane does not count for it. False: it cannot, because the certificate must be
 * good for this lane, and is not.
 */
bool approach_again(struct courier *c);

#endif

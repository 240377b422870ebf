/*
 * tlsnotes: what came of TLS with the hosts of a lane is counted, for the report that the lane's
 * domain may ask for (report/tlsrpt.h): under the policy that was asked of the host.
 *
 * Once for each connection that is made for the lane, whatever tries it takes. What says nothing of
 * how mail goes is not counted: a connection for a report, or for mail that may go without.
 */
#ifndef POSTERN_TLSNOTES_H
#define POSTERN_TLSNOTES_H

#include "delivery/delivery.h"

/* With c->work.to, by c->policy. `greeted`: it is fit for mail. */
void tlsnotes_session(const struct courier *c, bool greeted);

/*
 * The hosts of the lane were looked for, and some are left out, because what they must have could
 * not be had: c->why, or c->work.exchangers.why says so.
 */
void tlsnotes_hosts(const struct courier *c, bool barred);

/* The policy of MTA-STS cannot be fetched; *e is the one in force, NULL: none is. */
void tlsnotes_fetch(const struct relay *r, const char *domain, const struct stscache_entry *e,
	enum tls_result result, const struct buf *why);

#endif

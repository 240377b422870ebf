/*
 * route: the hosts that mail of a lane may and should go to.
 *
 * Without a route of the configuration they are the domain's mail exchangers. RFC 5321 section 5.1: if
 * we are one of them ourselves, only those of better preference count. And an address that no stranger
 * may make us talk to (loopback, private, our own) is left out, unless the configuration names it.
 *
 * A route (conf/routes.h) is such a name: its hosts may be private or on loopback. Only what would come
 * back to us is left out, and what is no address of a host. Its failures are the operator's: none is for
 * good.
 *
 * The address checked here is the one connected to (H3).
 */
#ifndef POSTERN_ROUTE_H
#define POSTERN_ROUTE_H

#include "dns.h"
#include "conf/conf.h"
#include "lib/outcome.h"

/*
 * Finds the hosts of `lane`, for whose route `conf` is. DONE: *out holds at least one, in the order to
 * try, those of equal preference being equal. SOFT or HARD: `why` says the reason, with an enhanced
 * status code in front for HARD. *out is to be freed in every case.
 */
enum outcome route_find(struct resolver *r, const struct conf *conf, const char *lane,
	struct exchangers *out, struct buf *why);

#endif

/*
 * destinations: the hosts that mail of a lane may and should go to.
 *
 * Without a route of the configuration they are the domain's mail exchangers. RFC 5321 section
 * 5.1: if this host is one of them, only those of better preference count. And an address that no
 * stranger may make us talk to (loopback, private, our own) is left out, unless
 * allow_destinations holds it.
 *
 * The hosts of a route (conf/routes.h) were named by the operator: they may be private or on
 * loopback. Left out are only those from which mail would come back to us, and addresses of no
 * host (0.0.0.0, multicast). What is wrong with a route is the operator's to mend, so no failure
 * of it is HARD.
 *
 * The address checked here is the one connected to (H3).
 */
#ifndef POSTERN_DESTINATIONS_H
#define POSTERN_DESTINATIONS_H

#include "conf/conf.h"
#include "dns.h"
#include "lib/outcome.h"

/*
 * Finds the hosts of `lane`; `way` is how its mail is delivered. DONE: *out holds at least one, in
 * the order to try, those of equal preference being equal. SOFT or HARD: `why` says the reason,
 * with an enhanced status code in front for HARD. *out is to be freed in every case.
 */
enum outcome destinations_find(struct resolver *r, const struct conf *conf,
	const struct conf_delivery *way, const char *lane, struct exchangers *out, struct buf *why);

/*
 * Leaves in *x, addresses of a host that the DNS named, those that may be connected to. False:
 * there is none.
 */
bool destinations_vet(const struct conf *conf, const struct conf_delivery *way,
	struct exchangers *x);

#endif

/*
 * route: which of a domain's exchangers we may and should connect to.
 *
 * RFC 5321 section 5.1: if we are one of them ourselves, only those of better preference count.
 * And an address that no stranger may make us talk to (loopback, private, our own) is left out,
 * unless the configuration names it. The address checked here is the one connected to (H3).
 */
#ifndef POSTERN_ROUTE_H
#define POSTERN_ROUTE_H

#include "../dns.h"
#include "../lib/conf.h"
#include "../lib/outcome.h"

/*
 * Finds the exchangers of `domain`. DONE: *out holds at least one, in the order to try. SOFT or
 * HARD: `why` says the reason, with an enhanced status code in front for HARD. *out is to be freed
 * in every case.
 */
enum outcome route_find(struct resolver *r, const struct conf *conf, const char *domain,
	struct exchangers *out, struct buf *why);

#endif

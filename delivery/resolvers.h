/*
 * resolvers: one for each look-up that goes on at the same time; they are kept, with what they know
 * of their servers.
 */
#ifndef POSTERN_RESOLVERS_H
#define POSTERN_RESOLVERS_H

#include "conf/conf.h"
#include "dns.h"

struct resolvers;

/*
 * For these nameservers, with a file of hosts (which is opened now, for later it may be out of
 * reach). NULL with errno set.
 */
struct resolvers *resolvers_open(const struct conf_servers *servers, const char *hosts,
	const char *hostname);

/*
 * Whose word counts that an answer was validated (resolver_trust in dns/resolver.h). Before the
 * first is taken. Does it of all of them?
 */
bool resolvers_trust(struct resolvers *r, const struct netlist *vouchers);

/* One that nobody uses; NULL: there is no memory. From any thread. */
struct resolver *resolvers_take(struct resolvers *r);
void resolvers_give_back(struct resolvers *r, struct resolver *one);

/*
 * These nameservers for each look-up that begins from now on. From any thread. False: they are no
 * others.
 */
bool resolvers_change(struct resolvers *r, const struct conf_servers *servers);

void resolvers_close(struct resolvers *r);

#endif

#include "conf/routes.h"

#include <stdio.h>

#include "mail/address.h"
#include "mail/match.h"

static bool
matches(const struct route *r, struct span sender, const char *domain)
{
	return (r->domains == NULL || match_domain(r->domains, span_of(domain))) &&
		(r->senders == NULL || match_sender(r->senders, sender));
}

static const struct route *
find(const struct conf *conf, struct span sender, const char *domain)
{
	for (const struct route *r = conf->routes; r != NULL; r = r->next)
		if (matches(r, sender, domain))
			return r;
	return NULL;
}

void
routes_lane(const struct conf *conf, struct span sender, char lane[static LANE_NAME_SIZE])
{
	const struct route *r = find(conf, sender, lane);
	if (r != NULL)
		snprintf(lane, LANE_NAME_SIZE, LANE_ROUTE "%s", r->name);
}

bool
routes_reach_postmaster(const struct conf *conf, struct span sender)
{
	char lane[LANE_NAME_SIZE];
	if (!conf->who.no_postmaster)
		return true;
	if (lane_name_of(span_of(conf->who.hostname), lane) < 0)
		return false;
	if (match_domain(conf->receive.relay_domains, span_of(lane)))
		return true;
	routes_lane(conf, sender, lane);
	return lane_name_route(span_of(lane)).n > 0;
}

bool
routes_lane_of(const struct conf *conf, struct span mailbox, char lane[static LANE_NAME_SIZE])
{
	struct address to;
	if (address_mailbox(mailbox, &to) < 0 || lane_name_of(to.domain, lane) < 0)
		return false;
	routes_lane(conf, span_of(""), lane);
	return true;
}

/* May strangers send there? Not to be sent on, as some hosts do "a%b@c" (session/transaction.c). */
static bool
is_relayed(const struct conf *conf, const struct address *to, const char *domain)
{
	for (size_t i = 0; i < to->local.n; i++)
		if (strchr("%!@:", to->local.p[i]) != NULL)
			return false;
	return match_domain(conf->receive.relay_domains, span_of(domain));
}

bool
routes_open_to(const struct conf *conf, struct span mailbox)
{
	static const struct span all = { "*", 1 };
	struct address to;
	char domain[LANE_NAME_SIZE];
	if (address_mailbox(mailbox, &to) < 0 || lane_name_of(to.domain, domain) < 0)
		return false;
	const struct route *r = find(conf, span_of(""), domain);
	return r == NULL || r->domains == NULL || match_domain(r->domains, all) ||
		is_relayed(conf, &to, domain);
}

#include "conf/routes.h"

#include <stdio.h>

#include "mail/match.h"

static bool
matches(const struct conf *own, struct span sender, const char *domain)
{
	return (own->domains == NULL || match_domain(own->domains, span_of(domain))) &&
		(own->senders == NULL || match_sender(own->senders, sender));
}

void
routes_lane(const struct conf *conf, struct span sender, char lane[static LANE_NAME_SIZE])
{
	for (const struct route *r = conf->routes; r != NULL; r = r->next) {
		if (!matches(&r->own, sender, lane))
			continue;
		snprintf(lane, LANE_NAME_SIZE, LANE_ROUTE "%s", r->name);
		return;
	}
}

const struct route *
routes_find(const struct conf *conf, struct span name)
{
	const struct route *r = conf->routes;
	while (r != NULL && !span_eq(name, span_of(r->name)))
		r = r->next;
	return r;
}

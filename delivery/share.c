#include "delivery/share.h"

#include <stdio.h>

#include "delivery/approach.h"
#include "delivery/meet.h"
#include "delivery/stslane.h"
#include "delivery/tour.h"
#include "lib/cleanup.h"
#include "mail/lane_name.h"
#include "process/log.h"

static bool
has_route(const char *lane)
{
	return lane_name_route(span_of(lane)).n > 0;
}

static bool
is_same_host(const struct exchanger *a, const struct exchanger *b)
{
	return !a->socket && !b->socket && a->port == b->port && a->tls_first == b->tls_first &&
		memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

/* The host that is connected to, as it was found for this lane; NULL: it is none of the best. */
static const struct exchanger *
find_same_host(struct courier *c)
{
	const struct exchangers *x = &c->work.exchangers;
	if (c->turn.offer != NULL)
		return is_same_host(c->turn.offer, &c->to) ? c->turn.offer : NULL;
	if (meet_find_hosts(c) != DONE)
		return NULL;
	for (size_t i = 0; i < x->n && x->v[i].preference == x->v[0].preference; i++)
		if (is_same_host(&x->v[i], &c->to))
			return &x->v[i];
	return NULL;
}

/*
 * Will the connection do that there is? It was made for this lane; or for another one that is
 * delivered by the same settings, to a host that was found for this lane, too, and where a
 * certificate must be good, it is for this lane as well.
 */
static bool
will_do(struct courier *c)
{
	const char *lane = c->tour->lane.name;
	stslane_recall(c); /* its hosts may not be looked up */
	if (strcmp(lane, c->for_lane) == 0) {
		c->work.to = c->to;
		return approach_again(c); /* another one may have had it meanwhile */
	}
	if (c->for_lane[0] == '[' || has_route(lane) || has_route(c->for_lane))
		return false;
	const struct exchanger *same = find_same_host(c);
	if (same == NULL)
		return false;
	c->work.to = *same;
	return approach_again(c);
}

/* It is another lane's; what it was trusted for then may be less than now. */
static void
log_sharing(const struct courier *c)
{
	auto_buf how = buf_new(EVENT_SIZE);
	struct log_fields f = { .event = "host_connected", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	meet_describe(c, &how);
	log_event(LOG_INFO, &f, "lane %s: by the connection to %s, %.*s", c->tour->lane.name,
		c->link.terms.name, (int)how.n, how.n > 0 ? how.p : "");
}

bool
share_take(struct courier *c)
{
	if (!will_do(c))
		return false;
	if (strcmp(c->tour->lane.name, c->for_lane) != 0)
		log_sharing(c);
	c->work.met = true;
	return true;
}

void
share_note(struct courier *c)
{
	c->work.met = true;
	snprintf(c->for_lane, sizeof(c->for_lane), "%s", c->tour->lane.name);
}

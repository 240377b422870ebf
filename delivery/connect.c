#include "delivery.h"

#include <errno.h>
#include <stdio.h>

#include "../lib/clock.h"
#include "../lib/log.h"
#include "../lib/routes.h"
#include "dial.h"
#include "hosts.h"
#include "race.h"
#include "route.h"

enum { LOST_IN_A_ROW = 3 }; /* connections lost in transactions before the host counts as down */

static void
give_lane_up(struct relay *r, enum outcome o)
{
	r->verdict = o;
	if (o != SOFT || r->extra) /* that there is no room for one more says nothing about the host */
		return;
	char why[EVENT_SIZE];
	escape_text(why, sizeof(why), buf_span(&r->why));
	int64_t next = retry_after(r, r->state.attempts);
	r->state.attempts++;
	r->state.down = true;
	r->state.next = next;
	int err = lane_set_down(&r->lane, r->state.attempts, next, why);
	struct log_fields f = { .event = "deferred", .lane = r->lane.name };
	log_event(LOG_NOTICE, &f, "lane %s: %s; next try in %lld s%s%s", r->lane.name, why,
		(long long)(next - clock_wall()), err < 0 ? "; cannot write that down: " : "",
		err < 0 ? strerror(-err) : "");
}

void
use_route(struct relay *r)
{
	conf_for_route(&r->conf, &r->common,
		routes_find(&r->common, address_lane_route(span_of(r->lane.name))));
}

/* Several messages at once, unless that went wrong here a while ago. */
static void
set_window(struct relay *r)
{
	struct host h;
	hosts_recall(r->hosts, &r->to.addr, r->to.port, r->conf.remember_hosts, &h);
	r->client.window = h.lockstep != 0 ? 1 : (int)r->conf.window_messages;
}

/* Whose hosts the lane's mail goes to; once for each lane. */
static enum outcome
find_route(struct relay *r)
{
	if (r->routed)
		return DONE;
	enum outcome o = route_find(r->resolver, &r->conf, r->lane.name, &r->exchangers, &r->why);
	r->routed = o == DONE;
	return o;
}

/* Connects to the host that greets first. */
static enum outcome
connect_to_any(struct relay *r)
{
	struct race race;
	buf_reset(&r->why);
	enum outcome o = find_route(r);
	if (o != DONE)
		return o;
	o = SOFT;
	if (race_begin(&race, &r->conf, r->hosts, &r->exchangers) < 0)
		return SOFT;
	for (int fd; (fd = race_next(&race, &r->to, &r->why)) >= 0;) {
		dial_name(&r->to, r->client.name);
		o = client_begin(&r->client, &r->conf, fd);
		if (o == DONE)
			break;
		buf_reset(&r->why);
		buf_printf(&r->why, "%s: %.*s", r->client.name, (int)r->client.text.n,
			r->client.text.p);
		hosts_failed(r->hosts, &r->to.addr, r->to.port, r->conf.remember_hosts);
	}
	race_end(&race);
	if (o == DONE)
		set_window(r);
	return o;
}

bool
connected(struct relay *r)
{
	if (r->client.fd >= 0)
		return true;
	if (r->lost >= LOST_IN_A_ROW) {
		buf_reset(&r->why);
		buf_printf(&r->why, "%s: %.*s", r->client.name, (int)r->client.text.n,
			r->client.text.p);
		give_lane_up(r, SOFT);
		return false;
	}
	r->lost++;
	enum outcome o = connect_to_any(r);
	if (o != DONE) {
		give_lane_up(r, o);
		return false;
	}
	if (r->state.down) {
		lane_set_up(&r->lane);
		(void)lane_settle(&r->lane);
		r->state = (struct lane_state){ 0 };
	}
	return true;
}

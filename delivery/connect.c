#include "delivery/delivery.h"

#include <errno.h>
#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"
#include "conf/routes.h"
#include "sending/begin.h"
#include "sending/dial.h"
#include "delivery/hosts.h"
#include "delivery/race.h"
#include "delivery/destinations.h"
#include "mail/lane_name.h"

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

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Does this route (NULL: none) need what we hold? */
static bool
fits_route(const struct relay *r, const struct route *route)
{
	struct conf c;
	conf_for_route(&c, &r->common, route);
	return same_text(c.delivery_user, r->login_conf.delivery_user) &&
		same_text(c.delivery_password_file, r->login_conf.delivery_password_file) &&
		same_text(c.delivery_token_command, r->login_conf.delivery_token_command);
}

bool
credentials_fit(const struct relay *r, const char *lane)
{
	return r->common.routes == NULL ||
		fits_route(r, routes_find(&r->common, lane_name_route(span_of(lane))));
}

bool
credentials_vary(const struct relay *r)
{
	bool vary = !fits_route(r, NULL);
	for (const struct route *route = r->common.routes; route != NULL; route = route->next)
		vary = vary || !fits_route(r, route);
	return vary;
}

void
use_route(struct relay *r)
{
	conf_for_route(&r->conf, &r->common,
		routes_find(&r->common, lane_name_route(span_of(r->lane.name))));
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

void
mark_host(const struct relay *r, enum host_event e)
{
	hosts_mark(r->hosts, &r->to.addr, r->to.port, r->conf.remember_hosts, e);
}

/* ---- one host ------------------------------------------------------------------------------ */

/* Whom the mail is for, as nobody but its sender or the operator said it; "" if only the DNS did. */
static void
name_target(const struct relay *r, struct link_terms *t)
{
	bool route = lane_name_route(span_of(r->lane.name)).n > 0;
	if (r->to.host[0] == '[')
		netaddr_text(&r->to.addr, t->target);
	else
		snprintf(t->target, sizeof(t->target), "%s",
			!route ? r->lane.name : r->to.named ? r->to.host : "");
}

/* A login is for hosts that the operator named; whom the DNS names gets none, though he asks (S1). */
static bool
may_log_in(const struct relay *r)
{
	return r->login.user != NULL && r->to.named;
}

/* Nothing is asked for that needs EHLO. */
static bool
helo_will_do(const struct relay *r)
{
	enum conf_delivery_tls policy = r->conf.delivery_tls;
	return (policy == DELIVERY_TLS_MAY || policy == DELIVERY_TLS_NONE) && !may_log_in(r) &&
		r->conf.protocol == PROTOCOL_SMTP;
}

/* How we want to talk to the host that won: what went wrong with it a while ago is not tried again. */
static void
set_terms(struct relay *r)
{
	struct link_terms *t = &r->link.terms;
	struct host h;
	hosts_recall(r->hosts, &r->to.addr, r->to.port, r->conf.remember_hosts, &h);
	bool clear = r->conf.delivery_tls == DELIVERY_TLS_MAY && h.clear != 0;
	*t = (struct link_terms){
		.conf = &r->conf,
		.policy = clear ? DELIVERY_TLS_NONE : r->conf.delivery_tls,
		.implicit = r->conf.delivery_tls_implicit == CONF_YES,
		.helo = h.helo != 0 && helo_will_do(r),
		.tls_setup = &r->tls,
		.peer = { .dir = r->hosts, .addr = r->to.addr, .port = r->to.port,
			.host = r->to.host[0] == '[' ? t->target : r->to.host,
			.age = r->conf.remember_hosts },
		.login = may_log_in(r) ? &r->login : NULL,
		.window = h.lockstep != 0 ? 1 : (int)r->conf.window_messages,
	};
	dial_name(&r->to, t->name);
	name_target(r, t);
}

static void
note_failure(struct relay *r)
{
	buf_reset(&r->why);
	buf_printf(&r->why, "%s: %.*s", r->link.terms.name, (int)r->link.text.n, r->link.text.p);
}

/* To the host that won once more. An fd, or -1. */
static int
connect_again(struct relay *r)
{
	struct exchanger to = r->to;
	struct exchangers one = { .v = &to, .n = 1 };
	struct race race;
	if (race_begin(&race, &r->conf, r->hosts, &one) < 0)
		return -1;
	race.silent = r->link.terms.implicit;
	int fd = race_next(&race, &r->to, &r->why);
	race_end(&race);
	return fd;
}

/* The host's TLS does not work, and the policy lets us do without, for a while. */
static void
do_without(struct relay *r)
{
	struct log_fields f = { .event = "clear", .lane = r->lane.name, .relay = r->link.terms.name };
	mark_host(r, HOST_CLEAR);
	r->link.terms.policy = DELIVERY_TLS_NONE;
	log_event(LOG_NOTICE, &f, "lane %s: %.*s; in clear from now on", r->lane.name, (int)r->why.n,
		r->why.p);
}

/* Talks to the host that won; on a second connection if that is worth it. */
static enum outcome
begin(struct relay *r, int fd)
{
	set_terms(r);
	enum outcome o = begin_link(&r->link, fd);
	while (o != DONE && r->link.proof.again != AGAIN_NOT) {
		note_failure(r);
		if (r->link.proof.again == AGAIN_CLEAR)
			do_without(r);
		r->link.terms.fresh = true;
		fd = connect_again(r);
		if (fd < 0)
			return o;
		o = begin_link(&r->link, fd);
	}
	if (o != DONE)
		note_failure(r);
	else if (r->link.host.helo && !r->link.terms.helo) /* or it would be kept up for ever */
		mark_host(r, HOST_HELO);
	return o;
}

static void
log_connection(const struct relay *r)
{
	auto_buf how = buf_new(EVENT_SIZE);
	struct log_fields f = { .event = "connected", .lane = r->lane.name, .relay = r->link.terms.name };
	link_describe(&r->link, &how);
	log_event(LOG_INFO, &f, "lane %s: connected to %s, %.*s", r->lane.name, r->link.terms.name, (int)how.n,
		how.p);
}

/* That is for the operator to mend. */
static void
log_refusal(const struct relay *r)
{
	struct log_fields f = { .event = "refused", .lane = r->lane.name, .relay = r->link.terms.name };
	log_event(LOG_ERR, &f, "lane %s: cannot authenticate as %s: %.*s", r->lane.name,
		r->login.user, (int)r->why.n, r->why.p);
}

/* ---- any host ------------------------------------------------------------------------------ */

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
	if (r->unable.n > 0) {
		buf_add(&r->why, buf_span(&r->unable));
		return SOFT;
	}
	if (race_begin(&race, &r->conf, r->hosts, &r->exchangers) < 0)
		return SOFT;
	race.silent = r->conf.delivery_tls_implicit == CONF_YES;
	for (int fd; (fd = race_next(&race, &r->to, &r->why)) >= 0;) {
		o = begin(r, fd);
		if (o == DONE)
			break;
		if (r->link.proof.refused)
			log_refusal(r);
		mark_host(r, HOST_FAILED);
	}
	race_end(&race);
	if (o == DONE)
		log_connection(r);
	return o;
}

bool
connected(struct relay *r)
{
	if (sending_is_open(&r->link))
		return true;
	link_quit(&r->link);
	if (r->lost >= LOST_IN_A_ROW) {
		note_failure(r);
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

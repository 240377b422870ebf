#include "delivery/connect.h"

#include <errno.h>
#include <stdio.h>

#include "conf/routes.h"
#include "delivery/destinations.h"
#include "delivery/race.h"
#include "delivery/settle.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/lane_name.h"
#include "process/log.h"
#include "sending/begin.h"
#include "sending/dial.h"

enum { LOST_IN_A_ROW = 3 }; /* connections lost in transactions before the host counts as down */

/*
 * Nothing more of the lane is tried. The rest of its mail waits if o is SOFT, and fails if it is
 * HARD.
 */
static void
give_lane_up(struct relay *r, enum outcome o)
{
	r->work.verdict = o;
	/*
	 * An extra relay that gets no connection may be one too many for the host: the lane is
	 * not down.
	 */
	if (o != SOFT || r->work.extra)
		return;
	static const char *const remark[] = { [OUTAGE_NONE] = "",
		[OUTAGE_LIKELY] = " (this host has no route to the world)",
		[OUTAGE_SURE] = " (this host is cut off: not counted)" };
	char why[EVENT_SIZE];
	buf_escape_text(why, sizeof(why), buf_span(&r->why));
	int64_t next = settle_retry_after(r, r->work.state.attempts);
	if (r->work.outage != OUTAGE_NONE)
		next = clock_earlier(next, clock_wall() + OUTAGE_RETRY);
	if (r->work.outage != OUTAGE_SURE)
		r->work.state.attempts++;
	r->work.state.down = true;
	r->work.state.next = next;
	int err = lane_set_down(&r->work.lane, r->work.state.attempts, next, why);
	struct log_fields f = { .event = "deferred", .lane = r->work.lane.name };
	log_event(LOG_NOTICE, &f, "lane %s: %s%s; next try in %lld s%s%s", r->work.lane.name, why,
		remark[r->work.outage],
		(long long)(next - clock_wall()), err < 0 ? "; cannot write that down: " : "",
		err < 0 ? strerror(-err) : "");
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Does this route (NULL: none) need the login that was read? */
static bool
fits_route(const struct relay *r, const struct route *route)
{
	struct conf_delivery d;
	conf_delivery_of(&d, &r->common, route);
	return same_text(d.user, r->login_is.user) &&
		same_text(d.password_file, r->login_is.password_file) &&
		same_text(d.token_command, r->login_is.token_command);
}

bool
connect_login_fits(const struct relay *r, const char *lane)
{
	return r->common.routes == NULL ||
		fits_route(r, routes_find(&r->common, lane_name_route(span_of(lane))));
}

bool
connect_logins_vary(const struct relay *r)
{
	bool vary = !fits_route(r, NULL);
	for (const struct route *route = r->common.routes; route != NULL; route = route->next)
		vary = vary || !fits_route(r, route);
	return vary;
}

void
connect_use_route(struct relay *r)
{
	conf_delivery_of(&r->work.delivery, &r->common,
		routes_find(&r->common, lane_name_route(span_of(r->work.lane.name))));
}

/* Finds the hosts of the lane; once for each lane. */
static enum outcome
find_hosts(struct relay *r)
{
	if (r->work.routed)
		return DONE;
	struct work *w = &r->work;
	enum outcome o = destinations_find(r->resolver, &r->common, &w->delivery,
		w->lane.name, &w->exchangers, &r->why);
	w->routed = o == DONE;
	if (o == SOFT)
		w->outage = w->exchangers.unreached ? OUTAGE_SURE
			: outage_is_now()           ? OUTAGE_LIKELY
						    : OUTAGE_NONE;
	return o;
}

void
connect_mark_host(const struct relay *r, enum host_event e)
{
	hosts_mark(&r->hosts, &r->work.to, e);
}

/* ---- one host ------------------------------------------------------------------------------ */

/*
 * The name that a certificate must be for where one is relied on (REQUIRETLS, passwords): the
 * domain of the mail, or the host that the route names. Never a name that only the DNS told: ""
 * then, which no certificate is for.
 */
static void
name_target(const struct relay *r, struct link_terms *t)
{
	bool route = lane_name_route(span_of(r->work.lane.name)).n > 0;
	if (r->work.to.host[0] == '[')
		netaddr_text(&r->work.to.addr, t->target);
	else
		snprintf(t->target, sizeof(t->target), "%s",
			!route ? r->work.lane.name : r->work.to.named ? r->work.to.host : "");
}

/*
 * A login is for hosts that the operator named; a host that the DNS names gets none, though it
 * asks (S1).
 */
static bool
may_log_in(const struct relay *r)
{
	return r->login.user != NULL && r->work.to.named;
}

/* Is nothing asked for that needs EHLO? */
static bool
helo_will_do(const struct relay *r)
{
	enum conf_delivery_tls policy = r->work.delivery.tls;
	return (policy == DELIVERY_TLS_MAY || policy == DELIVERY_TLS_NONE) && !may_log_in(r) &&
		r->work.delivery.protocol == PROTOCOL_SMTP;
}

/*
 * What the connection to the host that won is to be like: what failed with that host lately is
 * not tried again.
 */
static void
set_terms(struct relay *r)
{
	struct link_terms *t = &r->link.terms;
	struct host_record h;
	hosts_recall(&r->hosts, &r->work.to, &h);
	bool clear = r->work.delivery.tls == DELIVERY_TLS_MAY && h.clear != 0;
	*t = (struct link_terms){
		.conf = &r->work.delivery,
		.hostname = r->common.who.hostname,
		.timeout_tls = r->common.tls.timeout,
		.min_data_rate = r->common.receive.min_data_rate,
		.policy = clear ? DELIVERY_TLS_NONE : r->work.delivery.tls,
		.implicit = r->work.to.tls_first,
		.helo = h.helo != 0 && helo_will_do(r),
		.tls_setup = &r->tls,
		.peer = { .dir = r->hosts.dir, .addr = r->work.to.addr, .port = r->work.to.port,
			.host = r->work.to.host[0] == '[' ? t->target : r->work.to.host,
			.age = r->hosts.age },
		.login = may_log_in(r) ? &r->login : NULL,
		.window = h.lockstep != 0 ? 1 : (int)r->common.relay.window_messages,
		.window_size = (uint64_t)r->common.relay.window_size,
	};
	dial_name(&r->work.to, t->name);
	name_target(r, t);
}

static void
note_failure(struct relay *r)
{
	buf_reset(&r->why);
	buf_printf(&r->why, "%s: %.*s", r->link.terms.name, (int)r->link.text.n, r->link.text.p);
}

/* A second connection to the host that won. An fd, or -1. */
static int
connect_again(struct relay *r)
{
	struct exchanger to = r->work.to;
	struct exchangers one = { .v = &to, .n = 1 };
	struct race race;
	if (race_begin(&race, &r->work.delivery, &r->hosts, &one) < 0)
		return -1;
	int fd = race_next(&race, &r->work.to, &r->why);
	race_end(&race);
	return fd;
}

/*
 * The host's TLS does not work, and the policy allows to do without: so for a while it is not
 * tried.
 */
static void
do_without(struct relay *r)
{
	struct log_fields f = { .event = "clear", .lane = r->work.lane.name,
		.relay = r->link.terms.name };
	connect_mark_host(r, HOST_CLEAR);
	r->link.terms.policy = DELIVERY_TLS_NONE;
	log_event(LOG_NOTICE, &f, "lane %s: %.*s; in clear from now on", r->work.lane.name,
		(int)r->why.n, r->why.p);
}

/*
 * Begins to talk to the host that won; by a second connection if link_begin says that this is
 * worth it.
 */
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
	/* What was read from hosts/ is not written again, or EHLO would never be tried again. */
	if (o != DONE)
		note_failure(r);
	else if (r->link.host.helo && !r->link.terms.helo)
		connect_mark_host(r, HOST_HELO);
	return o;
}

static void
log_connection(const struct relay *r)
{
	auto_buf how = buf_new(EVENT_SIZE);
	struct log_fields f = { .event = "connected", .lane = r->work.lane.name,
		.relay = r->link.terms.name };
	link_describe(&r->link, &how);
	log_event(LOG_INFO, &f, "lane %s: connected to %s, %.*s", r->work.lane.name,
		r->link.terms.name, (int)how.n, how.p);
}

/* A login that the host refuses: for the operator to mend. */
static void
log_refusal(const struct relay *r)
{
	struct log_fields f = { .event = "refused", .lane = r->work.lane.name,
		.relay = r->link.terms.name };
	log_event(LOG_ERR, &f, "lane %s: cannot authenticate as %s: %.*s", r->work.lane.name,
		r->login.user, (int)r->why.n, r->why.p);
}

/* ---- any host ------------------------------------------------------------------------------ */

/* Connects to the host that greets first, of those of the lane. */
static enum outcome
connect_to_any(struct relay *r)
{
	struct race race;
	buf_reset(&r->why);
	enum outcome o = find_hosts(r);
	if (o != DONE)
		return o;
	o = SOFT;
	if (r->unable.n > 0) {
		buf_add(&r->why, buf_span(&r->unable));
		return SOFT;
	}
	if (race_begin(&race, &r->work.delivery, &r->hosts, &r->work.exchangers) < 0)
		return SOFT;
	for (int fd; (fd = race_next(&race, &r->work.to, &r->why)) >= 0;) {
		o = begin(r, fd);
		if (o == DONE)
			break;
		if (r->link.proof.refused)
			log_refusal(r);
		connect_mark_host(r, HOST_FAILED);
	}
	bool no_way = o != DONE && race.started > 0 && race.no_route == race.started;
	r->work.outage = no_way && outage_is_now() ? OUTAGE_SURE : OUTAGE_NONE;
	race_end(&race);
	if (o == DONE)
		log_connection(r);
	return o;
}

enum outcome
connect_lane(struct relay *r)
{
	if (sending_is_open(&r->link))
		return DONE;
	link_quit(&r->link);
	if (r->work.lost >= LOST_IN_A_ROW) {
		note_failure(r);
		give_lane_up(r, SOFT);
		return SOFT;
	}
	r->work.lost++;
	enum outcome o = connect_to_any(r);
	if (o != DONE) {
		give_lane_up(r, o);
		return o;
	}
	if (r->work.state.down) {
		lane_set_up(&r->work.lane);
		(void)lane_settle(&r->work.lane);
		r->work.state = (struct lane_state){ 0 };
	}
	return DONE;
}

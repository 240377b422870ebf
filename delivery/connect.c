#include "delivery/connect.h"

#include <errno.h>
#include <stdio.h>

#include "conf/routes.h"
#include "delivery/approach.h"
#include "delivery/destinations.h"
#include "delivery/race.h"
#include "delivery/settle.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/lane_name.h"
#include "process/log.h"
#include "sending/begin.h"

enum { LOST_IN_A_ROW = 3 }; /* messages that come to nothing before the lane counts as down */

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

/* Remembers that this happened with the host connected to. */
static void
mark_host(const struct relay *r, enum host_event e)
{
	hosts_mark(&r->hosts, &r->work.to, e);
}

void
connect_heed_refusals(struct relay *r, struct span why)
{
	struct link_flow *flow = &r->link.flow;
	struct log_fields f = { .event = "refused", .lane = r->work.lane.name,
		.relay = r->link.terms.name };
	unsigned news = flow->about & ~flow->heeded;
	flow->heeded |= flow->about;
	if ((news & REFUSAL_FALLBACK) != 0) {
		hosts_unmark(&r->hosts, &r->work.to, HOST_CLEAR);
		hosts_unmark(&r->hosts, &r->work.to, HOST_HELO);
	}
	if ((news & REFUSAL_US) != 0)
		log_event(LOG_ERR, &f,
			"lane %s: it is not the mail that is refused, so it waits: %.*s",
			r->work.lane.name, (int)why.n, why.n > 0 ? why.p : "");
}

void
connect_learn(struct relay *r)
{
	static const struct {
		unsigned lesson;
		enum host_event event;
	} rows[] = {
		{ LESSON_SINGLE, HOST_SINGLE },
		{ LESSON_LOCKSTEP, HOST_LOCKSTEP },
		{ LESSON_DISCARDS, HOST_DISCARDS },
		{ LESSON_NO_CHUNKS, HOST_UNCHUNKED },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((r->link.lessons & rows[i].lesson) != 0)
			mark_host(r, rows[i].event);
	r->work.lessons |= r->link.lessons;
	r->link.lessons = 0;
}

/* ---- one host ------------------------------------------------------------------------------ */

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
	race.extra = r->work.extra;
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
	mark_host(r, HOST_CLEAR);
	r->link.terms.policy = DELIVERY_TLS_NONE;
	r->link.terms.clear = true;
	log_event(LOG_NOTICE, &f, "lane %s: %.*s; in clear from now on", r->work.lane.name,
		(int)r->why.n, r->why.p);
}

/* What the next connection to the same host does without, after this one has failed. */
static void
ask_for_less(struct relay *r)
{
	struct link_terms *t = &r->link.terms;
	enum again again = r->link.proof.again;
	t->fresh = true;
	t->nameless = t->nameless || again == AGAIN_NAMELESS;
	t->helo = t->helo || again == AGAIN_HELO;
	if (again == AGAIN_CLEAR)
		do_without(r);
}

/*
 * Begins to talk to the host that won; by a second connection if begin_link says that this is
 * worth it.
 */
static enum outcome
begin(struct relay *r, int fd)
{
	approach_set(r);
	bool helo = r->link.terms.helo;
	enum outcome o = begin_link(&r->link, fd);
	while (o != DONE && r->link.proof.again != AGAIN_NOT) {
		note_failure(r);
		ask_for_less(r);
		fd = connect_again(r);
		if (fd < 0)
			return o;
		o = begin_link(&r->link, fd);
	}
	/* What was read from hosts/ is not written again, or EHLO would never be tried again. */
	if (o != DONE)
		note_failure(r);
	else if (r->link.host.helo && !helo)
		mark_host(r, HOST_HELO);
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

/* It has failed, unless the connection of an extra relay was only one too many for it. */
static void
mark_failed(const struct relay *r)
{
	if (!r->work.extra)
		mark_host(r, HOST_FAILED);
}

/* Connects to the next host that greets. SOFT: there is none left. */
static enum outcome
follow_race(struct relay *r)
{
	for (int fd; (fd = race_next(&r->work.race, &r->work.to, &r->why)) >= 0;) {
		if (begin(r, fd) == DONE) {
			log_connection(r);
			return DONE;
		}
		if (r->link.proof.refused)
			log_refusal(r);
		else if (!race_kept_waiting(&r->work.race))
			mark_failed(r);
	}
	return SOFT;
}

/* All hosts of the lane have their turn, from the best one on. */
static enum outcome
begin_race(struct relay *r)
{
	struct work *w = &r->work;
	race_end(&w->race);
	if (race_begin(&w->race, &w->delivery, &r->hosts, &w->exchangers) < 0)
		return SOFT;
	w->race.extra = w->extra;
	return follow_race(r);
}

/*
 * Hosts that had their turn are asked again when all had theirs: the message at which they ended
 * the connection may be to blame, and not they.
 */
static enum outcome
go_on_with_race(struct relay *r)
{
	if (follow_race(r) == DONE)
		return DONE;
	r->work.waited = true;
	r->work.lost++;
	return begin_race(r);
}

/*
 * Connects to a host of the lane: to the best one, unless the last connection was of no use, or
 * messages that it put off wait for another one; then to the next one whose turn it is.
 */
static enum outcome
connect_to_any(struct relay *r)
{
	bool next = r->work.race.n > 0 && (r->work.overtook || !link_was_of_use(&r->link));
	r->work.overtook = false;
	buf_reset(&r->why);
	enum outcome o = find_hosts(r);
	if (o != DONE)
		return o;
	if (r->unable.n > 0) {
		buf_add(&r->why, buf_span(&r->unable));
		return SOFT;
	}
	o = next ? go_on_with_race(r) : begin_race(r);
	r->work.outage = o != DONE && race_had_no_route(&r->work.race) && outage_is_now()
		? OUTAGE_SURE : OUTAGE_NONE;
	return o;
}

/*
 * There is a host again. The attempts before count on until it does something: others greet and
 * close, again and again, and the lane is to wait longer each time.
 */
static void
set_up(struct relay *r)
{
	lane_set_up(&r->work.lane);
	(void)lane_settle(&r->work.lane);
	r->work.state = (struct lane_state){ .attempts = r->work.state.attempts };
}

enum outcome
connect_lane(struct relay *r)
{
	if (sending_is_open(&r->link))
		return DONE;
	link_quit(&r->link);
	if (r->work.lost >= LOST_IN_A_ROW) {
		mark_failed(r);
		note_failure(r);
		give_lane_up(r, SOFT);
		return SOFT;
	}
	enum outcome o = connect_to_any(r);
	if (o != DONE) {
		give_lane_up(r, o);
		return o;
	}
	if (r->work.state.down)
		set_up(r);
	return DONE;
}

/* ---- whose fault? -------------------------------------------------------------------------- */

static bool
is_suspect(const struct relay *r, const struct message *m)
{
	return strcmp(r->work.suspect, m->id) == 0;
}

/*
 * The connection ended with nothing done. Either the host is to blame, or the message. If there are
 * hosts that have not had their turn, they are to have the message: if one of them does something
 * with it, those before it are to blame; if none does, the message.
 */
static bool
judge_loss(struct relay *r, const struct message *m)
{
	struct work *w = &r->work;
	race_note_loss(&w->race);
	if (w->lost == 0 && race_goes_on(&w->race)) {
		snprintf(w->suspect, sizeof(w->suspect), "%s", m->id);
		return true;
	}
	w->suspect[0] = '\0';
	w->lost++;
	return false;
}

/*
 * Somebody is put off. A better host that was overtaken, or failed lately, may take what this one
 * did not: it is waited for, once. So may a host that is as good, and slower, or it would never be
 * asked: but no more than one of them, for most of what is put off is put off by all.
 */
static bool
judge_delay(struct relay *r)
{
	struct work *w = &r->work;
	if (!w->overtook) {
		w->overtook = (!w->waited && race_is_open(&w->race)) ||
			(!w->asked && race_has_equal(&w->race));
		w->asked = w->asked || w->overtook;
	}
	return w->overtook;
}

bool
connect_judge(struct relay *r, const struct message *m, enum job_end end)
{
	struct work *w = &r->work;
	if (end == JOB_UNTRIED) {
		if (r->link.fd < 0 && !link_was_of_use(&r->link))
			race_note_loss(&w->race);
		return false;
	}
	if (!link_was_of_use(&r->link))
		return r->link.fd < 0 && judge_loss(r, m);
	w->state.attempts = 0;
	if (end == JOB_ANSWERED) {
		w->lost = 0;
		if (is_suspect(r, m))
			race_convict(&w->race);
	}
	return settle_any(m, SOFT) && judge_delay(r);
}

void
connect_make_way(struct relay *r)
{
	if (r->work.overtook)
		link_quit(&r->link);
}

void
connect_end(struct relay *r)
{
	race_end(&r->work.race);
	exchangers_free(&r->work.exchangers);
}

#include "delivery/connect.h"

#include <errno.h>
#include <stdio.h>

#include "delivery/approach.h"
#include "delivery/destinations.h"
#include "delivery/race.h"
#include "delivery/resolvers.h"
#include "delivery/settle.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/lane_name.h"
#include "process/log.h"
#include "sending/begin.h"

enum {
	LOST_IN_A_ROW = 3, /* messages that come to nothing before the lane counts as down */
	IN_HASTE = 1,      /* s for the answer to QUIT, if mail waits for the courier meanwhile */
};

/*
 * Nothing more of the lane is tried. The rest of its mail waits if o is SOFT, and fails if it is
 * HARD.
 */
static void
give_lane_up(struct courier *c, enum outcome o)
{
	c->work.verdict = o;
	/*
	 * One of several that gets no connection may be one too many for the host: the lane is
	 * not down.
	 */
	if (o != SOFT || c->work.extra)
		return;
	turns_shrink(c);
	static const char *const remark[] = { [OUTAGE_NONE] = "",
		[OUTAGE_LIKELY] = " (this host has no route to the world)",
		[OUTAGE_SURE] = " (this host is cut off: not counted)" };
	char why[EVENT_SIZE];
	buf_escape_text(why, sizeof(why), buf_span(&c->why));
	int64_t next = settle_retry_after(&c->relay->common, c->work.state.attempts);
	if (c->work.outage != OUTAGE_NONE)
		next = clock_earlier(next, clock_wall() + OUTAGE_RETRY);
	if (c->work.outage != OUTAGE_SURE)
		c->work.state.attempts++;
	c->work.state.down = true;
	c->work.state.next = next;
	bool ours = c->work.outage == OUTAGE_SURE;
	counters_one(counters_of_lane(ours ? CLASS_OURS : c->work.cause));
	int err = lane_set_down(&c->tour->lane, c->work.state.attempts, next, why);
	struct log_fields f = { .event = "deferred", .lane = c->tour->lane.name };
	log_event(LOG_NOTICE, &f, "lane %s: %s%s; next try in %lld s%s%s", c->tour->lane.name, why,
		remark[c->work.outage],
		(long long)(next - clock_wall()), err < 0 ? "; cannot write that down: " : "",
		err < 0 ? strerror(-err) : "");
}

/* Finds the hosts of the lane; once for each lane. */
static enum outcome
find_hosts(struct courier *c)
{
	struct work *w = &c->work;
	if (w->routed || w->unfound != DONE)
		return w->unfound;
	buf_reset(&c->why);
	exchangers_free(&w->exchangers);
	struct resolver *resolver = resolvers_take(c->relay->resolvers);
	enum outcome o = SOFT;
	if (resolver == NULL)
		buf_puts(&c->why, "DNS: out of memory");
	else
		o = destinations_find(resolver, &c->relay->common, &w->delivery,
			c->tour->lane.name, &w->exchangers, &c->why);
	resolvers_give_back(c->relay->resolvers, resolver);
	w->routed = o == DONE;
	w->unfound = o;
	w->cause = resolver != NULL ? CLASS_DNS : CLASS_OURS;
	if (o == SOFT)
		w->outage = w->exchangers.unreached ? OUTAGE_SURE
			: outage_is_now()           ? OUTAGE_LIKELY
						    : OUTAGE_NONE;
	return o;
}

/* Remembers that this happened with the host connected to. */
static void
mark_host(const struct courier *c, enum host_event e)
{
	hosts_mark(&c->relay->hosts, &c->work.to, e);
}

void
connect_heed_refusals(struct courier *c, struct span why)
{
	struct link_flow *flow = &c->link.flow;
	struct log_fields f = { .event = "refused", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	unsigned news = flow->about & ~flow->heeded;
	flow->heeded |= flow->about;
	if ((news & REFUSAL_FALLBACK) != 0) {
		hosts_unmark(&c->relay->hosts, &c->work.to, HOST_CLEAR);
		hosts_unmark(&c->relay->hosts, &c->work.to, HOST_HELO);
	}
	if ((news & REFUSAL_US) != 0)
		log_event(LOG_ERR, &f,
			"lane %s: it is not the mail that is refused, so it waits: %.*s",
			c->tour->lane.name, (int)why.n, why.n > 0 ? why.p : "");
}

void
connect_learn(struct courier *c)
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
		if ((c->link.lessons & rows[i].lesson) != 0)
			mark_host(c, rows[i].event);
	c->work.lessons |= c->link.lessons;
	c->link.lessons = 0;
}

/* ---- one host ------------------------------------------------------------------------------ */

static void
note_failure(struct courier *c)
{
	buf_reset(&c->why);
	buf_printf(&c->why, "%s: %.*s", c->link.terms.name, (int)c->link.text.n, c->link.text.p);
}

/* A second connection to the host that won, in the place of the first. An fd, or -1. */
static int
connect_again(struct courier *c)
{
	struct exchanger to = c->work.to;
	struct exchangers one = { .v = &to, .n = 1 };
	struct race race;
	if (race_begin(&race, &c->work.delivery, &c->relay->hosts, NULL, &one) < 0)
		return -1;
	race.extra = c->work.extra;
	int fd = race_next(&race, &c->work.to, &c->why);
	race_end(&race);
	return fd;
}

/*
 * The host's TLS does not work, and the policy allows to do without: so for a while it is not
 * tried.
 */
static void
do_without(struct courier *c)
{
	struct log_fields f = { .event = "clear", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	mark_host(c, HOST_CLEAR);
	c->link.terms.policy = DELIVERY_TLS_NONE;
	c->link.terms.clear = true;
	log_event(LOG_NOTICE, &f, "lane %s: %.*s; in clear from now on", c->tour->lane.name,
		(int)c->why.n, c->why.p);
}

/* What the next connection to the same host does without, after this one has failed. */
static void
ask_for_less(struct courier *c)
{
	struct link_terms *t = &c->link.terms;
	enum again again = c->link.proof.again;
	t->fresh = true;
	t->nameless = t->nameless || again == AGAIN_NAMELESS;
	t->helo = t->helo || again == AGAIN_HELO;
	if (again == AGAIN_CLEAR)
		do_without(c);
}

/*
 * Begins to talk to the host that won; by a second connection if begin_link says that this is
 * worth it.
 */
static enum outcome
begin(struct courier *c, int fd)
{
	approach_set(c);
	bool helo = c->link.terms.helo;
	enum outcome o = begin_link(&c->link, fd);
	while (o != DONE && c->link.proof.again != AGAIN_NOT) {
		note_failure(c);
		ask_for_less(c);
		fd = connect_again(c);
		if (fd < 0)
			return o;
		o = begin_link(&c->link, fd);
	}
	/* What was read from hosts/ is not written again, or EHLO would never be tried again. */
	if (o != DONE)
		note_failure(c);
	else if (c->link.host.helo && !helo)
		mark_host(c, HOST_HELO);
	return o;
}

static void
log_connection(const struct courier *c)
{
	auto_buf how = buf_new(EVENT_SIZE);
	struct log_fields f = { .event = "connected", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	counters_one(COUNTER_HOSTS_CONNECTED);
	if (c->link.proof.tls != NULL)
		counters_one(COUNTER_HOSTS_CONNECTED_TLS);
	link_describe(&c->link, &how);
	log_event(LOG_INFO, &f, "lane %s: connected to %s, %.*s", c->tour->lane.name,
		c->link.terms.name, (int)how.n, how.p);
}

/* A login that the host refuses: for the operator to mend. */
static void
log_refusal(const struct courier *c)
{
	struct log_fields f = { .event = "refused", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	log_event(LOG_ERR, &f, "lane %s: cannot authenticate as %s: %.*s", c->tour->lane.name,
		c->relay->login.user, (int)c->why.n, c->why.p);
}

/* ---- the connection of another lane ------------------------------------------------------- */

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
	if (find_hosts(c) != DONE)
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

/* Goes on with the connection that the courier has from the lane before. */
static bool
adopt(struct courier *c)
{
	struct log_fields f = { .event = "connected", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	if (!will_do(c))
		return false;
	if (strcmp(c->tour->lane.name, c->for_lane) != 0)
		log_event(LOG_INFO, &f, "lane %s: by the connection to %s", c->tour->lane.name,
			c->link.terms.name);
	c->work.met = true;
	return true;
}

/* ---- any host ------------------------------------------------------------------------------ */

/* It has failed, unless the connection of one of several was only one too many for it. */
static void
mark_failed(const struct courier *c)
{
	if (!c->work.extra)
		mark_host(c, HOST_FAILED);
}

/* What to count it for that a conversation came to nothing before the first message. */
static enum counters_class
cause_of(const struct courier *c)
{
	const struct link_proof *proof = &c->link.proof;
	return proof->refused ? CLASS_AUTH
		: proof->unprotected ? CLASS_TLS : settle_class(buf_span(&c->why), CLASS_LOST);
}

/* Connects to the next host that greets. SOFT: there is none left. */
static enum outcome
follow_race(struct courier *c)
{
	for (int fd; (fd = race_next(&c->work.race, &c->work.to, &c->why)) >= 0;) {
		c->turn.at = race_take_place(&c->work.race);
		c->to = c->work.to;
		if (begin(c, fd) == DONE) {
			log_connection(c);
			return DONE;
		}
		c->work.cause = cause_of(c);
		connect_close(c);
		if (c->link.proof.refused)
			log_refusal(c);
		else if (!race_kept_waiting(&c->work.race))
			mark_failed(c);
	}
	return SOFT;
}

static void *
enter(void *context, const struct exchanger *to)
{
	return turns_connect(context, to);
}

static void
leave(void *context, void *place, bool refused)
{
	turns_disconnect(context, place, refused);
}

/* All hosts of the lane have their turn, from the best one on. */
static enum outcome
begin_race(struct courier *c)
{
	struct work *w = &c->work;
	race_end(&w->race);
	w->cause = CLASS_OURS;
	w->extra = turns_has_others(c);
	c->gate = (struct race_gate){ .context = c, .enter = enter, .leave = leave };
	if (race_begin(&w->race, &w->delivery, &c->relay->hosts, &c->gate, &w->exchangers) < 0)
		return SOFT;
	w->cause = CLASS_CONNECT;
	w->race.extra = w->extra;
	return follow_race(c);
}

/*
 * Hosts that had their turn are asked again when all had theirs: the message at which they ended
 * the connection may be to blame, and not they.
 */
static enum outcome
go_on_with_race(struct courier *c)
{
	if (follow_race(c) == DONE)
		return DONE;
	c->work.waited = true;
	c->work.lost++;
	return begin_race(c);
}

/*
 * Connects to a host of the lane: to the best one, unless the last connection was of no use, or
 * messages that it put off wait for another one; then to the next one whose turn it is.
 */
static enum outcome
connect_to_any(struct courier *c)
{
	bool next = c->work.race.n > 0 && (c->work.overtook || !link_was_of_use(&c->link));
	c->work.overtook = false;
	enum outcome o = find_hosts(c);
	if (o != DONE)
		return o;
	buf_reset(&c->why);
	if (c->relay->unable.n > 0) {
		buf_add(&c->why, buf_span(&c->relay->unable));
		c->work.cause = CLASS_AUTH;
		return SOFT;
	}
	o = next ? go_on_with_race(c) : begin_race(c);
	c->work.outage = o != DONE && race_had_no_route(&c->work.race) && outage_is_now()
		? OUTAGE_SURE : OUTAGE_NONE;
	return o;
}

/*
 * There is a host again. The attempts before count on until it does something: others greet and
 * close, again and again, and the lane is to wait longer each time. Mail that came until now left
 * no mark (lane_announce), or one that is gone, and the names may have been read before; so the
 * lane is gone over once more.
 */
static void
set_up(struct courier *c)
{
	lane_set_up(&c->tour->lane);
	(void)lane_settle(&c->tour->lane);
	turns_look_again(c);
	c->work.state = (struct lane_state){ .attempts = c->work.state.attempts };
}

/* Has a host all the connections that it may have? Then the lane has to wait for one of them. */
static bool
is_full(struct courier *c)
{
	const struct exchanger *full = race_full(&c->work.race);
	if (full == NULL)
		return false;
	c->work.parked = true;
	c->work.to = *full;
	return true;
}

/* For the lane at which it may be used next. */
static void
remember_connection(struct courier *c)
{
	c->work.met = true;
	snprintf(c->for_lane, sizeof(c->for_lane), "%s", c->tour->lane.name);
}

enum outcome
connect_lane(struct courier *c)
{
	if (sending_is_open(&c->link) && c->work.met)
		return DONE;
	if (sending_is_open(&c->link) && adopt(c)) {
		if (c->work.state.down)
			set_up(c);
		return DONE;
	}
	connect_close(c);
	if (c->work.lost >= LOST_IN_A_ROW) {
		mark_failed(c);
		note_failure(c);
		c->work.cause = CLASS_LOST;
		give_lane_up(c, SOFT);
		return SOFT;
	}
	enum outcome o = connect_to_any(c);
	if (o != DONE && is_full(c))
		return SOFT;
	if (o != DONE) {
		give_lane_up(c, o);
		return o;
	}
	remember_connection(c);
	if (c->work.state.down)
		set_up(c);
	return DONE;
}

/* ---- whose fault? -------------------------------------------------------------------------- */

static bool
is_suspect(const struct courier *c, const struct message *m)
{
	return strcmp(c->work.suspect, m->id) == 0;
}

/*
 * The connection ended with nothing done. Either the host is to blame, or the message. If there are
 * hosts that have not had their turn, they are to have the message: if one of them does something
 * with it, those before it are to blame; if none does, the message.
 */
static bool
judge_loss(struct courier *c, const struct message *m)
{
	struct work *w = &c->work;
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
judge_delay(struct courier *c)
{
	struct work *w = &c->work;
	if (!w->overtook) {
		w->overtook = (!w->waited && race_is_open(&w->race)) ||
			(!w->asked && race_has_equal(&w->race));
		w->asked = w->asked || w->overtook;
	}
	return w->overtook;
}

bool
connect_judge(struct courier *c, const struct message *m, enum job_end end)
{
	struct work *w = &c->work;
	if (end == JOB_UNTRIED) {
		if (c->link.fd < 0 && !link_was_of_use(&c->link))
			race_note_loss(&w->race);
		return false;
	}
	if (!link_was_of_use(&c->link))
		return c->link.fd < 0 && judge_loss(c, m);
	w->state.attempts = 0;
	if (end == JOB_ANSWERED) {
		w->lost = 0;
		if (is_suspect(c, m))
			race_convict(&w->race);
	}
	return settle_any(m, SOFT) && judge_delay(c);
}

void
connect_make_way(struct courier *c)
{
	if (c->work.overtook)
		connect_close(c);
}

void
connect_close(struct courier *c)
{
	bool refused = c->link.bye && !link_was_of_use(&c->link);
	/* Mail of another lane has nothing to do with this host. */
	bool waits = c->turn.lane != NULL && !c->work.met;
	link_quit(&c->link, waits ? IN_HASTE : INT64_MAX);
	turns_disconnect(c, c->turn.at, refused);
	c->turn.at = NULL;
}

void
connect_end(struct courier *c)
{
	race_end(&c->work.race);
	exchangers_free(&c->work.exchangers);
}

#include "delivery/meet.h"

#include "delivery/approach.h"
#include "delivery/destinations.h"
#include "delivery/notes.h"
#include "delivery/race.h"
#include "delivery/resolvers.h"
#include "delivery/settle.h"
#include "delivery/stslane.h"
#include "delivery/tlsnotes.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "lib/cleanup.h"
#include "process/log.h"
#include "sending/begin.h"

enum { IN_HASTE = 1 }; /* s for the answer to QUIT, if mail waits for the courier meanwhile */

/* The hosts of the lane; and what its domain asks for of them, but where that does not count. */
static enum outcome
find_hosts(struct courier *c, struct resolver *resolver)
{
	struct work *w = &c->work;
	struct conf_delivery way = w->delivery;
	if (w->relaxed && way.dane != CONF_DANE_ONLY)
		way.dane = CONF_DANE_OFF; /* what cannot be found out keeps nothing back */
	if (w->relaxed)
		stslane_free(&w->sts);
	else
		stslane_ask(c, resolver);
	return destinations_find(resolver, &c->relay->common, &way, c->tour->lane.name,
		&w->exchangers, &c->why);
}

/* Those that get no mail are left out before the race. SOFT: all of them. */
static enum outcome
sift(struct courier *c)
{
	const struct policy_facts facts = approach_facts(c);
	c->work.barred = c->work.barred || policy_bars_any(&c->work.exchangers, &facts);
	if (policy_sift(&c->work.exchangers, &facts, &c->why))
		return DONE;
	c->work.cause = CLASS_TLS;
	return SOFT;
}

void
meet_forget_hosts(struct courier *c)
{
	struct work *w = &c->work;
	race_end(&w->race);
	fitting_end(&w->fitting);
	exchangers_free(&w->exchangers);
	w->routed = w->detour = false;
	w->unfound = DONE;
}

enum outcome
meet_find_hosts(struct courier *c)
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
		o = find_hosts(c, resolver);
	resolvers_give_back(c->relay->resolvers, resolver);
	w->cause = resolver != NULL ? CLASS_DNS : CLASS_OURS;
	w->barred = w->barred || w->exchangers.unproved;
	if (o == DONE)
		o = stslane_find(c);
	bool found = o == DONE;
	if (found)
		o = sift(c);
	tlsnotes_hosts(c, found && o != DONE);
	w->routed = o == DONE;
	w->unfound = o;
	if (w->exchangers.unreached)
		notes_ask_servers(c->relay);
	if (o == SOFT)
		w->outage = w->exchangers.unreached                   ? OUTAGE_SURE
			: w->exchangers.unsound || outage_is_now() ? OUTAGE_LIKELY
								   : OUTAGE_NONE;
	return o;
}

/* Remembers that this happened with the host connected to. */
static void
mark_host(const struct courier *c, enum host_event e)
{
	hosts_mark(&c->relay->hosts, &c->work.to, e);
}

/* ---- one host ------------------------------------------------------------------------------ */

/* What TLS came to nothing is said with why it had to be there. */
static void
note_failure(struct courier *c)
{
	bool asked = c->link.proof.unprotected && c->policy.source != POLICY_SETTING;
	buf_reset(&c->why);
	buf_printf(&c->why, "%s: %.*s", c->link.terms.name, (int)c->link.text.n, c->link.text.p);
	if (asked)
		buf_printf(&c->why, " (%s)", c->policy.words);
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
	(void)policy_do_without(&c->policy);
	c->link.terms.policy = c->policy.tls;
	c->link.terms.clear = c->policy.clear;
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
	t->plain = t->plain || again == AGAIN_PLAIN;
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
	bool helo = c->link.terms.helo, plain = c->link.terms.plain;
	enum outcome o = begin_link(&c->link, fd);
	while (o != DONE && c->link.proof.again != AGAIN_NOT) {
		note_failure(c);
		ask_for_less(c);
		fd = connect_again(c);
		if (fd < 0)
			return o;
		const struct link_tls before = c->link.came;
		o = begin_link(&c->link, fd);
		if (c->link.terms.clear) /* it is that what makes this one go in clear */
			c->link.came = before;
	}
	/* What was read from hosts/ is not written again, or EHLO would never be tried again. */
	if (o != DONE)
		note_failure(c);
	else if (c->link.host.helo && !helo)
		mark_host(c, HOST_HELO);
	if (o == DONE && !plain && (c->link.proof.plainer || c->link.terms.plain))
		mark_host(c, HOST_PLAIN);
	return o;
}

void
meet_describe(const struct courier *c, struct buf *out)
{
	link_describe(&c->link, out);
	if (c->policy.source != POLICY_SETTING)
		buf_printf(out, ", %s", c->policy.words);
}

static void
log_connection(const struct courier *c)
{
	auto_buf how = buf_new(EVENT_SIZE);
	struct log_fields f = { .event = "host_connected", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	counters_one(COUNTER_HOSTS_CONNECTED);
	if (c->link.proof.tls != NULL)
		counters_one(COUNTER_HOSTS_CONNECTED_TLS);
	meet_describe(c, &how);
	char tls[LIMIT_LOG_TEXT];
	snprintf(tls, sizeof(tls), "%.*s", (int)how.n, how.n > 0 ? how.p : "");
	f.tls = c->link.proof.tls != NULL ? tls : NULL;
	log_event(LOG_INFO, &f, "lane %s: connected to %s, %.*s%s", c->tour->lane.name,
		c->link.terms.name, (int)how.n, how.p, c->work.relaxed
		? ", for mail that says TLS-Required: No" : "");
}

/* A login that the host refuses: for the operator to mend. */
static void
log_refusal(const struct courier *c)
{
	struct log_fields f = { .event = "login_refused", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	log_event(LOG_ERR, &f, "lane %s: cannot authenticate as %s: %.*s", c->tour->lane.name,
		c->relay->login.user, (int)c->why.n, c->why.p);
}

void
meet_leave(struct courier *c)
{
	bool refused = c->link.bye && !link_has_served(&c->link);
	/* Mail of another lane has nothing to do with this host. */
	bool waits = c->turn.lane != NULL && !c->work.met;
	link_quit(&c->link, waits ? IN_HASTE : INT64_MAX);
	turns_disconnect(c, c->turn.at, refused);
	c->turn.at = NULL;
}

/* ---- any host ------------------------------------------------------------------------------ */

/* It has failed, unless the connection of one of several was only one too many for it. */
static void
mark_failed(const struct courier *c)
{
	if (!c->work.extra)
		mark_host(c, HOST_FAILED);
}

void
meet_failed(struct courier *c)
{
	mark_failed(c);
	note_failure(c);
}

/* What to count it for that a conversation came to nothing before the first message. */
static enum counters_class
cause_of(const struct courier *c)
{
	const struct link_proof *proof = &c->link.proof;
	return proof->refused ? CLASS_AUTH
		: proof->unprotected ? CLASS_TLS : settle_class(buf_span(&c->why), CLASS_LOST);
}

/*
 * There was no talking to the host. That is remembered of it, for all lanes, unless it tired of
 * waiting; or answered, and had no TLS that is good enough for this lane: a login that is refused
 * (for the operator), a certificate that this lane's policy has not. Whoever publishes a policy
 * names the hosts as well, whose ever they are, and must not have them avoided by others.
 */
static bool
is_its_fault(const struct courier *c)
{
	const struct link_proof *proof = &c->link.proof;
	bool choosy = proof->unprotected && !c->link.silent;
	return !proof->refused && !choosy && !race_kept_waiting(&c->work.race);
}

/* Connects to the next host that greets. SOFT: there is none left. */
static enum outcome
follow_race(struct courier *c)
{
	for (int fd; (fd = race_next(&c->work.race, &c->work.to, &c->why)) >= 0;) {
		c->turn.at = race_take_place(&c->work.race);
		exchanger_keep(&c->to, &c->work.to);
		enum outcome o = begin(c, fd);
		tlsnotes_session(c, o == DONE);
		if (o == DONE) {
			log_connection(c);
			return DONE;
		}
		c->work.cause = cause_of(c);
		c->work.barred = c->work.barred ||
			(c->link.proof.unprotected && policy_is_theirs(&c->policy));
		race_note_vain(&c->work.race);
		meet_leave(c);
		if (c->link.proof.refused)
			log_refusal(c);
		if (is_its_fault(c))
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

/* These have their turn, from the best one on. */
static enum outcome
race_between(struct courier *c, const struct exchangers *hosts)
{
	struct work *w = &c->work;
	race_end(&w->race);
	w->cause = CLASS_OURS;
	w->extra = turns_has_others(c);
	c->gate = (struct race_gate){ .context = c, .enter = enter, .leave = leave };
	if (race_begin(&w->race, &w->delivery, &c->relay->hosts, &c->gate, hosts) < 0)
		return SOFT;
	w->cause = CLASS_CONNECT;
	w->race.extra = w->extra;
	return follow_race(c);
}

/* All hosts of the lane. */
static enum outcome
begin_race(struct courier *c)
{
	c->work.detour = false;
	return race_between(c, &c->work.exchangers);
}

/* Those that may have what others could not; if there is no talking to them, all. */
static enum outcome
seek(struct courier *c)
{
	struct work *w = &c->work;
	struct exchangers some;
	enum outcome o = SOFT;
	w->detour = true;
	if (fitting_wanted(&w->fitting, &w->exchangers, &some) == 0)
		o = race_between(c, &some);
	exchangers_free(&some);
	if (o != DONE) {
		fitting_note_all_vain(&w->fitting, &w->exchangers);
		buf_reset(&c->why);
		return begin_race(c);
	}
	fitting_forget_wanted(&w->fitting, &w->exchangers);
	return DONE;
}

enum outcome
meet_relaxed(struct courier *c)
{
	/* Why the lane waits is not what is wrong with this. */
	struct buf why = c->why;
	c->why = buf_new(why.max);
	enum outcome o = meet_find_hosts(c);
	if (o == DONE)
		o = c->work.fitting.due ? seek(c) : begin_race(c);
	buf_free(&c->why);
	c->why = why;
	return o;
}

bool
meet_is_detour(const struct courier *c)
{
	const struct work *w = &c->work;
	const struct exchangers *x = &w->exchangers;
	return w->detour && x->n > 0 && w->to.preference > x->v[0].preference;
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

/* No host could be sent anything: whose fault is that? */
static enum outage
judge_no_route(const struct race *r)
{
	bool four = race_has_started(r, true), six = race_has_started(r, false);
	if (!race_had_no_route(r))
		return OUTAGE_NONE;
	if (outage_is_now())
		return OUTAGE_SURE;
	bool likely = (four || six) && (!four || outage_is_by(true)) &&
		(!six || outage_is_by(false));
	return likely ? OUTAGE_LIKELY : OUTAGE_NONE;
}

enum outcome
meet_any(struct courier *c)
{
	bool next = c->work.race.n > 0 && (c->work.overtook || !link_was_of_use(&c->link));
	c->work.overtook = false;
	enum outcome o = meet_find_hosts(c);
	if (o != DONE)
		return o;
	buf_reset(&c->why);
	if (c->relay->unable.n > 0) {
		buf_add(&c->why, buf_span(&c->relay->unable));
		c->work.cause = CLASS_AUTH;
		return SOFT;
	}
	o = c->work.fitting.due ? seek(c) : next ? go_on_with_race(c) : begin_race(c);
	c->work.outage = o != DONE ? judge_no_route(&c->work.race) : OUTAGE_NONE;
	return o;
}

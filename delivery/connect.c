#include "delivery/connect.h"

#include <stdio.h>

#include "delivery/meet.h"
#include "delivery/notes.h"
#include "delivery/race.h"
#include "delivery/settle.h"
#include "delivery/share.h"
#include "delivery/stslane.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"

enum {
	LOST_IN_A_ROW = 3, /* messages that come to nothing before the lane counts as down */
	VAIN_FOR = 60000,  /* ms for which it counts that a host could not be talked to */
	TLS_ATTEMPTS = 3,  /* of a message, before it counts that TLS with a host does not work */
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
		[OUTAGE_LIKELY] = " (this host seems to be cut off)",
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
	char wait[24];
	struct log_fields f = { .event = "lane_deferred", .lane = c->tour->lane.name,
		.reply = why, .next_try = wait };
	snprintf(wait, sizeof(wait), "%lld", (long long)(next - clock_wall()));
	log_event(LOG_NOTICE, &f, "lane %s: %s%s; next try in %lld s%s%s", c->tour->lane.name, why,
		remark[c->work.outage],
		(long long)(next - clock_wall()), err < 0 ? "; cannot write that down: " : "",
		err < 0 ? strerror(-err) : "");
}

void
connect_heed_refusals(struct courier *c, struct span why)
{
	struct link_flow *flow = &c->link.flow;
	struct log_fields f = { .event = "host_refuses", .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	unsigned news = flow->about & ~flow->heeded;
	flow->heeded |= flow->about;
	if ((news & REFUSAL_FALLBACK) != 0) {
		hosts_unmark(&c->relay->hosts, &c->work.to, HOST_CLEAR);
		hosts_unmark(&c->relay->hosts, &c->work.to, HOST_HELO);
		if (flow->dropped == 0) /* or it is about what was refused now */
			hosts_unmark(&c->relay->hosts, &c->work.to, HOST_FEWER);
	}
	if ((news & REFUSAL_US) != 0)
		log_event(LOG_ERR, &f,
			"lane %s: it is not the mail that is refused, so it waits: %.*s",
			c->tour->lane.name, (int)why.n, why.n > 0 ? why.p : "");
}

/* Once for each turn at a lane. */
static void
log_unsigned(const struct courier *c)
{
	struct log_fields f = { .event = "dkim", .lane = c->tour->lane.name };
	log_event(LOG_ERR, &f, "lane %s: mail goes unsigned, for its key cannot be used "
		"(dkim_missing = send)", c->tour->lane.name);
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
			hosts_mark(&c->relay->hosts, &c->work.to, rows[i].event);
	if ((c->link.lessons & LESSON_FEWER) != 0) {
		hosts_mark_words(&c->relay->hosts, &c->work.to, c->link.flow.dropped);
		withheld_note(&c->work.withheld, &c->work.to, c->link.flow.dropped);
	}
	if ((c->link.lessons & ~c->work.lessons & LESSON_UNSIGNED) != 0)
		log_unsigned(c);
	if (signer_take_loss(&c->relay->signer))
		notes_ask_sign(c->relay);
	c->work.lessons |= c->link.lessons;
	c->link.lessons = 0;
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

/* What the lane's domain asks for counts again. */
static void
end_relaxed(struct courier *c)
{
	c->work.relaxed = false;
	meet_forget_hosts(c);
}

enum outcome
connect_lane(struct courier *c)
{
	bool open = sending_is_open(&c->link) && !c->work.relaxed;
	if (open && c->work.met)
		return DONE;
	if (open && share_take(c)) {
		if (c->work.state.down)
			set_up(c);
		return DONE;
	}
	meet_leave(c);
	if (c->work.relaxed) /* what was found for such mail is not for other mail */
		end_relaxed(c);
	if (c->work.lost >= LOST_IN_A_ROW) {
		meet_failed(c);
		c->work.cause = CLASS_LOST;
		give_lane_up(c, SOFT);
		return SOFT;
	}
	enum outcome o = meet_any(c);
	if (o != DONE && is_full(c))
		return SOFT;
	if (o != DONE) {
		give_lane_up(c, o);
		return o;
	}
	share_note(c);
	if (c->work.state.down)
		set_up(c);
	return DONE;
}

enum outcome
connect_relaxed(struct courier *c)
{
	struct work *w = &c->work;
	if (w->verdict != SOFT || w->extra || !w->barred || w->unrelaxed)
		return SOFT;
	if (w->relaxed && sending_is_open(&c->link))
		return DONE;
	w->lost += w->relaxed && !link_was_of_use(&c->link);
	meet_leave(c);
	if (!w->relaxed)
		meet_forget_hosts(c);
	w->relaxed = true;
	if (w->lost >= LOST_IN_A_ROW || meet_relaxed(c) != DONE) {
		end_relaxed(c);
		w->unrelaxed = true;
		return SOFT;
	}
	share_note(c);
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

/* Is somebody put off by what this host said? `whole`: not this one recipient alone. */
static bool
is_put_off(const struct message *m, bool whole)
{
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *to = &m->rcpt[i];
		if (!to->settled && to->outcome == SOFT && !to->unfit && !(whole && to->own))
			return true;
	}
	return false;
}

/*
 * Somebody is put off. A better host that was overtaken, or failed lately, may take what this one
 * did not: it is waited for, once. So may a worse one, if this one is in trouble itself, such as a
 * full disk, or a service behind it that is down. So may a host that is as good, and slower, or it
 * would never be asked: but no more than one of them, for most of what is put off is put off by
 * all.
 */
static bool
judge_delay(struct courier *c, const struct message *m)
{
	struct work *w = &c->work;
	if (!w->overtook) {
		bool worse = is_put_off(m, true) && race_has_worse(&w->race);
		w->overtook = (!w->waited && (race_is_open(&w->race) || worse)) ||
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
	return !w->relaxed && is_put_off(m, false) && judge_delay(c, m);
}

/* ---- what the host lacks ------------------------------------------------------------------- */

/*
 * What the host connected to can have is remembered, and which others could not be talked to when
 * it was. False: the hosts of the lane are not known now, or there is no memory.
 */
static bool
note_host(struct courier *c, bool for_now)
{
	struct work *w = &c->work;
	const struct body_taker can = body_taker_of(&c->link, true);
	if (meet_find_hosts(c) != DONE ||
		fitting_note(&w->fitting, &w->exchangers, &w->to, &can, for_now) < 0)
		return false;
	bool lately = clock_ms() - w->race.left < VAIN_FOR;
	for (size_t i = 0; i < w->exchangers.n && lately; i++)
		if (race_was_vain(&w->race, &w->exchangers.v[i]))
			fitting_note_vain(&w->fitting, i);
	return true;
}

/* Is there another host for what did not fit this one? */
static enum fitting_chance
find_chance(struct courier *c, const struct message *m, const struct rcpt *to)
{
	struct work *w = &c->work;
	if (!note_host(c, to->outcome == SOFT))
		return FITTING_LATER;
	return fitting_chance(&w->fitting, &w->exchangers, &w->to, m, to->address);
}

/*
 * The message has to have TLS, and the host's does not work. That may be a matter of a moment, and
 * that it goes in clear is a choice of ours: so it is tried again, some times; what came to nothing
 * for another reason is none of these. But then its sender is to be told, who may want to send it
 * in another way (RFC 8689 section 4.2.1). Not so where the operator named the host: then it is his
 * to mend (L13).
 */
static bool
is_without_tls(const struct courier *c, const struct message *m)
{
	return m->env.require_tls && c->link.terms.clear && !c->link.terms.own;
}

/* ... and what follows for this recipient. `end`: that this host cannot have it is for good now. */
static void
weigh(const struct courier *c, struct rcpt *to, enum fitting_chance chance, bool end)
{
	bool later = chance == FITTING_LATER || (chance == FITTING_DOUBTFUL && !end);
	if (later)
		buf_puts(&to->text, " (others cannot be asked now)");
	else if (chance != FITTING_NOW && c->work.fitting.asked > 1)
		buf_puts(&to->text, " (nor can another host have it)");
	if (later || chance == FITTING_NOW)
		to->outcome = SOFT;
	else if (end)
		to->outcome = HARD;
}

bool
connect_seek(struct courier *c, struct message *m)
{
	bool any = false, end = is_without_tls(c, m) && m->without_tls + 1 >= TLS_ATTEMPTS;
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		if (to->settled || !to->unfit)
			continue;
		m->no_tls = is_without_tls(c, m);
		/* Of a connection that is gone it is not known any more what it was good for. */
		enum fitting_chance chance = c->link.fd >= 0 ? find_chance(c, m, to) : FITTING_NOW;
		weigh(c, to, chance, end);
		any = any || chance == FITTING_NOW;
	}
	return any;
}

bool
connect_is_astray(struct courier *c, const struct message *m)
{
	struct work *w = &c->work;
	return meet_is_detour(c) &&
		fitting_has_better(&w->fitting, &w->exchangers, &w->to, m);
}

void
connect_forget(struct courier *c)
{
	struct work *w = &c->work;
	fitting_end(&w->fitting);
	if (!meet_is_detour(c))
		return;
	meet_leave(c);
	race_end(&w->race); /* which was between a few; all have their turn now */
	w->detour = false;
}

bool
connect_is_called_away(const struct courier *c)
{
	return c->work.overtook && race_is_awaited(&c->work.race);
}

void
connect_make_way(struct courier *c)
{
	struct fitting *f = &c->work.fitting;
	f->due = f->seeks; /* and not before: all have had their turn with the first host */
	if (c->work.overtook || f->due)
		meet_leave(c);
}

void
connect_end(struct courier *c)
{
	struct work *w = &c->work;
	if (meet_is_detour(c) || w->relaxed)
		meet_leave(c); /* what comes next is for a better one */
	race_end(&w->race);
	fitting_end(&w->fitting);
	exchangers_free(&w->exchangers);
	stslane_free(&w->sts);
}

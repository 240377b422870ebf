#include "delivery/scan.h"

#include <errno.h>
#include <stdio.h>

#include "conf/submission.h"
#include "delivery/connect.h"
#include "delivery/flight.h"
#include "delivery/notes.h"
#include "delivery/settle.h"
#include "delivery/sink.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"

enum {
	GROW_EVERY = 20,  /* messages after which a courier asks itself whether it needs help */
	GROW_FOR = 500,   /* ms that what is left must last at this pace for that */
	GUARD_WHY = 4 * LIMIT_ADDRESS + 80, /* octets of the reason why a message is kept */
	TURN = 500,       /* ms until a courier that is waited for stops in the middle of a lane */
};

/* ---- a message ---------------------------------------------------------------------------- */

/*
 * The time before which a message is not sent (RFC 4865). Not later than the longest wait that
 * there is from now, or it would be taken for a jump of the clock, nor than a client may ask for
 * (J12).
 */
static int64_t
held_until(const struct courier *c, const struct message *m)
{
	int64_t latest = clock_wall() + conf_longest_retry(&c->relay->common);
	int64_t longest = m->arrived + c->relay->common.receive.max_hold;
	int64_t hold = m->env.hold < longest ? m->env.hold : longest;
	return hold < latest ? hold : latest;
}

/*
 * Does guard let mail go to all who wait? A session looks before it queues anything, but that may
 * have been before there was a guard, and a report of ours comes from no session. What is kept
 * waits for another configuration. The first who may get none is in *why then.
 */
static bool
may_leave(const struct courier *c, const struct message *m, struct buf *why)
{
	const struct conf *conf = &c->relay->common;
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *to = &m->rcpt[i];
		if (to->settled || submission_may_leave(conf, to->address))
			continue;
		buf_puts(why, "guard: no mail for <");
		buf_escape(why, to->address, LIMIT_ADDRESS);
		buf_puts(why, "> leaves this host");
		return false;
	}
	return true;
}

/*
 * Is it a report on TLS, or one of ours that may go without? A session for that says nothing of how
 * other mail goes, and a report on it would be the next day's only reason for one (RFC 8460 section
 * 3).
 */
static bool
is_uncounted(const struct message *m)
{
	return m->env.ours && m->env.sender.n == 0 && m->tls_optional;
}

/*
 * Have relays died with it in hand until it was too old? None of them could end it, so it would be
 * tried alone, and kept, for ever.
 */
static bool
is_deadly(const struct courier *c, const struct message *m)
{
	return m->crashes > 0 && settle_is_expired(c, m, m->attempts);
}

/*
 * Sends a message, or settles it without that. True: it is on its way, and must not be laid down.
 */
static bool
deliver(struct courier *c, struct flight *f, struct found *found)
{
	struct message *m = &f->m;
	int64_t until = held_until(c, m);
	auto_buf why = buf_new(GUARD_WHY);
	c->work.uncounted = is_uncounted(m);
	if (until > clock_wall()) {
		/* So that it is not opened each time. */
		(void)message_wait(m, &c->tour->lane, until);
		found_note_next(found, until);
	} else if (!message_waits(m)) {
		settle_message(c, m, false, found); /* it could not be removed the last time */
	} else if (settle_is_too_late(m)) {
		settle_too_late(c, m, found);
	} else if (is_deadly(c, m)) {
		settle_all(c, m, SOFT, span_of("a relay died with it in hand"), found);
	} else if (sink_has(c)) {
		sink_take(c, m, found);
	} else if (!may_leave(c, m, &why)) {
		settle_all(c, m, SOFT, buf_span(&why), found);
	} else if (c->work.verdict == DONE && connect_lane(c) == DONE) {
		if (connect_is_astray(c, m))
			flight_turn_back(c, f, found);
		else
			flight_take_off(c, f, found);
		return true;
	} else if (m->tls_optional && connect_relaxed(c) == DONE) {
		flight_take_off(c, f, found);
		return true;
	} else if (c->work.parked || (c->work.extra && c->work.verdict == SOFT)) {
		/* As if this courier had not come. */
		found->again = found->parked = true;
		found_note_next(found, clock_wall());
	} else if (c->work.verdict == HARD) {
		settle_all(c, m, HARD, buf_span(&c->why), found);
	} else if (c->work.outage != OUTAGE_SURE &&
		settle_is_expired(c, m, m->attempts + c->work.state.attempts)) {
		settle_all(c, m, SOFT, buf_span(&c->why), found);
	} else {
		settle_waiting(c, m, found);
	}
	return false;
}

static void
set_aside(const struct courier *c, const char *id, struct found *found)
{
	struct log_fields f = { .event = "aside", .queue_id = id, .lane = c->tour->lane.name };
	int err = message_set_aside(&c->relay->spool, &c->tour->lane, id);
	if (err < 0) {
		log_event(LOG_ERR, &f, "%s: not a whole message, never acknowledged; it cannot be "
			"moved to aside/: %s", id, strerror(-err));
		found_note_next(found, clock_wall() + IDLE_RETRY);
		return;
	}
	counters_one(COUNTER_SET_ASIDE);
	log_event(LOG_ERR, &f, "%s: not a whole message, never acknowledged: moved to aside/", id);
}

/*
 * Can what becomes of this message be written down (S3)? If not, nothing more of the lane is sent
 * now.
 */
static bool
is_markable(const struct courier *c, const struct message *m, struct found *found)
{
	bool full = !spool_has_room(&c->relay->spool, SPARE_ROOM,
		c->relay->common.receive.min_free);
	int err = message_try_mark(m, full);
	if (err == 0)
		return true;
	struct log_fields f = { .event = "spool", .queue_id = m->id, .lane = c->tour->lane.name };
	counters_one(COUNTER_SPOOL_FAILURES);
	log_event(LOG_ERR, &f, "%s: not sent, for what becomes of it could not be written down: %s",
		m->id, strerror(-err));
	found->last = found->stop = true;
	found_note_next(found, clock_wall() + BUSY_RETRY);
	return false;
}

/*
 * It has the name of a message, and is no file, so nobody ever queued it: like all that is not ours
 * it stays, and is looked at again when the lane has rested.
 */
static void
pass_by(const struct courier *c, const char *id, struct found *found)
{
	struct message m = MESSAGE_CLOSED;
	int64_t next = clock_wall() + IDLE_RETRY;
	snprintf(m.id, sizeof(m.id), "%s", id);
	/* Each hour, however often new mail comes. */
	(void)message_wait(&m, &c->tour->lane, next);
	found_note_next(found, next);
	struct log_fields f = { .event = "spool", .queue_id = id, .lane = c->tour->lane.name };
	log_event(LOG_ERR, &f, "%s: not a file, so no message: left in lane %s as it is", id,
		c->tour->lane.name);
}

/* Opens a message, and sees to it. `tried`: something was written of it before. */
static void
work_on_message(struct courier *c, struct flight *f, const char *id, bool tried,
	struct found *found)
{
	int err = (tried ? message_open : message_open_first)(&f->m, &c->tour->lane, id);
	if (err == 0 && !is_markable(c, &f->m, found)) {
		flight_lay_down(c, f);
		return;
	}
	if (err == 0) {
		if (!deliver(c, f, found))
			flight_lay_down(c, f);
		return;
	}
	if (err == -EBADMSG) {
		set_aside(c, id, found);
	} else if (err != -EAGAIN && !message_is_file(&c->tour->lane, id)) {
		pass_by(c, id, found);
	} else if (err != -ENOENT) {
		found_note_next(found, clock_wall() + BUSY_RETRY);
		if (err != -EAGAIN) {
			struct log_fields l = { .event = "spool", .queue_id = id };
			counters_one(COUNTER_SPOOL_FAILURES);
			log_event(LOG_ERR, &l, "%s: cannot open: %s", id, strerror(-err));
		}
	}
	flight_put_back(c, f);
}

/* When this message is due, wall clock, s; 0: it is. `next` is what its log says. */
static int64_t
due_at(const struct courier *c, int64_t next)
{
	int64_t now = clock_wall();
	return next > now && next <= now + conf_longest_retry(&c->relay->common) ? next : 0;
}

/*
 * A relay died at this message, once or more often: it is tried alone, which is the business of
 * the process that started this one.
 */
static bool
is_suspect(struct courier *c, const char *id, bool tried, struct found *found)
{
	struct relay *r = c->relay;
	const char *lane = c->tour->lane.name;
	if (r->keeper < 0 || r->orphaned || r->alone)
		return false;
	bool known = suspects_has(&r->suspects, lane, id);
	if (!known && !(tried && message_has_crashed(&c->tour->lane, id)))
		return false;
	found_note_next(found, clock_wall() + BUSY_RETRY);
	if (!known && suspects_add(&r->suspects, lane, id))
		notes_ask_alone(r, lane, id);
	return true;
}

/* May a message of a lane that is down go, if it says so itself? */
static bool
may_relax(const struct courier *c)
{
	return c->work.barred && !c->work.unrelaxed;
}

/* Sees to one message, if it is due. */
void
scan_message(struct courier *c, const char *id, struct found *found)
{
	int64_t said = message_next(&c->tour->lane, id), next = due_at(c, said);
	if (next != 0) {
		found_note_next(found, next);
		return;
	}
	/*
	 * With the lane down a message is opened only if its sender is to be told something, or if
	 * it may go all the same.
	 */
	if (c->work.verdict == SOFT && !may_relax(c) && settle_is_quiet(c, id)) {
		found_note_next(found, clock_wall() + IDLE_RETRY);
		return;
	}
	if (is_suspect(c, id, said != 0, found))
		return;
	/* After a connection was lost, all that were on their way land before another takes off. */
	while (sending_full(&c->link) || (sending_jobs(&c->link) > 0 && !sending_is_open(&c->link)))
		flight_land(c, found);
	work_on_message(c, flight_take(c, id), id, said != 0, found);
}

/* One courier more is worth it if what is left would keep this one busy for long. */
static void
consider_help(struct courier *c)
{
	struct pace *p = &c->work.pace;
	if (p->messages == 0)
		p->since = clock_ms();
	if (++p->messages <= GROW_EVERY)
		return;
	int64_t each = (clock_ms() - p->since) / p->messages;
	if (each * (int64_t)tour_left(c->tour) > GROW_FOR && c->link.fd >= 0)
		turns_grow(c);
	p->messages = 0;
}

/*
 * Others wait, and there is more here than they should wait for. A lane that was given up is left
 * in order: its mail waits for its time, and not for a turn.
 */
static bool
is_turn_over(const struct courier *c)
{
	return c->work.verdict == DONE && clock_ms() - c->work.since > TURN &&
		tour_has_more(c->tour) && turns_is_waited_for(c);
}

/*
 * What this host put off is for another one that is there now, and may not wait for long. Then the
 * lane begins anew; but not while others are at it, who go on with what is left.
 */
static bool
is_called_away(const struct courier *c, const struct found *found)
{
	return found->again && !turns_has_others(c) && connect_is_called_away(c);
}

bool
scan_lane(struct courier *c, struct found *found)
{
	char id[ID_SIZE];
	bool over = false;
	*found = (struct found){ 0 };
	connect_make_way(c);
	while (!found->stop && !found->parked && !over && !is_called_away(c, found) &&
		tour_next(c, id)) {
		scan_message(c, id, found);
		consider_help(c);
		over = is_turn_over(c);
	}
	flight_land_all(c, found);
	return over;
}

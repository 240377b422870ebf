#include "delivery/settle.h"

#include <errno.h>
#include <stdio.h>

#include "delivery/notes.h"
#include "delivery/tour.h"
#include "lib/clock.h"
#include "process/log.h"
#include "queue/tended.h"
#include "report/diagnosis.h"
#include "report/dsn.h"
#include "sending/body.h"

enum {
	US_PER_MS = 1000,
	MS_PER_S = 1000,
	STATUS_SIZE = 16, /* an enhanced status code, and NUL */
	EXPIRE_ATTEMPTS = 3, /* at least, before age alone ends a message: clocks jump (J12) */
	JITTER = 10,         /* a wait is shorter than scheduled by a random part, up to 1/JITTER */
};

/* ---- what happened ---------------------------------------------------------------------- */

enum counters_class
settle_class(struct span text, enum counters_class otherwise)
{
	struct diagnosis d;
	diagnosis_parse(text, '5', &d);
	if (d.reply)
		return d.words.p[0] == '5' ? CLASS_HOST_5YZ : CLASS_HOST_4YZ;
	bool ours = span_istarts(d.words, span_of(BODY_NOT_SENT)) ||
		span_istarts(d.words, span_of(BODY_SPOOL));
	return ours ? CLASS_OURS : otherwise;
}

/* `soon`: who waits is tried again at once, which is no end of an attempt. */
static void
count_recipient(const struct courier *c, const struct message *m, const struct rcpt *to, bool soon)
{
	enum counters_class why = settle_class(buf_span(&to->text),
		c->work.verdict == DONE ? CLASS_LOST : c->work.cause);
	if (to->outcome == SOFT && !soon)
		counters_one(counters_of_deferred(why));
	if (to->outcome == SOFT)
		return;
	counters_one(to->outcome == DONE ? COUNTER_DELIVERED
			: to->expired    ? COUNTER_BOUNCED_EXPIRED : counters_of_bounced(why));
	counters_time(COUNTER_QUEUE_TIME, (clock_wall_us() - id_time_us(m->id)) / US_PER_MS);
}

/* The words of an outcome and its enhanced status code, for fields of the log. */
static void
describe(const struct buf *text, char class, char reply[static LIMIT_LOG_TEXT],
	char status[static STATUS_SIZE])
{
	struct diagnosis d;
	diagnosis_parse(buf_span(text), class, &d);
	snprintf(reply, LIMIT_LOG_TEXT, "%.*s", (int)d.words.n, d.words.n > 0 ? d.words.p : "");
	if (d.status.n > 0)
		snprintf(status, STATUS_SIZE, "%.*s", (int)d.status.n, d.status.p);
	else
		snprintf(status, STATUS_SIZE, "%c.0.0", class);
}

static void
log_recipient(const struct courier *c, const struct message *m, const struct rcpt *to, int64_t next)
{
	static const char *const event[] = { [DONE] = "delivered", [SOFT] = "deferred",
		[HARD] = "bounced" };
	static const char class[] = { [DONE] = '2', [SOFT] = '4', [HARD] = '5' };
	char rcpt[EVENT_SIZE], sender[EVENT_SIZE], when[64] = "", delay[32], wait[24];
	char reply[LIMIT_LOG_TEXT], status[STATUS_SIZE];
	int64_t ms = (clock_wall_us() - id_time_us(m->id)) / US_PER_MS, s = next - clock_wall();
	buf_escape_text(rcpt, sizeof(rcpt), to->address);
	buf_escape_text(sender, sizeof(sender), m->env.sender);
	if (to->outcome == SOFT)
		snprintf(when, sizeof(when), "; next try in %lld s", (long long)s);
	snprintf(wait, sizeof(wait), "%lld", (long long)(s > 0 ? s : 0));
	ms = ms > 0 ? ms : 0;
	snprintf(delay, sizeof(delay), "%lld.%03d", (long long)(ms / MS_PER_S),
		(int)(ms % MS_PER_S));
	describe(&to->text, class[to->outcome], reply, status);
	struct log_fields f = { .event = event[to->outcome], .queue_id = m->id, .sender = sender,
		.recipient = rcpt, .lane = c->tour->lane.name,
		.relay = c->link.terms.name[0] != '\0' ? c->link.terms.name : NULL,
		.status = status, .reply = reply, .delay = delay,
		.next_try = to->outcome == SOFT ? wait : NULL };
	log_event(to->outcome == DONE ? LOG_INFO : LOG_NOTICE, &f,
		"%s: %s <%s>, delay %lld s, %.*s%s", m->id, event[to->outcome], rcpt,
		(long long)(clock_wall() - m->arrived), (int)to->text.n,
		to->text.n > 0 ? to->text.p : "", when);
}

/*
 * Up to a tenth less than the schedule says, so that lanes that went down together are not tried
 * together.
 */
int64_t
settle_retry_after(const struct conf *c, int attempts)
{
	int last = c->relay.retry.n - 1;
	int64_t wait = c->relay.retry.v[attempts < last ? attempts : last];
	return clock_wall() + wait - arc4random_uniform((uint32_t)(wait / JITTER) + 1);
}

static bool
any_grey(const struct message *m)
{
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && m->rcpt[i].outcome == SOFT && m->rcpt[i].grey)
			return true;
	return false;
}

/*
 * When a greylisted message is tried again: the host is known to take mail it had put off after
 * so long a time, and never did it sooner. 0: the message was not greylisted, or nothing is
 * known.
 */
static int64_t
after_greylist(const struct courier *c, const struct message *m)
{
	struct host_record h;
	if (m->attempts > 0 || !any_grey(m))
		return 0;
	hosts_recall(&c->relay->hosts, &c->work.to, &h);
	return h.grey > 0 ? clock_wall() + h.grey : 0;
}

/* The time of the next attempt; not later than the time that the sender set (RFC 2852). */
static int64_t
next_attempt(const struct courier *c, const struct message *m)
{
	int64_t next = settle_retry_after(&c->relay->common, m->attempts);
	int64_t grey = after_greylist(c, m), by = m->env.by;
	next = grey > next ? grey : next;
	return by > clock_wall() && by < next ? by : next;
}

bool
settle_is_expired(const struct courier *c, const struct message *m, int attempts)
{
	const struct relay *r = c->relay;
	int64_t now = clock_wall(), since = message_since(m), expire = r->common.relay.expire;
	return attempts >= EXPIRE_ATTEMPTS && now - since > expire &&
	       tended_since(&r->spool, since, now, conf_longest_retry(&r->common)) > expire;
}

bool
settle_is_too_late(const struct message *m)
{
	return m->env.by != 0 && m->env.by_mode == 'R' && clock_wall() >= m->env.by;
}

/* What the sender of a message that waits has not been told, and should be now: TOLD_*. */
static unsigned
news(const struct courier *c, const struct message *m)
{
	int64_t now = clock_wall();
	unsigned due = 0;
	if (c->relay->common.relay.delay_warning != 0 &&
		now - message_since(m) >= c->relay->common.relay.delay_warning)
		due |= TOLD_DELAYED;
	if (m->env.by != 0 && m->env.by_mode == 'N' && now >= m->env.by)
		due |= TOLD_OVERDUE | TOLD_DELAYED; /* one report for both */
	return due & ~m->told;
}

bool
settle_is_quiet(const struct courier *c, const char *id)
{
	struct message m;
	if (clock_wall() - id_time(id) > c->relay->common.relay.expire ||
		message_glance(&m, &c->tour->lane, id) < 0)
		return false;
	bool quiet = !settle_is_too_late(&m) && news(c, &m) == 0;
	message_close(&m);
	return quiet;
}

/* ---- settling a message ----------------------------------------------------------------- */

/* Has a recipient that was not settled before this outcome of the attempt? */
static bool
has_any(const struct message *m, enum outcome o)
{
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && m->rcpt[i].outcome == o)
			return true;
	return false;
}

bool
settle_any_end(const struct message *m)
{
	return has_any(m, DONE) || has_any(m, HARD);
}

/*
 * Queues a report of failures, of mail that was passed on where the sender wants to know that,
 * and, once, that the rest waits. 0 when it is durable, or there is nothing to report; else
 * -errno.
 */
static int
report(const struct courier *c, const struct message *m, bool waits)
{
	char id[ID_SIZE], lane[LANE_NAME_SIZE];
	unsigned due = waits && has_any(m, SOFT) ? news(c, m) : 0;
	int told = dsn_queue(m, &c->relay->spool, &c->relay->common, due != 0, id, lane);
	struct log_fields f = { .event = "report", .queue_id = m->id, .lane = c->tour->lane.name };
	if (told < 0) {
		counters_one(COUNTER_SPOOL_FAILURES);
		log_event(LOG_ERR, &f, "%s: cannot queue the report: %s; keeping what failed",
			m->id, strerror(-told));
		return told;
	}
	if (dsn_reader(told) != NULL) {
		counters_one(COUNTER_REPORTS);
		notes_tell_of(c->relay, lane);
		f.report = id;
		log_event(LOG_INFO, &f, "%s: %s is told by %s", m->id,
			dsn_reader(told), id);
	} else if (has_any(m, HARD)) {
		counters_one(COUNTER_REPORTS_DROPPED);
		log_event(LOG_NOTICE, &f, "%s: dropped: %s", m->id,
			told == DSN_NOBODY ? "no sender to tell" : "nobody wants to be told");
	}
	/* If that fails, the sender is told twice, which is better than never. */
	if (due != 0)
		(void)message_tell(m, &c->tour->lane, due);
	return 0;
}

/*
 * Recipients that are too old fail. If the failures cannot be reported, they become SOFT, so that
 * nothing is forgotten before its report is durable. `soon`: the rest is tried at once, so
 * nothing is too old yet.
 */
static void
settle_failures(const struct courier *c, struct message *m, bool soon)
{
	bool old = !soon && settle_is_expired(c, m, m->attempts + c->work.state.attempts + 1);
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		if (to->settled)
			continue;
		if (to->outcome == SOFT && old) {
			to->outcome = HARD;
			to->expired = true;
			buf_puts(&to->text, " (given up: 5.4.7 too old)");
		}
	}
	if (report(c, m, !soon) == 0)
		return;
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && m->rcpt[i].outcome == HARD) {
			m->rcpt[i].outcome = SOFT;
			m->rcpt[i].expired = false;
		}
}

/* Something about this message could not be written down. */
static void
log_trouble(const struct message *m, const char *what, int err, const char *then)
{
	struct log_fields f = { .event = "spool", .queue_id = m->id };
	counters_one(COUNTER_SPOOL_FAILURES);
	log_event(LOG_ERR, &f, "%s: cannot %s: %s; %s", m->id, what, strerror(-err), then);
}

/*
 * The message goes, or it is written down who waits: first who does not, in place, which no full
 * disk prevents; then words, which may be lost. 0 or -errno.
 */
static int
write_down(const struct courier *c, const struct message *m, bool waits, int64_t next, bool attempt,
	struct found *found)
{
	const struct lane *l = &c->tour->lane;
	int err = waits ? 0 : message_finish(m, l);
	if (err < 0)
		log_trouble(m, "remove it", err, "its recipients are marked as settled");
	else if (!waits)
		return 0;
	int marked = message_mark(m, l), noted = waits ? message_note(m, l, next, attempt) : 0;
	if (marked < 0) {
		log_trouble(m, "mark who is settled", marked,
			"nothing more is sent now, and those may get it once more");
		found->stop = true;
	} else if (noted < 0) {
		log_trouble(m, "write down what happened", noted,
			"nobody gets it twice; the lane rests");
	}
	err = marked < 0 ? marked : noted < 0 ? noted : err;
	found->last = found->last || err < 0;
	return err;
}

void
settle_message(const struct courier *c, struct message *m, bool unfinished, struct found *found)
{
	bool waits = false;
	if (m->attempts > 0 && has_any(m, DONE))
		hosts_waited(&c->relay->hosts, &c->work.to, clock_wall() - message_since(m));
	if (any_grey(m))
		hosts_mark(&c->relay->hosts, &c->work.to, HOST_GREYED);
	settle_failures(c, m, unfinished && settle_any_end(m));
	bool soon = unfinished && settle_any_end(m); /* a failure that cannot be reported is none */
	int64_t next = soon || !has_any(m, SOFT) ? clock_wall() : next_attempt(c, m);
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		waits = waits || m->rcpt[i].outcome == SOFT;
		log_recipient(c, m, &m->rcpt[i], next);
		count_recipient(c, m, &m->rcpt[i], soon);
	}
	int err = write_down(c, m, waits, next, !soon, found);
	if (!waits && err == 0)
		counters_one(COUNTER_MESSAGES_DONE);
	else if (waits && !soon)
		counters_one(COUNTER_MESSAGES_DEFERRED);
	if (waits || err < 0)
		found_note_next(found, err < 0 ? clock_wall() + BUSY_RETRY : next);
	if (soon && waits && err == 0)
		found->again = true;
}

/* The same outcome and text for all recipients. */
static void
say_of_all(struct message *m, enum outcome o, struct span why)
{
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		m->rcpt[i].outcome = o;
		buf_reset(&m->rcpt[i].text);
		buf_add(&m->rcpt[i].text, why);
	}
}

void
settle_all(const struct courier *c, struct message *m, enum outcome o, struct span why,
	struct found *found)
{
	say_of_all(m, o, why);
	settle_message(c, m, false, found);
}

void
settle_too_late(const struct courier *c, struct message *m, struct found *found)
{
	for (int i = 0; i < m->n; i++)
		m->rcpt[i].expired = true;
	settle_all(c, m, HARD, span_of("554 5.4.7 not delivered by the time the sender asked for"),
		found);
}

void
settle_waiting(const struct courier *c, struct message *m, struct found *found)
{
	say_of_all(m, SOFT, buf_span(&c->why));
	(void)report(c, m, true); /* if it cannot be queued, the next attempt will try again */
	found_note_next(found, c->work.state.next);
}

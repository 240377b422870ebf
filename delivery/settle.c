#include "delivery.h"

#include <errno.h>
#include <stdio.h>

#include "../lib/clock.h"
#include "../lib/log.h"
#include "dsn.h"

enum { EXPIRE_ATTEMPTS = 3 }; /* at least, before age alone ends a message: clocks jump (J12) */

/* ---- what happened ---------------------------------------------------------------------- */

static void
log_recipient(const struct relay *r, const struct message *m, const struct rcpt *to, int64_t next)
{
	static const char *const event[] = { [DONE] = "delivered", [SOFT] = "deferred",
		[HARD] = "bounced" };
	char rcpt[EVENT_SIZE], sender[EVENT_SIZE], when[64] = "";
	escape_text(rcpt, sizeof(rcpt), to->address);
	escape_text(sender, sizeof(sender), m->env.sender);
	if (to->outcome == SOFT)
		snprintf(when, sizeof(when), "; next try in %lld s",
			(long long)(next - clock_wall()));
	struct log_fields f = { .event = event[to->outcome], .queue_id = m->id, .sender = sender,
		.recipient = rcpt, .lane = r->lane.name,
		.relay = r->client.name[0] != '\0' ? r->client.name : NULL };
	log_event(to->outcome == DONE ? LOG_INFO : LOG_NOTICE, &f,
		"%s: %s <%s>, delay %lld s, %.*s%s", m->id, event[to->outcome], rcpt,
		(long long)(clock_wall() - m->arrived), (int)to->text.n,
		to->text.n > 0 ? to->text.p : "", when);
}

void
note_next(struct relay *r, int64_t next)
{
	if (r->next == 0 || next < r->next)
		r->next = next;
}

int64_t
longest_retry(const struct relay *r)
{
	int64_t longest = 0;
	for (int i = 0; i < r->conf.retries; i++)
		longest = r->conf.retry[i] > longest ? r->conf.retry[i] : longest;
	return longest;
}

int64_t
retry_after(const struct relay *r, int attempts)
{
	int last = r->conf.retries - 1;
	return clock_wall() + r->conf.retry[attempts < last ? attempts : last];
}

bool
is_expired(const struct relay *r, const struct message *m, int attempts)
{
	int64_t since = m->env.hold > m->arrived ? m->env.hold : m->arrived;
	return clock_wall() - since > r->conf.expire && attempts >= EXPIRE_ATTEMPTS;
}

/* ---- settling a message ----------------------------------------------------------------- */

/* Reports the hard failures. 0 when that is done, or nobody is to be told. */
static int
report(const struct relay *r, const struct message *m)
{
	char id[ID_SIZE];
	int err = dsn_queue(m, &r->spool, &r->conf, id);
	struct log_fields f = { .event = "report", .queue_id = m->id, .lane = r->lane.name };
	if (err == 0)
		log_event(LOG_INFO, &f, "%s: sender is told by %s", m->id, id);
	else if (err == -ENOENT)
		log_event(LOG_NOTICE, &f, "%s: dropped: no sender to tell", m->id);
	else
		log_event(LOG_ERR, &f, "%s: cannot queue the report: %s; keeping the message",
			m->id, strerror(-err));
	return err == -ENOENT ? 0 : err;
}

/* What expired fails; a failure that cannot be reported is put off. */
static bool
settle_failures(const struct relay *r, struct message *m, int attempts)
{
	bool any = false, old = is_expired(r, m, attempts);
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		if (to->settled)
			continue;
		if (to->outcome == SOFT && old) {
			to->outcome = HARD;
			buf_puts(&to->text, " (given up: 5.4.7 too old)");
		}
		any = any || to->outcome == HARD;
	}
	if (!any || report(r, m) == 0)
		return true;
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && m->rcpt[i].outcome == HARD)
			m->rcpt[i].outcome = SOFT;
	return false;
}

/* Writes down what an attempt brought: the message goes, or waits. */
void
settle_message(struct relay *r, struct message *m)
{
	int64_t next = retry_after(r, m->attempts);
	bool waits = false;
	(void)settle_failures(r, m, m->attempts + r->state.attempts + 1);
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		waits = waits || m->rcpt[i].outcome == SOFT;
		log_recipient(r, m, &m->rcpt[i], next);
	}
	int err = waits ? message_note(m, &r->lane, next) : message_remove(&r->lane, m->id);
	if (err < 0) {
		struct log_fields f = { .event = "spool", .queue_id = m->id };
		log_event(LOG_ERR, &f, "%s: cannot write down the outcome: %s", m->id,
			strerror(-err));
		next = clock_wall() + BUSY_RETRY;
	}
	if (waits || err < 0)
		note_next(r, next);
}

/* The same text and outcome for everybody. */
void
settle_all(struct relay *r, struct message *m, enum outcome o)
{
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		m->rcpt[i].outcome = o;
		buf_reset(&m->rcpt[i].text);
		buf_add(&m->rcpt[i].text, buf_span(&r->why));
	}
	settle_message(r, m);
}

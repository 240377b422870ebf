#include "sending/window.h"

#include "lib/cleanup.h"
#include "sending/exchange.h"
#include "sending/probe.h"

enum { CODE_TEXT = 4 }; /* where the text of a reply begins */

/* Replies to what was sent of the jobs, up to the text of the last one. */
static int
owed_before_text(const struct link *l)
{
	const struct job *last = l->flow.last;
	int owed = 0;
	for (const struct job *j = l->flow.first; j != last; j = j->next)
		if (j->end == JOB_OPEN)
			owed += j->n + 3; /* to MAIL, each RCPT, the text, RSET */
	return owed + 1 + last->n;
}

void
window_send(struct link *l, struct job *j)
{
	j->windowed = true;
	exchange_put_envelope(l, j);
	l->flow.awaited = owed_before_text(l);
	j->sent = body_put_chunk(l, &j->text);
	l->flow.awaited = -1;
	if (j->sent)
		link_puts(l, "RSET\r\n", l->terms.conf->timeout_mail);
	l->flow.cut = !j->sent; /* replies to the jobs before it may still come */
}

/*
 * A job whose words are not proved yet; others may stand between them, which did not fit this host.
 */
static bool
is_unproved(const struct job *j)
{
	return j->windowed && !j->in_step &&
		(j->end == JOB_OPEN || j->end == JOB_ANSWERED || j->turned_away);
}

/* All words of the window are taken back. */
static void
disagree(struct link *l)
{
	for (struct job *j = l->flow.first; j != NULL; j = j->next) {
		if (!is_unproved(j))
			continue;
		job_take_back(l, j);
		j->sent = j->sent || j->heard; /* whatever seemed to be the reply to its MAIL */
	}
	job_lose_all(l);
}

/*
 * After one reply too many, the one that is read as the word about the text is about the last
 * recipient. Does it look like that: as what was read for a recipient, or by its enhanced code?
 */
static bool
is_of_rcpt(const struct link *l, struct span of_rcpt)
{
	static const struct span address = { "2.1.", 4 };
	struct span word = buf_span(&l->text);
	return span_eq(word, of_rcpt) ||
		(word.n > CODE_TEXT && span_istarts(span_skip(word, CODE_TEXT), address));
}

/*
 * RSET is never refused (RFC 5321 section 4.1.1.5): a reply that is not 2yz belongs to another
 * command. Where none follows at all, a `doubtful` word about the text is none: a message that
 * comes twice is better than one that never came.
 */
static void
read_reset(struct link *l, struct job *j, bool doubtful)
{
	if (link_reply(l, "RSET", l->terms.conf->timeout_mail) < 0) {
		if (doubtful && j->end == JOB_ANSWERED)
			job_take_back(l, j);
		job_lose_all(l);
	} else if (l->bye) {
		job_lose_all(l);
	} else if (link_outcome(l->code) != DONE) {
		buf_puts(&l->text, " in reply to RSET");
		disagree(l);
	}
}

static void
read_job(struct link *l, struct job *j)
{
	if (!j->sent) {
		exchange_broke_off(l, j);
	} else if (!exchange_envelope(l, j, false)) {
		job_lose_all(l);
	} else {
		auto_buf of_rcpt = buf_new(LIMIT_REPLY_TEXT);
		buf_add(&of_rcpt, buf_span(&l->text));
		exchange_end(l, j, false);
		bool doubtful = job_any_done(j) && is_of_rcpt(l, buf_span(&of_rcpt));
		if (l->fd >= 0)
			read_reset(l, j, doubtful);
	}
}

/* Is every word of the window a yes? */
static bool
is_all_done(const struct link *l)
{
	for (const struct job *j = l->flow.first; j != NULL; j = j->next) {
		if (j->windowed && j->turned_away)
			return false;
		for (int i = 0; i < j->n && is_unproved(j); i++)
			if (j->to[i]->outcome != DONE)
				return false;
	}
	return true;
}

/*
 * The window was read to its end, or the connection was lost before: what of it is believed? If all
 * that came was a yes, every command was answered by one, whichever that was.
 */
static void
prove(struct link *l, enum mark mark)
{
	if (mark == MARK_MISPLACED || (mark == MARK_LATE && !is_all_done(l))) {
		disagree(l);
		return;
	}
	for (struct job *j = l->flow.first; j != NULL; j = j->next) {
		if (!is_unproved(j))
			continue;
		j->in_step = mark == MARK_SEEN;
		job_soften(l, j);
	}
	if (mark == MARK_REFUSED || mark == MARK_LATE)
		l->lessons |= LESSON_SINGLE;
	if (mark != MARK_SEEN)
		job_lose_all(l);
}

void
window_read(struct link *l)
{
	bool whole = !l->flow.cut;
	if (whole)
		probe_put_mark(l);
	for (struct job *j = l->flow.first; j != NULL && l->fd >= 0; j = j->next)
		if (j->end == JOB_OPEN)
			read_job(l, j);
	prove(l, l->fd >= 0 && whole ? probe_read_mark(l) : MARK_LOST);
}

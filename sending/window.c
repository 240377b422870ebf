#include "sending/window.h"

#include "lib/cleanup.h"
#include "sending/exchange.h"
#include "sending/probe.h"

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

/* Is it one whose words may be taken back: all of these, or that the connection broke in it? */
static bool
is_revocable(const struct job *j)
{
	return is_unproved(j) || (j->windowed && j->end == JOB_LOST && !j->unreadable);
}

/*
 * The words of the window are taken back, from this job on. Where the connection was lost behind
 * it, that was perhaps no farther than in its text; and a goodbye was the word about that.
 */
static void
disagree(struct link *l, struct job *from)
{
	l->bye = false;
	for (struct job *j = from; j != NULL; j = j->next) {
		if (!is_revocable(j))
			continue;
		job_take_back(l, j);
		j->sent = j->sent || j->heard; /* whatever seemed to be the reply to its MAIL */
	}
	job_lose_all(l);
}

/* The first job of the window of which a recipient was taken; there is one. */
static const struct job *
first_taken(const struct link *l)
{
	const struct job *j = l->flow.first;
	while (!j->windowed || j->accepted == 0)
		j = j->next;
	return j;
}

/*
 * After replies too many, what is read as the yes to the text was said to a RCPT, to MAIL or to the
 * RSET before. The first two are known by their enhanced code, or as what was read for them, here
 * or where the window began, where it was in step. For the last, the word about a text stands at
 * the last RCPT, which has no code of an address then, though the others have.
 */
static bool
is_doubtful(const struct link *l, const struct job *j)
{
	const struct job *first = first_taken(l);
	uint32_t word = job_mark(l);
	return job_names_address(l) || word == j->words.mail || word == j->words.rcpt ||
		word == first->words.mail || word == first->words.rcpt ||
		(first->words.address && !j->words.address);
}

/*
 * RSET is never refused (RFC 5321 section 4.1.1.5): a reply that is not 2yz belongs to another
 * command.
 */
static void
read_reset(struct link *l)
{
	if (link_reply(l, "RSET", l->terms.conf->timeout_mail) < 0 || l->bye) {
		job_lose_all(l);
	} else if (link_outcome(l->code) != DONE) {
		buf_puts(&l->text, " in reply to RSET");
		disagree(l, l->flow.first);
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
		exchange_end(l, j, false);
		j->doubtful = j->end == JOB_ANSWERED && job_any_done(j) && is_doubtful(l, j);
		if (l->fd >= 0)
			read_reset(l);
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
 * The first job from which on no word is believed; NULL: there is none. The mark in its place
 * proves them all. If it came late, but all that came was a yes, every command was answered by one,
 * whichever that was. Where it did not come at all, a yes that may be about something else is none,
 * and there is no telling how many replies too many stand behind that: a message that comes twice
 * is better than one that never came.
 */
static struct job *
first_disbelieved(const struct link *l, enum mark mark)
{
	struct job *j = l->flow.first;
	if (mark == MARK_MISPLACED || (mark == MARK_LATE && !is_all_done(l)))
		return j;
	if (mark == MARK_SEEN || mark == MARK_LATE)
		return NULL;
	while (j != NULL && !(is_unproved(j) && j->doubtful))
		j = j->next;
	return j;
}

/* The window was read to its end, or the connection was lost before: what of it is believed? */
static void
prove(struct link *l, enum mark mark)
{
	struct job *none = first_disbelieved(l, mark);
	for (struct job *j = l->flow.first; j != none; j = j->next) {
		if (!is_unproved(j))
			continue;
		j->in_step = mark == MARK_SEEN;
		job_soften(l, j);
	}
	if (mark == MARK_REFUSED || mark == MARK_SHORT || mark == MARK_LATE)
		l->lessons |= LESSON_SINGLE;
	if (none != NULL)
		disagree(l, none);
	else if (mark != MARK_SEEN)
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

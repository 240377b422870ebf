#include "sending/job.h"

#include "sending/refusal.h"
#include "sending/tlsclient.h"

enum { CODE_TEXT = 4 }; /* where the text of a reply begins */

static const char duplicate[] = " (it may have been delivered: possible duplicate)";

/*
 * "Bad sequence of commands", of commands that were in the right one, is what hosts say that offer
 * PIPELINING and lose their way in it: a command at a time will show (L21).
 */
static bool
is_lost_in_group(const struct link *l)
{
	return l->code == CODE_OUT_OF_ORDER && link_can(l, CAN_PIPELINING);
}

/* A refusal that may be about anything but the mail is not for good. */
static enum outcome
weigh(struct link *l, enum outcome o)
{
	if (o == SOFT && refusal_misses_tls(l))
		l->flow.about |= REFUSAL_FALLBACK;
	if (o != HARD)
		return o;
	unsigned about = refusal_about(l);
	l->flow.about |= about;
	if (is_lost_in_group(l))
		l->lessons |= LESSON_LOCKSTEP;
	return about == REFUSAL_MAIL && !is_lost_in_group(l) ? HARD : SOFT;
}

void
job_settle(struct link *l, struct rcpt *r, enum outcome o)
{
	r->outcome = weigh(l, o);
	r->taker.final = link_is_final(l);
	buf_reset(&r->text);
	buf_printf(&r->text, "%s: ", l->terms.name);
	buf_add(&r->text, buf_span(&l->text));
}

void
job_settle_accepted(struct link *l, struct job *j, enum outcome o)
{
	for (int i = j->replied; i < j->n; i++)
		if (j->to[i]->outcome == DONE)
			job_settle(l, j->to[i], o);
}

/* FNV-1a. Two that are the same by chance cost no more than a doubt. */
uint32_t
job_mark(const struct link *l)
{
	uint32_t mark = 2166136261U;
	for (size_t i = 0; i < l->text.n; i++)
		mark = (mark ^ (unsigned char)l->text.p[i]) * 16777619U;
	return mark;
}

bool
job_names_address(const struct link *l)
{
	static const struct span address = { "2.1.", 4 };
	struct span word = buf_span(&l->text);
	return word.n > CODE_TEXT && span_istarts(span_skip(word, CODE_TEXT), address);
}

void
job_free(struct job *j)
{
	buf_free(&j->signature);
}

void
job_forget(struct job *j)
{
	j->end = JOB_UNTRIED;
	for (int i = 0; i < j->n; i++) {
		j->to[i]->outcome = SOFT;
		buf_reset(&j->to[i]->text);
	}
}

void
job_soften(struct link *l, struct job *j)
{
	for (int i = 0; i < j->n && !j->in_step; i++) {
		if (j->to[i]->outcome != HARD)
			continue;
		j->to[i]->outcome = SOFT;
		l->lessons |= j->windowed ? LESSON_SINGLE : LESSON_LOCKSTEP;
	}
}

void
job_reopen(struct job *j)
{
	j->end = JOB_OPEN;
	j->in_step = false;
	j->accepted = j->replied = 0;
	for (int i = 0; i < j->n; i++)
		j->to[i]->outcome = DONE; /* until there is a word about it */
}

void
job_take_back(struct link *l, struct job *j)
{
	l->flow.answered -= j->end == JOB_ANSWERED;
	job_reopen(j);
}

bool
job_any_done(const struct job *j)
{
	for (int i = 0; i < j->n; i++)
		if (j->to[i]->outcome == DONE)
			return true;
	return false;
}

/* Another one may have been blamed for the same loss, and taken back since. */
static bool
is_warned(const struct link *l)
{
	return memmem(l->text.p, l->text.n, duplicate, sizeof(duplicate) - 1) != NULL;
}

/* The connection broke in this job, perhaps because of it. */
static void
blame(struct link *l, struct job *j)
{
	j->end = JOB_LOST;
	if (j->sent && !is_warned(l))
		buf_puts(&l->text, duplicate);
	job_soften(l, j);
	job_settle_accepted(l, j, SOFT);
}

/* Its recipients wait, and it is not to blame. */
static void
put_off(struct link *l, struct job *j)
{
	j->end = JOB_ANSWERED;
	job_soften(l, j);
	job_settle_accepted(l, j, SOFT);
}

/*
 * The connection has served, perhaps for another target, and the host said nothing about this job:
 * it may take so many by a connection.
 */
static bool
is_next(const struct link *l, const struct job *j)
{
	return link_has_served(l) && !j->heard;
}

/* What went out in one go with the replies to come, and is not known to have been understood. */
static bool
is_group(const struct link *l, const struct job *j)
{
	return link_can(l, CAN_PIPELINING) && !j->in_step;
}

/*
 * May the connection have been lost because of this job, the first open one? Many hosts close after
 * some messages, or after a pause, and say nothing: so on a connection that has served, only if the
 * host had begun to answer it. On any other there is only the host beside it that may be to blame.
 * And a host that fell silent in a group may not have heard all of it: it is met again a command at
 * a time, and only then a job is blamed (L21).
 */
static bool
may_be_guilty(const struct link *l, const struct job *j)
{
	bool alone = j->heard ? !j->turned_away : !link_has_served(l);
	bool unheard = is_group(l, j) && !j->sent && !l->hung_up;
	return j->unreadable || j->replied > 0 || (alone && !unheard);
}

/*
 * The host said goodbye in this job. On a connection that has served another one will do, at once;
 * else the recipients wait. LMTP's last word to some of them stands in any case.
 */
static bool
is_put_off(const struct link *l, const struct job *j)
{
	return j->replied > 0 || (j->heard && !j->turned_away && !link_has_served(l));
}

bool
job_minds_words(const struct link *l, const struct job *j)
{
	bool again = false;
	for (int i = 0; i < j->n && j->replied == 0; i++)
		again = again || j->to[i]->again;
	return again && l->flow.dropped != 0 && !j->unreadable;
}

/* What is to be done otherwise with this host, after a loss with this job open. */
static unsigned
lesson_of(const struct link *l, const struct job *j)
{
	if (j->unreadable)
		return 0;
	if (job_minds_words(l, j))
		return LESSON_FEWER;
	if (j->windowed)
		return LESSON_SINGLE;
	if (is_next(l, j) && l->hung_up)
		return 0;
	return is_group(l, j) || j->next != NULL ? LESSON_LOCKSTEP : 0;
}

/*
 * The first open job is the one in which the connection was lost; of the others no reply came.
 * After 421 the host has taken no message that it did not answer (RFC 5321 section 3.8); after any
 * other loss it may have.
 */
void
job_lose_all(struct link *l)
{
	bool first = true;
	if (l->proof.tls != NULL && !link_has_served(l))
		(void)tlsclient_disown(l->proof.tls);
	link_close(l);
	for (struct job *j = l->flow.first; j != NULL; j = j->next) {
		if (j->end != JOB_OPEN)
			continue;
		bool minds = first && job_minds_words(l, j);
		if (first && (!l->bye || minds))
			l->lessons |= lesson_of(l, j);
		j->sent = j->sent && !l->bye;
		if (minds)
			job_forget(j);
		else if (first && l->bye && is_put_off(l, j))
			put_off(l, j);
		else if (first && !l->bye && may_be_guilty(l, j))
			blame(l, j);
		else
			job_forget(j);
		first = false;
	}
}

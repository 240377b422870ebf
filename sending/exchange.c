#include "sending/exchange.h"

#include "sending/mail_rcpt.h"
#include "sending/probe.h"
#include "sending/refusal.h"

enum {
	START_DATA = 354,
	BUSY = 450,
	TROUBLE = 451,   /* this and BUSY to RCPT: a greylist, perhaps */
	NO_ROOM = 452,   /* to RCPT: one too many for this transaction (RFC 5321 4.5.3.1.10) */
	TOO_MANY = 552,  /* ... said by old hosts; others say it in words alone (refusal.h) */
	NO_PARAMETER = 504, /* from CODE_UNKNOWN up to this it is about the command itself */
};

enum { DOUBLINGS = 2 }; /* of the time that a word about a text may take */

/*
 * Replies and commands disagree: nobody of the transaction keeps an outcome, and the last word
 * about the one before may have been another one (L11).
 */
static void
disagree(struct link *l, struct job *j)
{
	for (struct job *before = l->flow.first; before != j; before = before->next) {
		before->in_step = false;
		job_soften(l, before);
	}
	job_take_back(l, j);
	job_lose_all(l);
}

/* All replies to the job are there. */
static void
end_job(struct link *l, struct job *j)
{
	bool closes = l->code == CODE_GOODBYE;
	if (j->turned_away) {
		job_forget(j);
		j->sent = false; /* or it was refused */
	} else if (!closes || !job_minds_words(l, j))
		j->end = JOB_ANSWERED;
	l->flow.answered += j->end == JOB_ANSWERED && (!closes || job_any_done(j));
	if (closes)
		job_lose_all(l);
}

/*
 * Behind a MAIL that was taken, a refusal is about the mail, unless its words name the connection,
 * which has brought others before: the next one will tell (L8).
 */
static bool
is_spent(struct link *l)
{
	bool spent = l->flow.taken > 1 && refusal_names_connection(l);
	l->flow.full = l->flow.full || spent;
	return spent;
}

/* ---- the envelope ------------------------------------------------------------------------- */

/* If it is taken, the host has its words, though it may refuse those of another one meanwhile. */
static void
put_rcpt(struct link *l, struct rcpt *r)
{
	r->taker.dsn = link_can(l, CAN_DSN);
	mail_rcpt_put_rcpt(l, r);
}

void
exchange_put_envelope(struct link *l, const struct job *j)
{
	mail_rcpt_put_mail(l, &j->text);
	for (int i = 0; i < j->n; i++)
		put_rcpt(l, j->to[i]);
}

/*
 * The reply to a MAIL that the host refuses: may that be about the connection, which has brought it
 * enough, and not about the message? Whatever the code is (503, 550, 554, 450 ... are in use): the
 * first MAIL of another connection will tell. Or would it take the message by a connection for
 * which nothing is remembered that we had better do without?
 */
static bool
is_full(const struct link *l)
{
	bool hard = link_outcome(l->code) == HARD;
	bool stale = l->terms.remembered && (refusal_misses_tls(l) ||
		(hard && (refusal_about(l) & REFUSAL_FALLBACK) != 0));
	return stale || (l->flow.taken > 0 && link_outcome(l->code) != DONE);
}

/* The reply to MAIL. False: the connection is lost. */
static bool
read_mail(struct link *l, struct job *j, bool lock_step)
{
	if (link_reply(l, "MAIL", l->terms.conf->timeout_mail) < 0)
		return false;
	j->heard = true;
	j->words.mail = job_mark(l);
	j->turned_away = is_full(l);
	l->flow.full = l->flow.full || j->turned_away;
	l->flow.taken += link_outcome(l->code) == DONE;
	bool again = refusal_drops_words(l, &j->text,
		mail_rcpt_mail_words(j->offered, &j->text));
	for (int i = 0; i < j->n; i++) {
		job_settle(l, j->to[i], link_outcome(l->code));
		j->to[i]->taker.deliverby = (j->offered & CAN_DELIVERBY) != 0;
		j->to[i]->again = again;
		j->to[i]->own = false;
	}
	j->sent = j->sent && link_outcome(l->code) == DONE; /* or no text is taken */
	return lock_step || l->code != CODE_GOODBYE;
}

/*
 * The reply to a RCPT; `mail` is what became of MAIL. Where the connection has brought enough for
 * this one, others of the transaction may be taken: he goes behind them, as one too many does.
 */
static void
settle_rcpt(struct link *l, struct job *j, struct rcpt *r, enum outcome mail)
{
	bool spent = mail == DONE && is_spent(l);
	bool many = spent || l->code == NO_ROOM || l->code == TOO_MANY ||
		refusal_counts_recipients(l);
	if (mail == DONE) {
		r->again = !spent &&
			refusal_drops_words(l, &j->text, mail_rcpt_rcpt_words(j->offered, r));
		job_settle(l, r, many ? SOFT : link_outcome(l->code));
	}
	r->own = mail == DONE && r->outcome != DONE;
	r->grey = mail == DONE && !many && (l->code == BUSY || l->code == TROUBLE);
	r->crowded = spent || (j->accepted > 0 && many);
	j->turned_away = j->turned_away || spent;
	if (r->outcome != DONE)
		return;
	j->accepted++;
	j->words.rcpt = job_mark(l);
	j->words.address = job_names_address(l);
}

bool
exchange_envelope(struct link *l, struct job *j, bool lock_step)
{
	j->in_step = lock_step;
	if (!read_mail(l, j, lock_step))
		return false;
	enum outcome mail = link_outcome(l->code);
	j->cut = mail == DONE;
	for (int i = 0; i < j->n && (mail == DONE || !lock_step); i++) {
		if (lock_step && link_said_more(l, i == 0 ? "MAIL" : "RCPT")) {
			job_take_back(l, j);
			return false;
		}
		if (lock_step)
			put_rcpt(l, j->to[i]);
		if (link_reply(l, "RCPT", l->terms.conf->timeout_rcpt) < 0)
			return false;
		settle_rcpt(l, j, j->to[i], mail);
	}
	j->sent = j->sent && j->accepted > 0; /* without a recipient neither */
	j->turned_away = j->turned_away && j->accepted == 0;
	return true;
}

/* What was said of a transaction that came to nothing counts if it was in step. */
static void
give_up_by(struct link *l, struct job *j, enum mark mark)
{
	bool odd = mark == MARK_MISPLACED || mark == MARK_LATE;
	if (mark == MARK_LOST && (!j->in_step || job_minds_words(l, j))) {
		job_lose_all(l); /* what was said stays in the log, and is for now */
	} else if (odd || ((mark == MARK_REFUSED || mark == MARK_SHORT) && !j->in_step)) {
		disagree(l, j);
	} else {
		j->in_step = true;
		j->cut = j->cut && j->accepted > 0; /* or each of them had his word */
		end_job(l, j);
		if (mark != MARK_SEEN)
			job_lose_all(l);
	}
}

/* Ends a transaction that comes to nothing. */
static void
give_up(struct link *l, struct job *j)
{
	if (l->code == CODE_GOODBYE) {
		job_soften(l, j);
		end_job(l, j);
	} else if (link_said_more(l, "RCPT")) {
		disagree(l, j);
	} else {
		bool group = link_can(l, CAN_PIPELINING);
		give_up_by(l, j, group ? probe_reset_and_mark(l) : probe_reset(l));
	}
}

/*
 * Does it refuse a transaction with several recipients because they are so many? Fewer will do, and
 * nobody of them is to blame (RFC 3463 X.5.3).
 */
static bool
is_crowd(const struct link *l, const struct job *j)
{
	return j->accepted > 1 && refusal_counts_recipients(l);
}

/* ---- the text ----------------------------------------------------------------------------- */

void
exchange_broke_off(struct link *l, struct job *j)
{
	j->unreadable = !l->stream.broken;
	if (l->stream.broken && link_is_spoiled(l) &&
		(!j->windowed || exchange_envelope(l, j, false)) &&
		link_reply(l, "sending the message", l->terms.conf->timeout_quit) == 0 &&
		link_outcome(l->code) == HARD)
		job_settle_accepted(l, j, HARD);
	j->cut = false;
	job_lose_all(l);
}

static void
put_body(struct link *l, struct job *j)
{
	l->flow.awaited = 0;
	j->sent = j->text.binary ? body_put_chunk(l, &j->text)
		: body_put_lines(l, &j->text);
	l->flow.awaited = -1;
	if (!j->sent)
		exchange_broke_off(l, j);
}

void
exchange_follow_data(struct link *l, struct job *j)
{
	bool go_on = l->code == START_DATA, no = l->code >= 400;
	j->cut = false;
	j->in_step = j->in_step || go_on;
	if ((!go_on && !no) || (go_on && link_said_more(l, "DATA"))) {
		disagree(l, j); /* or it would be taken for the reply to the end */
	} else if (go_on && j->accepted > 0) {
		put_body(l, j);
	} else if (go_on && link_is_final(l)) { /* LMTP, and no reply would follow */
		link_say(l, "DATA", "taken though nobody is to get it");
		job_lose_all(l);
	} else if (go_on) { /* without a recipient: an empty text (RFC 2920 section 3.1) */
		link_puts(l, ".\r\n", l->terms.conf->timeout_data_block);
	} else {
		j->turned_away = j->turned_away || (j->accepted > 0 && is_spent(l));
		j->cut = !j->turned_away && is_crowd(l, j);
		bool hard = !j->turned_away && !j->cut && link_outcome(l->code) == HARD;
		job_settle_accepted(l, j, hard ? HARD : SOFT);
		give_up(l, j);
	}
}

void
exchange_follow_envelope(struct link *l, struct job *j)
{
	if (j->accepted == 0)
		give_up(l, j);
	else if (link_said_more(l, "RCPT"))
		disagree(l, j);
	else if (j->text.binary) /* BDAT has no reply before the text */
		put_body(l, j);
	else if (link_ask(l, "DATA", "", l->terms.conf->timeout_data_start) < 0)
		job_lose_all(l);
	else
		exchange_follow_data(l, j);
}

/* ---- the word about it -------------------------------------------------------------------- */

/* Did the text go by BDAT? */
static bool
by_chunk(const struct job *j)
{
	return j->windowed || j->text.binary;
}

/*
 * What a reply says about the text. 500 to 504 are about BDAT itself, which the host has not after
 * all: nothing for good, and the next attempt does without it (L10).
 */
static enum outcome
outcome_of_text(struct link *l, const struct job *j)
{
	bool unknown = l->code >= CODE_UNKNOWN && l->code <= NO_PARAMETER;
	if (!by_chunk(j) || !unknown || j->accepted == 0)
		return link_outcome(l->code);
	probe_drops_bdat(l);
	return SOFT;
}

/*
 * Something follows the last word of a transaction. One word about the text was in its place; but
 * of several it is not known whose each of them was, and a refusal is not sure.
 */
static void
hear_more(struct link *l, struct job *j)
{
	if (l->fd < 0 || !link_said_more(l, "end of data"))
		return;
	j->in_step = false;
	job_soften(l, j);
	if (link_is_final(l) && j->accepted > 1)
		job_take_back(l, j);
	job_lose_all(l);
}

/*
 * Are there several words to one text, and can it be told whose each is? The list of LHLO is known
 * by its keywords.
 */
static bool
can_prove_words(const struct link *l, const struct job *j)
{
	return link_is_final(l) && j->accepted > 1 && !by_chunk(j) && link_can(l, CAN_PIPELINING);
}

/*
 * Behind the last of several words stands LHLO once more: when one came too many, one is left, and
 * stands before the list, however late. Where a refusal stands there, it may be that one, or
 * LHLO's: RSET, which is never refused, tells.
 */
static void
prove_each_word(struct link *l, struct job *j)
{
	enum mark mark = probe_read_mark(l);
	if (mark == MARK_REFUSED)
		mark = probe_reset(l);
	if (mark != MARK_SEEN && mark != MARK_LOST && mark != MARK_SHORT) {
		j->in_step = false;
		j->sent = true; /* what it heard may have been another one's word */
		job_take_back(l, j);
	}
	if (mark != MARK_SEEN)
		job_lose_all(l);
}

/*
 * How long the word about the text is waited for, s. Where it did not come in time before, it is
 * for longer: what takes a host so long may be the delivery, and each attempt brings it once more
 * (RFC 1047).
 */
static int64_t
end_patience(const struct link *l, const struct job *j)
{
	int doublings = j->m->lates < DOUBLINGS ? j->m->lates : DOUBLINGS;
	return l->terms.conf->timeout_data_end << doublings;
}

/*
 * LMTP has a reply for each recipient that was accepted, in their order (RFC 2033 section 4.2).
 * False: the connection is lost.
 */
static bool
read_each_end(struct link *l, struct job *j)
{
	for (int i = 0; i < j->n; i++) {
		if (j->to[i]->outcome != DONE)
			continue;
		if (link_reply(l, "end of data", end_patience(l, j)) < 0)
			return false;
		bool spent = is_spent(l);
		job_settle(l, j->to[i], spent ? SOFT : outcome_of_text(l, j));
		j->to[i]->own = true;
		j->to[i]->crowded = j->to[i]->crowded || spent;
		j->turned_away = j->turned_away || spent;
		j->replied = i + 1;
	}
	j->turned_away = j->turned_away && !job_any_done(j); /* or he would get it twice */
	return true;
}

static bool
read_end(struct link *l, struct job *j)
{
	if (link_is_final(l) && j->accepted > 0)
		return read_each_end(l, j);
	if (link_reply(l, "end of data", end_patience(l, j)) < 0)
		return false;
	j->turned_away = j->turned_away || (j->accepted > 0 && is_spent(l));
	enum outcome o = j->turned_away ? SOFT : outcome_of_text(l, j);
	j->cut = !j->turned_away && is_crowd(l, j);
	job_settle_accepted(l, j, j->cut ? SOFT : o);
	return true;
}

void
exchange_end(struct link *l, struct job *j, bool last)
{
	bool several = can_prove_words(l, j);
	j->cut = false;
	if (several)
		probe_put_mark(l);
	if (!read_end(l, j)) {
		j->late = j->sent && l->silent;
		job_lose_all(l);
		return;
	}
	if (by_chunk(j) && !j->windowed && !job_any_done(j))
		give_up(l, j); /* what fails in BDAT is not over (RFC 3030 section 2) */
	else
		end_job(l, j);
	if (several && l->fd >= 0)
		prove_each_word(l, j);
	else if (last)
		hear_more(l, j);
}

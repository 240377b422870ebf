/*
 * job: one transaction, and what became of it.
 *
 * A reply is a word about a recipient only as long as replies and commands are in step. Each way to
 * send has its own proof of that (exchange.h, window.h), and until it is there a word may be taken
 * back: after a disagreement nobody of the transaction keeps an outcome.
 */
#ifndef POSTERN_JOB_H
#define POSTERN_JOB_H

#include "sending/body.h"

enum { JOB_RCPTS = 100 }; /* recipients of one transaction (RFC 5321 section 4.5.3.1.8) */

struct job {
	const struct message *m;
	struct rcpt *to[JOB_RCPTS];
	int n;
	int domains; /* of them, where the host set a limit */
	enum job_end {
		JOB_OPEN,
		JOB_ANSWERED, /* each recipient has its outcome */
		JOB_LOST,     /* the connection broke in it: SOFT, and it may be to blame */
		JOB_UNTRIED,  /* the connection broke before its turn: no reply was about it */
	} end;
	bool sent; /* the text went out whole: after a loss, the host may have taken it */
	bool cut;  /* it ended behind MAIL and before the text, or for the number of recipients:
	            * the host may mind one of them, or so many */

	bool late; /* it went out whole, and no word about it came in time */

	/* of sending/ */
	struct text text;
	struct buf signature; /* ... which begins with this */
	struct job *next;
	bool windowed;
	bool heard;       /* a reply to its MAIL came */
	bool in_step;     /* the replies to it are known to be to it; else they may be taken back */
	bool unreadable;  /* its text broke off on our side */
	bool turned_away; /* it got a refusal that may be about this connection */
	unsigned offered; /* l->host.can as it was when the envelope went out */
	struct job_words {
		uint32_t mail, rcpt; /* job_mark of the replies to MAIL, the last RCPT taken */
		bool address; /* the latter has the code of an address (job_names_address) */
	} words;
	bool doubtful; /* what was read as the yes to its text may be one to its envelope */
	int accepted;
	int replied; /* LMTP: so many of `to` have heard the last word */
};

/* What the last reply says about a recipient. */
void job_settle(struct link *l, struct rcpt *r, enum outcome o);

/* The same for all recipients that were accepted and have not had the last word yet. */
void job_settle_accepted(struct link *l, struct job *j, enum outcome o);

/* What it owns is freed. */
void job_free(struct job *j);

/* The job is as if it had never been started. */
void job_forget(struct job *j);

/*
 * A refusal for good is one for now, unless it is known to be in step. The next attempt is to go in
 * a way that shows it.
 */
void job_soften(struct link *l, struct job *j);

/* Nothing was heard of this job: nobody of it has an outcome. */
void job_reopen(struct job *j);

/* ... as far as we know now: what seemed to be replies to it was about something else. */
void job_take_back(struct link *l, struct job *j);

/*
 * By these the last reply is known again in another place: a number for its words, and whether its
 * enhanced code is the one of an address (RFC 3463 X.1), as those to MAIL and RCPT are.
 */
uint32_t job_mark(const struct link *l);
bool job_names_address(const struct link *l);

/* Has the host taken the message for at least one of its recipients? */
bool job_any_done(const struct job *j);

/*
 * Was somebody refused for words that can be left out? What was dropped is dropped by the next
 * connection too, if this one ends before he had his other try.
 */
bool job_minds_words(const struct link *l, const struct job *j);

/*
 * The connection is of no more use, for the reason in l->text: it is closed, and no job is open any
 * more. What there is to learn from that is in l->lessons.
 */
void job_lose_all(struct link *l);

#endif

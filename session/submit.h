/*
 * submit: what a transaction makes of the addresses and the header of mail of our own.
 *
 *	submit_begin, submit_sender, submit_plan, submit_recipient..., submit_end
 *
 * What becomes of it is decided in conf/submission.h; here it is done, and written down for the
 * log. Of a client that is no submitter everything stays as it was given, but that guard may send
 * it elsewhere.
 */
#ifndef POSTERN_SUBMIT_H
#define POSTERN_SUBMIT_H

#include "conf/submission.h"
#include "queue/draft.h"
#include "session/reply.h"

enum {
	SUBMIT_CHANGES = 2000,        /* octets of what the log says about changed addresses */
	SUBMIT_ORIGINALS = 64 * 1024, /* of recipients whose mail is redirected: 1000 or so */
};

/* Of one message. */
struct submit {
	const struct conf *conf;
	unsigned submitter;    /* SUBMITTER_* of the client; 0: it is none */
	struct draft *draft;
	struct span sender;    /* in the envelope, as long as the transaction */
	bool utf8_address;     /* one that was put there instead needs SMTPUTF8 */
	bool rewrites;         /* the header is rewritten, by */
	struct rewrite rewrite;
	struct buf changes;    /* of addresses in the envelope, for the log */
	struct buf originals;  /* X-Original-To: fields, to come behind Received: */
};

/* The one before has ended, or *s was zeroed. What the others point to lives as long as *s. */
void submit_begin(struct submit *s, const struct conf *conf, unsigned submitter,
	struct draft *draft);

/*
 * The sender in the envelope instead of the one that was given; it may be written to `room`.
 * Before the draft begins.
 */
struct span submit_sender(struct submit *s, struct span given,
	char room[static SUBMISSION_SENDER]);

/* What is to be done to the header, once the draft has an id. The sender that it became. */
void submit_plan(struct submit *s, struct span sender);

/*
 * Puts a recipient, whose own lane is `lane`, into the draft, or those who get the mail instead:
 * all of them, or none. R_RCPT_OK, or the reply that refuses. *terms may change.
 */
enum reply submit_recipient(struct submit *s, const struct address *to, const char *lane,
	struct terms *terms);

/* Addresses and what they became, and the fields that were added (REWRITE_*), for the log. */
void submit_changes(const struct submit *s, struct buf *out);
unsigned submit_added(const struct submit *s);

/* Frees the memory. */
void submit_end(struct submit *s);

#endif

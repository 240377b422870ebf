/*
 * transaction: one mail transaction, from MAIL to the verdict on its data (RFC 5321 section 3.3).
 *
 *	transaction_mail, transaction_rcpt..., transaction_start_data, then transaction_data... or
 *	transaction_chunk..., then transaction_finish; transaction_drop at any point
 *
 * It decides what is accepted and fills the draft of the queued message; each step returns the
 * reply it deserves. It never talks to the client and never logs.
 */
#ifndef POSTERN_TRANSACTION_H
#define POSTERN_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mail/chunk.h"
#include "mail/dot.h"
#include "mail/eightbit.h"
#include "mail/hops.h"
#include "mail/message_id.h"
#include "queue/draft.h"
#include "session/reply.h"
#include "session/submit.h"

enum { TRANSACTION_TEXT = 4 * LIMIT_ADDRESS + 8 }; /* an escaped address, and NUL */

/* Where a message came from and how, for its Received: field (section 4.4). */
struct trace {
	const char *helo;     /* what the client called itself, whatever that is */
	const char *peer;     /* address literal of the client, or NULL if it has none */
	char user[16];        /* ... or "uid=33", of a user of this host; else empty */
	const char *hostname; /* of this host */
	const char *with;     /* SMTP, ESMTP, ... (RFC 3848) */
	const char *with_utf8; /* ... where SMTPUTF8 was needed (RFC 6531 section 4.3) */
	const char *cipher;   /* of TLS (RFC 8314 section 4.3), or NULL */
};

struct transaction {
	bool open;                        /* MAIL was accepted */
	char given[LIMIT_ADDRESS + 1];    /* the sender as given; an address holds no NUL */
	char reverse[LIMIT_ADDRESS + 1];  /* ... and as it goes out */
	char sender[TRANSACTION_TEXT];    /* escaped, for the log */
	char recipient[TRANSACTION_TEXT]; /* the first one as it was given, for FOR */
	int64_t max_size;
	enum body body;
	bool utf8;                        /* SMTPUTF8 was said, */
	bool utf8_address;                /* and an address needs it */
	bool chunked;                     /* BDAT was accepted */
	struct dot dot;
	struct chunk chunk;
	struct header header;
	int hops;
	struct eightbit eightbit;         /* heard where it matters, to wit with SMTPUTF8 */
	struct message_id message_id;
	struct trace trace;               /* for the field that is to come before what is held */
	bool traced;                      /* it was written */
	struct buf held;                  /* the header so far, while it may need SMTPUTF8 or not */
	bool folded;                      /* the first line would continue our Received: field */
	struct submit submit;             /* what becomes of mail of our own */
	int64_t size;                     /* octets of data so far */
	struct draft draft;               /* large, and touched where it begins */
};

/* What the client may do. */
struct rights {
	bool any_domain;     /* may send to any domain */
	unsigned submitter;  /* ... as whom (SUBMITTER_*); 0: its mail passes as it is */
	unsigned offered;    /* what it may use (OFFER_* of arguments.h) */
	struct span senders; /* may send from these only (match.h); empty: from any */
	bool bound;          /* a user of this host who may not send from any (local_senders) */
};

/* The last question about an address that is fine otherwise: R_FINE, or a refusal. */
typedef enum reply approve_fn(void *ctx, struct span address);

/* Nothing has begun; *t was zeroed. */
void transaction_init(struct transaction *t);

/* The argument of MAIL. R_SENDER_OK, or the reply that refuses. */
enum reply transaction_mail(struct transaction *t, const struct spool *s, const struct conf *conf,
	const struct rights *may, struct span arg, approve_fn *approve, void *ctx);

/* The argument of RCPT. R_RCPT_OK, or the reply that refuses. */
enum reply transaction_rcpt(struct transaction *t, const struct conf *conf,
	const struct rights *may, struct span arg, approve_fn *approve, void *ctx);

/* May data follow, by DATA or by BDAT? R_START_DATA, or the reply that refuses. */
enum reply transaction_ready(const struct transaction *t, bool chunked);

/*
 * Begins the data with a Received: field; what *trace points to lives as long as the transaction.
 * `lenient` as in dot.h, for data that is not chunked.
 */
void transaction_start_data(struct transaction *t, const struct trace *trace, bool chunked,
	bool lenient);

/* Takes data as it comes; *used and result as dot_read. What is refused anyway is not kept. */
enum dot_result transaction_data(struct transaction *t, struct span in, size_t *used);

/* Takes octets of a chunk. R_CHUNK_OK while nothing speaks against the message, or a refusal. */
enum reply transaction_chunk(struct transaction *t, struct span in);

/*
 * After the end of the data: R_QUEUED, and then the message is durable, or the reply that refuses
 * it. *err is the -errno of a spool that failed, else 0. The draft still has its id and lanes; the
 * caller drops it.
 */
enum reply transaction_finish(struct transaction *t, int *err);

/* The Message-ID with which it is queued, as the log has it; "": it has none. */
void transaction_message_id(const struct transaction *t, char out[static MESSAGE_ID_TEXT]);

/* Forgets the transaction. What was queued stays queued. */
void transaction_drop(struct transaction *t);

/* The same, and no octet of it or of those before is left in *t, which is zeroed. */
void transaction_wipe(struct transaction *t);

#endif

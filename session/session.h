/*
 * session: the conversation with one client, in a process of its own.
 *
 *	loop      the process: locks itself in, meets the client, reads commands until the end
 *	commands  the table of commands, what the simple ones do
 *	secure    STARTTLS and AUTH
 *	receive   the data of a message: DATA and BDAT
 *	say       writes replies
 *	offers    what EHLO offers to this client
 *
 * Here is what these share. What a transaction accepts is decided in session/transaction.c; the texts
 * stand in session/reply.h.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include "conf/conf.h"
#include "lib/stream.h"
#include "lib/tlsinfo.h"
#include "process/authwire.h"
#include "process/log.h"
#include "process/quota.h"
#include "queue/spool.h"
#include "session/helper.h"
#include "session/peer.h"
#include "session/reply.h"
#include "session/transaction.h"

enum { HELO_SIZE = LIMIT_DOMAIN + 1 };

struct session {
	struct conf conf;
	struct spool spool;
	struct peer peer;
	struct rights rights;
	bool proxy;                   /* the proxy speaks for itself, or will not say for whom */
	int monitor;                  /* requests go there (request.h) */
	const volatile int *stop;     /* set by a signal */
	bool secure;                  /* TLS is spoken; then: */
	struct tlsinfo tls;
	char user[LIMIT_ADDRESS + 1]; /* who authenticated; empty: nobody */
	char senders[AUTH_SENDERS];   /* addresses the user may send from */
	int auth_failures;
	struct quota quota;
	char check_text[CHECK_TEXT];  /* of the last recipient_check or sender_check */

	bool linger;                  /* a client that still sends is to hear why it is left */
	bool hush;                    /* what comes may belong to an AUTH that was refused */

	int64_t end; /* of the session's time (clock.h) */
	struct stream stream;
	char helo[HELO_SIZE]; /* empty: not said yet */
	bool extended;        /* said with EHLO */
	long errors, idle;    /* refused commands; commands since the last message */
	int64_t data_start;   /* when the data of a message began (clock.h) */

	struct transaction transaction;
};

/* `seconds` from now, or the end of the session's time if that comes first. */
int64_t session_deadline(const struct session *s, int64_t seconds);

/* Fields of an event about the transaction, if there is one. */
struct log_fields session_event(const struct session *s, const char *name);

/* Counts what the client's network does. */
void session_count(struct session *s, enum quota_kind kind, int64_t n);

/* May it do n more? With 0: was what it did within its limit? */
bool session_may(const struct session *s, enum quota_kind kind, int64_t n);

/* Forgets all that the client said; what it may do rests on where it comes from. */
void session_forget(struct session *s);

/* The connection ended: logs where. */
void session_lost(struct session *s, const char *where);

#endif

/*
 * session: the conversation with one client, in a process of its own.
 *
 *	session.c   the loop, the table of commands, what the simple ones do
 *	say.c       replies, and what EHLO offers to this client
 *	receive.c   the data of a message: DATA and BDAT
 *	secure.c    STARTTLS and AUTH
 *
 * What a transaction accepts is decided in session/transaction.c; the texts stand in session/reply.h.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include "conf/conf.h"
#include "session/helper.h"
#include "process/log.h"
#include "session/peer.h"
#include "process/quota.h"
#include "session/reply.h"
#include "queue/spool.h"
#include "lib/stream.h"
#include "lib/tlsinfo.h"
#include "session/transaction.h"
#include "secrets/users.h"

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
	char senders[USERS_SECRET];   /* addresses the user may send from */
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

/*
 * Locks the process in and talks until the end. The caller has filled conf, spool, peer, quota,
 * monitor and stop. The exit status of the process.
 */
int session_main(struct session *s);

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

/* ---- say.c */

void say_text(struct session *s, const char *text);
void say_reply(struct session *s, enum reply r);

/* The same, and counts and logs refusals; `what` was refused. False if the session ends with it. */
bool say_and_count(struct session *s, enum reply r, struct span what);

/* The last word to a client from whom nothing more is read. */
enum reply say_to_silence(enum stream_result res);

bool offers_tls(const struct session *s);
bool offers_auth(const struct session *s);

/* Parameters (OFFER_* of command.h) that go with what is offered. */
unsigned offers_parameters(const struct session *s);

/* A mechanism of AUTH by its name. `refusal` is R_FINE if this client may use it now. NULL: unknown. */
const char *offers_mechanism(const struct session *s, struct span name, enum reply *refusal);

/* ---- receive.c */

/* The message behind DATA; false if the session ends with it. */
bool receive_message(struct session *s);

/* ---- secure.c */

/* Shakes hands, and forgets what was said in clear (RFC 3207 section 4.2). False: the end. */
bool secure_start(struct session *s);

/* ---- commands that are not in session.c */

enum reply do_bdat(struct session *s, struct span arg);
enum reply do_starttls(struct session *s, struct span arg);
enum reply do_auth(struct session *s, struct span arg);

#endif

/*
 * session: the conversation with one client, in a process of its own.
 *
 *	loop      the process: locks itself in, meets the client, reads commands until the end
 *	commands  the table of commands, what the simple ones do
 *	secure    STARTTLS and AUTH
 *	receive   the data of a message: DATA and BDAT
 *	say       writes replies
 *	offers    what EHLO offers to this client
 *	submit    what becomes of mail of our own
 *
 * Here is what these share. What a transaction accepts is decided in session/transaction.c; the
 * texts stand in session/reply.h.
 */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include "conf/conf.h"
#include "conf/people.h"
#include "lib/stream.h"
#include "lib/tlsinfo.h"
#include "process/authwire.h"
#include "process/counters.h"
#include "process/log.h"
#include "process/quota.h"
#include "process/sources.h"
#include "queue/spool.h"
#include "session/helper.h"
#include "session/peer.h"
#include "session/reply.h"
#include "session/transaction.h"

enum { HELO_SIZE = LIMIT_DOMAIN + 1 };

/* What the client said of itself, and what that lets it do: forgotten when TLS begins. */
struct said {
	char helo[HELO_SIZE];         /* the name in HELO or EHLO; empty: neither came yet */
	bool extended;                /* it was EHLO */
	char user[LIMIT_ADDRESS + 1]; /* the name that AUTH proved; empty: there was no AUTH */
	struct rights rights;
};

/*
 * All that belongs to one client, and nothing else does. It is zeroed between two of them, begins
 * with session_begin and is wiped by session_end. What is large comes last and is touched only as
 * far as it is filled.
 */
struct client {
	struct peer peer;
	struct quota quota;                  /* the counts of its network */
	struct quota_held held[QUOTA_KINDS]; /* of it, for what may yet come to nothing */
	int64_t end;            /* when the time for the whole session is over (clock.h) */
	int tls_ready;          /* the end of a tls that waits for the handshake, or -1 */
	bool tls_failed;        /* tls could not get ready: it is not offered again */
	bool secure;            /* TLS is spoken; then: */
	struct tlsinfo tls;
	bool enough;            /* the log has it that its network had recipients enough */
	bool linger;            /* a client that still sends is to read the reply that ends it */
	bool hush;              /* the next line may belong to an AUTH that was refused */
	bool senders_used;      /* something was written into `senders` */
	char check_text[CHECK_TEXT]; /* what recipient_check or sender_check said last */

	/* what counts against a limit */
	long errors;       /* refused commands since the last message */
	long idle;         /* commands since the last message that bring no message nearer */
	int64_t idle_end;  /* when a stranger must have brought a message (clock.h) */
	int auth_failures;
	const char *mechanism; /* of the last AUTH, as we offer it; NULL: there was none */

	struct said said;
	int64_t data_start; /* when the data of a message began (clock.h) */

	struct transaction transaction;
	struct stream stream;
	char senders[AUTH_SENDERS]; /* said.rights.senders, where a user has some */
};

/* What the process has, whoever its client is. */
struct session {
	struct conf conf;
	struct spool spool;
	struct quota counts;      /* the table that is counted in, if there is one; of no client */
	struct source source;     /* of a pool's: where its client's network is written down */
	int monitor;              /* requests go there (request.h) */
	const struct people *people; /* names of users; NULL: nothing depends on them */
	const volatile int *stop; /* set by a signal */
	struct client client;
};

/* Meets the client on standard input and output. The one before was wiped. */
void session_begin(struct session *s, const struct peer *peer);

/*
 * The end of the client: closes what it had, but for standard input and output, gives back what it
 * had taken, and leaves no octet of it in *s.
 */
void session_end(struct session *s);

/* Does LF alone end a line? Of a script on this host; from elsewhere it would smuggle (R11). */
bool session_is_lenient(const struct session *s);

/* `seconds` from now, or the end of the session's time if that comes first. */
int64_t session_deadline(const struct session *s, int64_t seconds);

/* Until when what came of the message is enough: it has a rate to keep, on the whole (I4). */
int64_t session_rate(const struct session *s);

/* Until when the next command is waited for. */
int64_t session_patience(const struct session *s);

/* A message was queued; or the conversation begins, and time for the first one does. */
void session_progress(struct session *s);

/* Counts a command that brings no message nearer. False: it was one too many. */
bool session_count_idle(struct session *s);

/* Fields of an event of this client, and of its transaction, if there is one. */
struct log_fields session_event(const struct session *s, const char *name);

/* Counts what the client's network does. */
void session_count(struct session *s, enum quota_kind kind, int64_t n);

/* Is what the client's network did within its limit? */
bool session_may(const struct session *s, enum quota_kind kind);

/*
 * May the client's network do one more? Then that is counted from now on, so that its sessions
 * cannot all be told yes before the first has done it. It is given back if it comes to nothing.
 */
bool session_take(struct session *s, enum quota_kind kind);
void session_give_back(struct session *s, enum quota_kind kind);

/* The last one that was taken came to nothing; those before it stay taken. */
void session_give_one_back(struct session *s, enum quota_kind kind);

/* It was done: what was taken stays counted. */
void session_keep(struct session *s, enum quota_kind kind);

/* Drops the transaction; if it was not queued, it did not count. */
void session_drop(struct session *s);

/* Drops the transaction and forgets what the client said; its address tells what it may do. */
void session_forget(struct session *s);

/* Logs that the connection ended, behind which command, and where in the conversation. */
void session_lost(struct session *s, const char *after, const char *where);

#endif

/*
 * link: one connection to one host, and the replies that come by it (RFC 5321; LMTP: RFC 2033).
 *
 * The far side may be slow, wrong or hostile: every wait has a deadline, every reply a limit, and
 * what is not understood is SOFT. Only the first digit of a reply decides (section 4.2.1).
 */
#ifndef POSTERN_LINK_H
#define POSTERN_LINK_H

#include "conf/conf.h"
#include "lib/outcome.h"
#include "lib/stream.h"
#include "lib/tlsresult.h"
#include "mail/extension.h"
#include "sending/dial.h"
#include "sending/resume.h"
#include "sending/tlsclient.h"

struct login;
struct job;
struct signer;

enum { LINK_VOUCHED = LIMIT_DOMAIN + 1 + EXCHANGER_ALSO };

/* What the caller decides before the connection begins (begin.h). */
struct link_terms {
	char name[DIAL_NAME];      /* of the host, for logs and reports (dial.h) */
	const struct conf_delivery *conf;
	const char *hostname;      /* ours, for EHLO */
	int64_t timeout_tls;       /* s, a handshake */
	int64_t min_data_rate;     /* octets of a message per second, beyond timeout_data_block */
	enum conf_delivery_tls policy;
	bool implicit;             /* TLS from the first octet (RFC 8314) */
	bool helo;                 /* HELO at once: the host is known to refuse EHLO */
	bool clear;                /* policy is NONE because the host's TLS does not work */
	bool remembered;           /* some of that is known from before, and was not tried now */
	bool own;                  /* the operator named the way, so what is wrong is his to mend */
	bool fresh;                /* no old TLS session is to be resumed */
	bool nameless;             /* the host is not told which name we look for (SNI) */
	bool plain;                /* AUTH: the plainest mechanism first; others fail there */
	bool counted;              /* what comes of TLS is told to others (struct link_tls) */
	struct tls_setup *tls_setup;
	struct resume peer;        /* the host */
	char target[LIMIT_DOMAIN + 1]; /* whom the mail is for; "": only the DNS named it */
	const char *domain;        /* ... as an exchanger of this one, which the operator named */
	char vouched[LINK_VOUCHED]; /* ... or it goes by these names, says who is believed; a
	                             * blank between them */
	const struct tlsa *tlsa;   /* the certificate must be one of these (DANE); NULL: any */
	const struct login *login; /* NULL: no AUTH */
	struct signer *signer;     /* NULL: nothing is signed */
	unsigned without;          /* CAN_*: what is not used though the host has it */
	unsigned avoided;          /* of them, because of what went wrong with it lately */
	unsigned fewer;            /* of those, words that it refused, and closed */
	bool discards;             /* LESSON_DISCARDS was learned */
	int window;                /* jobs that may be on their way at once */
	uint64_t window_size;      /* ... and octets of them */
};

/* What the host told of itself in its reply to EHLO. */
struct link_host {
	bool helo;           /* it knows HELO only */
	unsigned without;    /* CAN_*: not to be learned */
	unsigned can;        /* CAN_*: the extensions */
	unsigned mechanisms; /* of AUTH (authclient.h), those that we know */
	char auth[128];      /* ... and all of them as the host said them, escaped, for the log */
	struct {
		int64_t size;    /* SIZE: octets of a message */
		int64_t mails;   /* LIMITS MAILMAX (RFC 9422): transactions of this connection */
		int64_t rcpts;   /* ... RCPTMAX: recipients of one of them */
		int64_t domains; /* ... RCPTDOMAINMAX: of those recipients */
		int64_t by;      /* DELIVERBY (RFC 2852): the shortest time to ask for, s */
	} limit;             /* 0: none */
};

enum { LINK_REASON = 128 };

/* What each side proved to the other. */
struct link_proof {
	struct tls *tls;       /* NULL: it goes in clear */
	/* the certificate is for the target, or a name that is vouched for */
	enum { TRUST_UNKNOWN, TRUSTED, NOT_TRUSTED } trust;
	enum dane_verdict dane; /* ... is one of terms.tlsa */
	enum again {
		AGAIN_NOT,
		AGAIN_FRESH,    /* the old session was of no use */
		AGAIN_NAMELESS, /* the host minds the name that we look for */
		AGAIN_HELO,     /* the host does not survive EHLO, or is silent; HELO will do */
		AGAIN_CLEAR,    /* the host's TLS does not work, and the policy is `may` */
		AGAIN_PLAIN,    /* it broke off at AUTH, and there is a plainer mechanism */
	} again;               /* after SOFT: is a new connection to the same host worth a try? */
	bool refused;          /* AUTH failed, which is for the operator to mend */
	bool unprotected;      /* TLS did not come about as the policy asks for it */
	const char *mechanism; /* of AUTH, by which we logged in; NULL: we did not */
	bool plainer;          /* ... a plain one, after another one had failed */
};

/*
 * What came of TLS, for reports on it. Of a success only that; all of it outlives the connection.
 */
struct link_tls {
	enum tls_result result;        /* UNKNOWN, too, where terms do without by themselves */
	char reason[LINK_REASON];      /* what went wrong, escaped; "": nothing was said */
	char banner[LIMIT_DOMAIN + 1]; /* what the host calls itself in its greeting, escaped */
	bool bound;                    /* our own address is known: */
	struct netaddr from;
};

/* What a refusal may be about (refusal.h). */
enum {
	REFUSAL_MAIL = 0,     /* the mail and nothing else: the host's word counts */
	REFUSAL_FALLBACK = 1, /* what we did without */
	REFUSAL_US = 2,       /* us: the operator has to mend it */
};

/* Codes of replies that are met in several places (RFC 5321 section 4.2.3). */
enum {
	CODE_GOODBYE = 421,
	CODE_UNKNOWN = 500,         /* no such command, */
	CODE_NOT_IMPLEMENTED = 502, /* or not here */
	CODE_OUT_OF_ORDER = 503,
};

/* What is on its way; of sending.c and those below it, but for what refusals were about. */
struct link_flow {
	unsigned about;   /* REFUSAL_*: what refusals were about, */
	unsigned heeded;  /* and what of that the caller knows */
	unsigned dropped; /* CAN_*: what the host offered, refused, and gets no more */
	struct job *first, *last;
	int jobs;        /* of them */
	int replies;     /* that are owed for them, at most */
	uint64_t octets; /* of their bodies */
	int begun;       /* transactions of this connection */
	int taken;       /* ... of which the host took the MAIL */
	int answered;    /* ... which it brought to an end, whatever that was, but for 421 */
	bool served;     /* ... of others, before it was turned to this target */
	bool full;       /* the host takes no more by this connection */
	bool cut;        /* a message broke off: nothing more may be said, replies may still come */
	int awaited;     /* while a text goes out: replies that are due before the word about it,
	                  * with which the text may end; -1: no text goes out */
};

/* What was learned of a host, for the next connection to it. */
enum {
	LESSON_SINGLE = 1,    /* one message at a time: it broke off with several */
	LESSON_LOCKSTEP = 2,  /* one command at a time: it broke off with several */
	LESSON_DISCARDS = 4,  /* it throws the octets of a BDAT away that it refuses (probe.h) */
	LESSON_NO_CHUNKS = 8, /* it does not, or has no BDAT, whatever it says */
	LESSON_FEWER = 16,    /* it broke off at words that it had offered: flow.dropped */
	/* not of the host: a text went unsigned for want of its key (dkim_missing) */
	LESSON_UNSIGNED = 32,
};

/* Zeroed, with fd -1, before it is first used. */
struct link {
	struct link_terms terms;
	int fd;                /* -1: not connected */
	int code;              /* of the last reply; 0: none */
	struct buf text;       /* of the last reply: its lines, escaped; outlives the connection */
	bool bye;              /* the last reply that came was 421 */
	bool hung_up;          /* the host closed it where a reply was due, */
	bool silent;           /* ... or said nothing in time */
	struct link_host host;
	struct link_proof proof;
	struct link_tls came;
	struct link_flow flow;
	unsigned lessons;      /* LESSON_*; the caller takes them out */
	struct stream stream;
};

/* A command, and the wait for its reply. 0, or -EIO: the connection is of no more use. */
int link_ask(struct link *l, const char *command, const char *argument, int64_t seconds);

/* One reply into l->code and l->text. 0, or -EIO with what our side has to say in l->text. */
int link_reply(struct link *l, const char *to_what, int64_t seconds);

/*
 * ... and each line behind the first, without its code, is given to `learns` if the reply is 2yz.
 */
typedef void link_learns(struct link_host *host, struct span line);
int link_listen(struct link *l, const char *to_what, int64_t seconds, link_learns *learns);

/* Adds to what is sent before the next wait. */
void link_put(struct link *l, struct span bytes, int64_t seconds);
void link_puts(struct link *l, const char *text, int64_t seconds);

/* EHLO, or of LMTP LHLO, with our name; among what is sent before the next wait. */
void link_put_hello(struct link *l);

/* In place of a reply: "what: why" in l->text, and 0 in l->code. */
void link_say(struct link *l, const char *what, const char *why);

/* What the first digit of a code means: 2 DONE, 5 HARD, else SOFT. */
enum outcome link_outcome(int code);

static inline bool
link_can(const struct link *l, unsigned what)
{
	return (l->host.can & what) == what;
}

/*
 * Has the host brought at least one transaction of this connection to an end? Known also when the
 * connection is gone.
 */
static inline bool
link_was_of_use(const struct link *l)
{
	return l->flow.answered > 0;
}

/* The same of the connection, for whomever that was: of its end nobody knows the reason. */
static inline bool
link_has_served(const struct link *l)
{
	return l->flow.served || link_was_of_use(l);
}

/* Is mail that the host took delivered? LMTP is spoken to what stores it (RFC 2033). */
static inline bool
link_is_final(const struct link *l)
{
	return l->terms.conf->protocol == PROTOCOL_LMTP;
}

/*
 * Judges the certificate, once for each connection. True: it is good for l->terms.target, or what
 * stands beside that, so the host is for sure one that the mail is for, and nobody else can hear
 * what is said.
 */
bool link_judge(struct link *l);

/*
 * ... by terms.tlsa, which is not NULL, and no authority of ours. Unless GOOD, *why (may be NULL)
 * says why not.
 */
enum dane_verdict link_match(struct link *l, struct buf *why);

/* ... by authorities alone. */
bool link_verify(struct link *l);

/*
 * What comes is for another target: what was proved of the last one, and what was done for it, does
 * not count; nor does what stood beside it, in whose place the caller puts what is to be there.
 */
void link_turn_to(struct link *l, const char *target, const char *domain);

/*
 * For a log: "in clear", or the version and cipher of TLS; and the mechanism by which we logged in.
 */
void link_describe(const struct link *l, struct buf *out);

/*
 * Has the host said something although no reply is owed (421, perhaps), or closed? Does not wait.
 */
bool link_is_spoiled(struct link *l);

/*
 * Nothing is owed. Did the host say something all the same, behind its reply to this? Goodbye (421)
 * is no harm: it will be the next reply. Else replies and commands are out of step, and what was
 * said is in l->text.
 */
bool link_said_more(struct link *l, const char *to_what);

/* Listens while it writes, from now on. */
void link_attend(struct link *l);

/* After a pause with nothing to say: closes it if it is spoiled. */
void link_wake(struct link *l);

/*
 * Says QUIT, waits for the reply as long as its time lasts, but not longer than this, and closes.
 * Does nothing if there is no connection. What was said before stays in l->text, for it may be the
 * reason.
 */
void link_quit(struct link *l, int64_t seconds);

/* Closes without a word: what the host got of an unfinished message must stay unfinished. */
void link_close(struct link *l);

#endif

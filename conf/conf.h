/*
 * conf: the configuration, one file of "key = value" lines.
 *
 * Later wins: built-in default, file, environment (POSTERN_KEY, or POSTERN_KEY_FILE, which names a
 * file that holds the value), command line (-o key=value). Who has the rights of somebody else
 * than his caller (set-id) takes nothing from the environment, and leaves nothing of ours in it.
 * Behind "[name]" the file holds what is for listeners of that profile only (smtpd -p name); the
 * profiles submission, submissions, lan and local have presets, which stand between the file's
 * common part and their section. Behind "[route NAME]" it holds where some mail goes (routes.h). An
 * unknown key or a bad value is an error with its place, never a guess; the caller exits with 78
 * (EX_CONFIG). Comments begin with "#" at the start of a line or after white space. Times take s,
 * m, h, d; sizes K, M, G (powers of 1024).
 */
#ifndef POSTERN_CONF_H
#define POSTERN_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "lib/net.h"

enum {
	CONF_RETRY_MAX = 32,     /* steps of the retry schedule */
	CONF_NAMESERVER_MAX = 6, /* udns takes no more */
	CONF_KEYS_MAX = 150,     /* rows of the table in keys.c */
	ROUTE_NAME = 63,         /* octets */
	CONF_PATH_MAX = 900,     /* octets: what is wrong with a path is a line that has it twice */
	EXIT_CONFIG = 78,        /* EX_CONFIG of sysexits.h */
};

/* Where a host has what is its own; the Makefile may say otherwise. */
#ifndef POSTERN_SYSCONF
#define POSTERN_SYSCONF "/etc"
#endif
#ifndef POSTERN_LOCALSTATE
#define POSTERN_LOCALSTATE "/var"
#endif
#ifndef POSTERN_RUNSTATE
#define POSTERN_RUNSTATE "/run"
#endif

#define CONF_FILE POSTERN_SYSCONF "/postern/postern.conf" /* absent: all defaults */
#define CONF_RESOLVER "/etc/resolv.conf"

enum conf_bool { CONF_NO, CONF_YES };

/* A build may have no TLS, with clients or with hosts: what asks for it is refused. */
#ifdef POSTERN_NO_TLS
enum { CONF_HAS_TLS = 0 };
#else
enum { CONF_HAS_TLS = 1 };
#endif

/* ... and nothing that fetches over HTTPS: then there is no MTA-STS. */
#if defined(POSTERN_NO_TLS) || defined(POSTERN_NO_CURL)
enum { CONF_HAS_FETCH = 0 };
#else
enum { CONF_HAS_FETCH = 1 };
#endif

/* Who we are. */
struct conf_who {
	char *hostname;   /* our name in greeting, EHLO and Received:; default: the system's */
	char *spool;      /* absolute path of the spool directory */
	char *postmaster; /* where mail for <postmaster> goes; default postmaster@hostname */
	bool postmaster_unset; /* that default stands there, for nobody set it */
	bool no_postmaster; /* it is that address, whoever wrote it */
	char *user;       /* whom to become when started as root */
	char *relay_path; /* the relay program; default: "relay" beside smtpd */
	char *tls_path;   /* the program that speaks TLS; default: "tls" beside smtpd */
	char *auth_path;  /* the one that checks passwords; default: "auth" beside smtpd */
	char *sign_path;  /* the one that has the keys of DKIM; default: "sign" beside smtpd */
	char *fetch_path; /* the one that fetches over HTTPS; default: "fetch" beside smtpd */
	/* ... that sends reports on TLS; default: "postern-tlsreport" beside smtpd */
	char *tlsreport_path;
	char *runtime;    /* directory of what may be lost at a boot: ticket keys, counters */
};

/* What smtpd takes. */
struct conf_receive {
	enum conf_bool relay_local; /* this host's own clients may send anywhere */
	enum conf_bool local_users; /* ... and its users, who come in at a UNIX socket */
	char *local_senders;        /* from which addresses these may (match_local_sender) */
	struct netlist relay_nets;  /* clients that may, besides those */
	enum conf_bool open_relay; /* relay_nets may be as wide as the world */
	char *relay_domains;       /* what anybody may send to (mail/match.h: match_domain) */
	struct conf_proxies {      /* whose word about the client is believed, and needed */
		struct netlist nets;
		char *sockets;     /* words: paths of UNIX sockets, "@name", "*" for all; or NULL */
	} proxies;
	char *recipient_check;     /* program that is asked about each recipient; NULL: none */
	char *sender_check;        /* ... and each sender */
	int64_t timeout_check;     /* s, for its answer, or one of saslauthd or Dovecot */
	int64_t min_free;          /* octets that must stay free in the spool */
	int64_t limit_window;      /* s, in which a client's network may do this much (0: all): */
	int64_t limit_connections;
	int64_t limit_messages;
	int64_t limit_recipients;
	int64_t limit_errors;
	int64_t limit_auth_failures;
	int64_t max_size;        /* octets of a message */
	int64_t max_recipients;  /* of a transaction */
	int64_t max_errors;      /* refused commands before 421 */
	int64_t timeout_command; /* s, idle waiting for a command */
	int64_t timeout_data;    /* s, idle waiting for data */
	int64_t timeout_session; /* s, a whole connection */
	int64_t min_data_rate;   /* octets of a message per second, beyond the timeout of data */
	int64_t max_hold;        /* s, longest FUTURERELEASE */
	enum conf_bool requiretls; /* offer REQUIRETLS */
};

/*
 * What becomes of mail that our own clients submit (submission.h): this host's, those in
 * relay_nets, and users. NULL: nothing.
 */
struct conf_submission {
	char *add_missing; /* for whom Date:, Message-ID: and From: are added */
	char *masquerade;  /* domains for others in sender and header (mail/masquerade.h) */
	char *masquerade_except;
	char *force_from;  /* the only sender there is, in the envelope and in From: */
	char *recipient_map; /* file: who gets other recipients' mail (recipient_map.h) */
	char *guard;       /* where mail may go at all (guard.h) */
	struct buf map;    /* no key: the text of recipient_map, in a process that has read it */
};

/* An smtpd that serves many clients (process/pool.h). */
struct conf_busy {
	int64_t sessions;   /* clients at once */
	int64_t per_source; /* ... of one network (process/sources.h); 0: any number */
	int64_t spare;      /* sessions that wait for one */
	int64_t reuse;      /* clients of one session, one after the other */
	int64_t idle;       /* s; without a client for so long, it ends */
};

/*
 * TLS for clients; without a certificate there is none. Certificate and key may be credentials
 * (credential.h).
 */
struct conf_tls {
	enum conf_tls_mode { TLS_OFF, TLS_STARTTLS, TLS_REQUIRED, TLS_IMPLICIT } mode;
	char *certificate;     /* PEM files: ours and the chain; NULL: none */
	char *key;             /* as many PEM files; default: those of the certificates */
	/* PEM file: who signs certificates of clients; NULL: none are asked for */
	char *client_ca;
	enum conf_bool legacy; /* TLS 1.0 and old ciphers too */
	int64_t timeout;       /* s, a handshake */
};

/* Clients that say who they are; with none of the first three no client can. */
struct conf_auth {
	char *users;          /* file of names and secrets (users.h), or a credential; NULL: none */
	char *saslauthd;      /* socket of saslauthd, for PLAIN and LOGIN; NULL: none */
	char *dovecot;        /* ... or of Dovecot's authentication service */
	enum conf_bool clear; /* passwords without TLS too */
	enum conf_bool case_sensitive; /* "Joe" is another user than "joe" */
};

/* How mail goes to hosts; a route may say otherwise. The times are seconds. */
struct conf_delivery {
	enum family family;
	char *source; /* local addresses to connect from (target.h) */
	int64_t max_connections_per_lane;
	enum conf_delivery_tls {
		DELIVERY_TLS_NONE,    /* not even if it is offered */
		DELIVERY_TLS_MAY,     /* if it can be had; else in clear */
		DELIVERY_TLS_ENCRYPT, /* or not at all */
		DELIVERY_TLS_VERIFY,  /* ... and the certificate must be good */
	} tls;
	enum conf_bool tls_implicit; /* from the first octet (RFC 8314), without STARTTLS */
	enum conf_dane { /* certificates that the DNS says (RFC 7672), by DNSSEC */
		CONF_DANE_OFF,
		CONF_DANE_AUTO, /* of the hosts that have them */
		CONF_DANE_ONLY, /* ... and mail goes to no others */
	} dane;
	char *without; /* extensions of hosts that are not used (mail/extension.h) */
	enum conf_dkim_sign {
		DKIM_SIGN_NO,
		DKIM_SIGN_YES,   /* if there is a key for it (struct conf_dkim) */
		DKIM_SIGN_AGAIN, /* ... also if it has a signature of that domain already */
	} dkim;
	enum conf_mx_order { MX_LATENCY, MX_RANDOM } mx_order; /* among hosts of equal preference */
	int64_t timeout_dns;      /* one MX look-up with all its addresses */
	int64_t timeout_connect;  /* one address */
	int64_t timeout_greeting; /* RFC 5321 section 4.5.3.2, this and those below */
	int64_t timeout_helo;
	int64_t timeout_mail;
	int64_t timeout_rcpt;
	int64_t timeout_data_start; /* reply to DATA */
	int64_t timeout_data_block; /* one write of data */
	int64_t timeout_data_end;   /* reply to the final dot */
	int64_t timeout_quit;

	/* only a route has these; else they are empty */
	char *hosts; /* where the mail goes, best first (target.h) */
	enum conf_protocol { PROTOCOL_SMTP, PROTOCOL_LMTP } protocol;
	char *user;                /* who we are to these hosts; NULL: no AUTH */
	char *password_file;       /* our password; NULL: none */
	char *token_command;       /* program that prints a bearer token instead; NULL: none */
	enum conf_bool auth_clear; /* AUTH without TLS, or with an unknown certificate, too */
};

/* In the order of the configuration; n of them. */
struct conf_servers {
	struct sockaddr_storage v[CONF_NAMESERVER_MAX];
	int n;
	bool tcp; /* they are asked over TCP only */
};
struct conf_schedule {
	int64_t v[CONF_RETRY_MAX]; /* s */
	int n;
};

/* DKIM signatures of what goes out. */
struct conf_dkim {
	char *keys;       /* file: which key signs for which domain (dkimkeys.h); NULL: none does */
	enum conf_dkim_missing {
		DKIM_MISSING_WAIT, /* mail whose key cannot be used waits until it can */
		DKIM_MISSING_SEND, /* it goes unsigned */
	} missing;
	int64_t lifetime; /* s, after which a signature is to be worth nothing (x=); 0: no end */
};

/* Reports on TLS for domains that ask for them (RFC 8460). */
struct conf_tls_reports {
	enum conf_bool on; /* sessions are counted, and reports sent */
	char *from;        /* the mailbox they are from; default postmaster@hostname */
};

/* What relay does with all mail alike. */
struct conf_relay {
	struct conf_servers nameserver; /* none: those of resolv.conf */
	struct netlist dnssec_trusted;  /* of them, who is believed, beside those on loopback */
	int64_t smtp_port;
	struct netlist allow_destinations; /* delivered to although loopback, private or our own */
	int64_t max_connections;           /* of a relay, at once; 0: queue only */
	int64_t max_connections_per_host;  /* ... to one address and port */
	char *ca;                          /* PEM file: who signs certificates of hosts */
	enum conf_bool mta_sts;            /* policies of domains are asked for (mail/sts.h) */
	int64_t mta_sts_port;              /* ... at this port of those who have them */
	int64_t remember_hosts;            /* s, how long what was learned of a host counts */
	int64_t window_messages; /* sent before the reply to the first is read; 1: off */
	int64_t window_size;     /* ... and octets of them */
	int64_t linger;          /* s, a connection waits for more mail; 0: not at all */
	struct conf_schedule retry; /* from one attempt to the next; the last one repeats */
	int64_t expire;        /* s, age at which undelivered mail is returned */
	int64_t delay_warning; /* s, age at which the sender hears that mail waits; 0: never */
	int64_t bounce_size;   /* octets of the largest message that a report gives back whole */
	char *double_bounce;   /* who gets what cannot be returned; NULL: it is dropped */
};

struct conf {
	struct conf_who who;
	struct conf_receive receive;
	struct conf_submission submission;
	struct conf_busy busy;
	struct conf_tls tls;
	struct conf_auth auth;
	struct conf_delivery delivery;
	struct conf_relay relay;
	struct conf_dkim dkim;
	struct conf_tls_reports tls_reports;
	/* where events go */
	enum conf_log {
		LOG_TO_AUTO,
		LOG_TO_JOURNAL,
		LOG_TO_SYSLOG,
		LOG_TO_STDERR,
		LOG_TO_NONE,
	} log;
	/* what a line is (process/log.h) */
	enum conf_log_format {
		LOG_FORMAT_POSTERN,
		LOG_FORMAT_POSTFIX,
		LOG_FORMAT_JSON,
	} log_format;
	struct route *routes; /* in the order of the file; owned */
	struct buf doubts;    /* lines: what works, though somebody ought to look at it */
};

/* A section [route NAME]. */
struct route {
	char name[ROUTE_NAME + 1]; /* in lower case */
	char *domains; /* of recipients (match_domain); NULL: all */
	char *senders; /* (match_sender); NULL: all */
	struct conf_delivery delivery; /* only what the section sets */
	uint16_t line[CONF_KEYS_MAX];  /* of the file, where each key was set; 0: it was not */
	struct route *next;
};

/* Where a key was set. */
struct conf_origin {
	const char *where; /* a file, or words like "command line" */
	int line;          /* of the file; 0: it is none */
};

/* Where all were; the texts are those of struct conf_args. */
struct conf_origins {
	struct conf_origin of[CONF_KEYS_MAX];
	const char *file; /* where the routes stand */
};

/* One option of the command line; kept by the caller for as long as conf_load runs. */
struct conf_args {
	const char *file;           /* -c file, or NULL for CONF_FILE */
	const char *const *options; /* n texts "key=value" */
	int n;
	const char *profile;        /* -p name of the kind of listener, or NULL */
};

/*
 * Reads everything into *c, which the caller zeroed. 0 on success. -EINVAL: one line for the
 * operator is in *why ("postern.conf:12: max_size: not a size: \"12x\""). A file named by -c must
 * exist; CONF_FILE need not. Keys that programs read but nobody set have their defaults. `from`,
 * for conf_print, may be NULL.
 */
int conf_load(struct conf *c, const struct conf_args *args, struct conf_origins *from,
	struct buf *why);

/*
 * Who is asked about names where the configuration names nobody is said by CONF_RESOLVER, which is
 * read now. 0 or -EINVAL, as nameserver_read (nameserver.h); `from` may be NULL.
 */
int conf_find_nameservers(struct conf *c, struct conf_origins *from, struct buf *odd);

/* Prints "key = value  # origin" for every key, in the order of the table. */
void conf_print(const struct conf *c, const struct conf_origins *from, FILE *out);

/*
 * What is in force for mail that goes by this route (NULL: by none). *out shares its texts with
 * both.
 */
void conf_delivery_of(struct conf_delivery *out, const struct conf *c, const struct route *r);

void conf_free(struct conf *c);

/*
 * The longest time for which anything in the queue is told to wait: by the schedule, or since it
 * cannot be worked on. A time that is farther away is that of a clock that was set back (J12).
 */
static inline int64_t
conf_longest_retry(const struct conf *c)
{
	int64_t longest = LIMIT_REST;
	for (int i = 0; i < c->relay.retry.n; i++)
		longest = c->relay.retry.v[i] > longest ? c->relay.retry.v[i] : longest;
	return longest;
}

#endif

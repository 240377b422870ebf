/*
 * tlsclient: TLS 1.2 or 1.3 with a host, below a stream (stream.h).
 *
 * A handshake judges no certificate; tlsclient_verify does, before anything is said that depends on
 * it, with sessions that were resumed as with new ones. A cut without close_notify looks like any
 * lost connection.
 */
#ifndef POSTERN_TLSCLIENT_H
#define POSTERN_TLSCLIENT_H

#include "dns/tlsa.h"
#include "lib/stream.h"
#include "lib/tlsinfo.h"
#include "lib/tlsresult.h"
#include "sending/resume.h"

struct ssl_ctx_st;

/* What all connections of a process have in common. */
struct tls_setup {
	int authorities;        /* fd of a PEM file (trust.h); less than 0: none is trusted */
	struct ssl_ctx_st *ctx; /* NULL until it is first needed, which costs 2 ms */
};

struct tls; /* one connection */

/* How a connection is to begin. */
struct tls_how {
	bool lenient;  /* weak keys, old algorithms and TLS 1.0 are better than no TLS at all */
	bool legacy;   /* and so is TLS 1.2 of before RFC 5746; we never renegotiate anyway */
	bool nameless; /* the name of the host is not sent */
	bool resume;   /* an old session, if there is one */
};

/*
 * Loads what it takes (openssl.h), before the process is locked in. NULL, or what went wrong: a
 * text that stays.
 */
const char *tlsclient_load(void);

/*
 * Shakes hands on a non-blocking fd with the host in *peer, whose name lives as long as the
 * connection. 0 and *out. -EAGAIN: it failed with an old session, which is forgotten; -ENOENT: the
 * host may not go by the name that it was told; -EPROTO: it failed. Then the reason is in *why.
 */
int tlsclient_begin(struct tls_setup *setup, int fd, const struct resume *peer, struct tls_how how,
	int64_t deadline, struct tls **out, struct buf *why);

extern const struct transport tlsclient_transport; /* with struct tls as its context */

/*
 * Is the certificate good, and for this host name or address? If not, the reason is in *why. With
 * TLS of before RFC 5746 no certificate is: somebody else may have begun the connection, and get
 * what we say; nor is it with weak keys, by which somebody may hear it.
 */
bool tlsclient_verify(struct tls *t, const char *name, struct buf *why);

/* What the last of these came to; of a success or a failure. UNKNOWN: there was none. */
enum tls_result tlsclient_verdict(const struct tls *t);

/*
 * Is the certificate one of those that the DNS says (dane.h, where `names` are explained)? If not,
 * or if there is nothing that it could be compared with, the reason is in *why. All else as above.
 */
enum dane_verdict tlsclient_match(struct tls *t, const struct tlsa *records,
	const char *const *names, struct buf *why);

/*
 * Could nobody but this host hear or change it, however it was begun: are the keys not weak, and is
 * it all of the connection?
 */
bool tlsclient_is_strong(const struct tls *t);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384", and "resumed". */
void tlsclient_describe(const struct tls *t, struct buf *out);

/* Channel binding (RFC 9266). False: this version has none that is safe. */
bool tlsclient_exporter(struct tls *t, uint8_t out[static TLS_EXPORTER]);

/* A polite end: close_notify; the session is kept for later. */
void tlsclient_end(struct tls *t);

/*
 * Nothing came of this connection. If it goes on from an old session, that is forgotten, for it may
 * be to blame. False: it does not.
 */
bool tlsclient_disown(const struct tls *t);

/* Frees it, without a word. NULL is none. */
void tlsclient_free(struct tls *t);

/* Frees what all connections have in common, when there is none any more. */
void tlsclient_forget(struct tls_setup *setup);

#endif

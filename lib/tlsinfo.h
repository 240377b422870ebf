/*
 * tlsinfo: what tls and the session say to each other ahead of the first decrypted byte.
 *
 *	tls                                     session
 *	TLS_READY: it has certificate and key
 *	and is locked in; or it just ends       struct tlsgo: the client was told to begin
 *	struct tlsinfo: it shook hands
 *
 * So no client is told to begin (220) before it is known that the key can be used. Until then,
 * tls reads nothing of the connection, and the session may go on in clear.
 */
#ifndef POSTERN_TLSINFO_H
#define POSTERN_TLSINFO_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/limits.h"

enum {
	TLS_EXPORTER = 32, /* octets of tls-exporter (RFC 9266) */
	TLS_UNIQUE = 12,   /* ... and of tls-unique (RFC 5929 section 3) */
	TLS_READY = 'R',   /* one octet each, the second with a name behind it */
	TLS_GO = 'G',
	TLS_NAME = 64,     /* of a client's address as the log has it, with NUL */
};

struct tlsgo {
	char word;           /* TLS_GO */
	char name[TLS_NAME]; /* who the client is, for a line of the log and for nothing else */
};

/* In the runtime directory: the key of tickets (secrets/ticket.h). */
#define TLS_TICKET_FILE "ticket-key"

/* What a client may bind its AUTH to, so that nobody between us can pass it on as his own. */
struct tlsbinding {
	bool safe;                      /* it is bound to this connection alone; then: */
	uint8_t exporter[TLS_EXPORTER];
	bool has_unique;                /* before TLS 1.3, where clients prefer it */
	uint8_t unique[TLS_UNIQUE];
};

struct tlsinfo {
	char version[16];                /* "TLSv1.3" */
	char cipher[64];                 /* IANA's name, for Received: (RFC 8314 section 4.3) */
	char client[LIMIT_ADDRESS + 1];  /* who the verified client certificate says it is, or "" */
	struct tlsbinding binding;
};

#endif

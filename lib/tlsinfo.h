/*
 * tlsinfo: what tls and the session say to each other ahead of the first decrypted byte.
 *
 *	tls                                     session
 *	TLS_READY: it has certificate and key
 *	and is locked in; or it just ends       TLS_GO: the client was told to begin
 *	struct tlsinfo: it shook hands
 *
 * So no client is told to begin (220) before it is known that the key can be used. Until TLS_GO,
 * tls reads nothing of the connection, and the session may go on in clear.
 */
#ifndef POSTERN_TLSINFO_H
#define POSTERN_TLSINFO_H

#include <stdint.h>

#include "lib/limits.h"

enum {
	TLS_EXPORTER = 32, /* octets of channel binding (RFC 9266) */
	TLS_READY = 'R',   /* one octet each */
	TLS_GO = 'G',
};

struct tlsinfo {
	char version[16];                /* "TLSv1.3" */
	char cipher[64];                 /* IANA's name, for Received: (RFC 8314 section 4.3) */
	char client[LIMIT_ADDRESS + 1];  /* who the verified client certificate says it is, or "" */
	uint8_t exporter[TLS_EXPORTER];  /* tls-exporter channel binding */
};

#endif

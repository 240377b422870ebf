/* tlsinfo: what tls tells the session about a connection, ahead of the first decrypted byte. */
#ifndef POSTERN_TLSINFO_H
#define POSTERN_TLSINFO_H

#include <stdint.h>

#include "lib/limits.h"

enum { TLS_EXPORTER = 32 }; /* octets of channel binding (RFC 9266) */

struct tlsinfo {
	char version[16];                /* "TLSv1.3" */
	char cipher[64];                 /* IANA's name, for Received: (RFC 8314 section 4.3) */
	char client[LIMIT_ADDRESS + 1];  /* who the verified client certificate says it is, or "" */
	uint8_t exporter[TLS_EXPORTER];  /* tls-exporter channel binding */
};

#endif

/*
 * signwire: what relay and sign say to each other, over a pair of packet sockets.
 *
 * sign tells first which keys it has; then each question is answered by a reply. Neither the mail
 * nor a name goes over it: a digest, and a signature of that.
 */
#ifndef POSTERN_SIGNWIRE_H
#define POSTERN_SIGNWIRE_H

#include <stdint.h>

enum {
	SIGN_KEYS = 1000,    /* lines of dkim_keys: sites with more sign elsewhere */
	SIGN_HASH = 32,      /* octets: SHA-256, for either algorithm (RFC 8301, 8463) */
	SIGN_SIGNATURE = 1024, /* octets: RSA with 8192 bits, more than verifiers take */
};

struct sign_hello {
	uint32_t sum; /* CRC-32C of the text of dkim_keys: both have read the same */
	uint32_t keys;
	uint8_t algorithm[SIGN_KEYS]; /* enum dkim_algorithm; DKIM_NONE: it cannot be used */
};

struct sign_question {
	uint32_t key; /* its place in dkim_keys, from 0 */
	uint8_t hash[SIGN_HASH];
};

struct sign_reply {
	uint32_t n; /* octets of the signature; 0: there is none */
	uint8_t signature[SIGN_SIGNATURE];
};

#endif

/*
 * signkey: private keys of DKIM, for sign alone (RFC 6376 section 3.3, RFC 8301, RFC 8463).
 */
#ifndef POSTERN_SIGNKEY_H
#define POSTERN_SIGNKEY_H

#include <openssl/evp.h>

#include "lib/buf.h"
#include "lib/signwire.h"
#include "mail/dkim.h"

enum {
	SIGNKEY_BITS = 2048, /* of RSA, at least (RFC 8301 section 3.2: "SHOULD") */
};

/*
 * The key of a PEM file, RSA or Ed25519. NULL: the reason is in *why, which begins with the path.
 */
EVP_PKEY *signkey_read(const char *path, struct buf *why);

enum dkim_algorithm signkey_algorithm(const EVP_PKEY *key);

/* Signs a SHA-256. Octets of the signature; 0: it failed. */
uint32_t signkey_sign(EVP_PKEY *key, const uint8_t hash[static SIGN_HASH],
	uint8_t out[static SIGN_SIGNATURE]);

#endif

/*
 * signkey: private keys of DKIM, for sign alone (RFC 6376 section 3.3, RFC 8301, RFC 8463).
 */
#ifndef POSTERN_SIGNKEY_H
#define POSTERN_SIGNKEY_H

#include <openssl/evp.h>
#include <sys/types.h>

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

/* Its word in k= of a record (RFC 6376 section 3.6.1), and in commands. */
const char *signkey_word(enum dkim_algorithm algorithm);

/* Appends what a record has in p=, in base64. False: out of memory. */
bool signkey_public(const EVP_PKEY *key, struct buf *out);

/*
 * Makes a key and writes it to a new file of this user (-1: of whoever runs this), that nobody else
 * may read. 0, or -EINVAL with the reason in *why.
 */
int signkey_make(enum dkim_algorithm algorithm, const char *path, uid_t owner, struct buf *why);

/* Signs a SHA-256. Octets of the signature; 0: it failed. */
uint32_t signkey_sign(EVP_PKEY *key, const uint8_t hash[static SIGN_HASH],
	uint8_t out[static SIGN_SIGNATURE]);

#endif

/*
 * dane: is a certificate one of those that the DNS says a host has (RFC 7671, 7672 section 3)?
 *
 * Of usages only those count that need no authority of ours: a certificate or its key (3), which is
 * good whatever its names and dates are, and an authority of the host's own (2), for which names,
 * dates and purpose must be right.
 */
#ifndef POSTERN_DANE_H
#define POSTERN_DANE_H

#include "dns/tlsa.h"
#include "sending/openssl.h"

/*
 * `leaf` with the others that came with it (a stack, which may be empty, or OpenSSL would
 * not look at authorities that stand in records); `names`, of which it must be for one where
 * it matters: up to NULL, "" is none. Unless GOOD, *why says why not.
 */
enum dane_verdict dane_judge(SSL_CTX *ctx, const struct tlsa *records, const char *const *names,
	X509 *leaf, STACK_OF(X509) *others, struct buf *why);

#endif

/*
 * certificate: what we show to clients that speak TLS, from a file of certificates and one of a
 * key; and what they show to us.
 *
 * What is wrong is told in words for the operator, with the key of the configuration and the file;
 * what OpenSSL has left behind in its queue of errors is of no use to anybody then, and is cleared.
 */
#ifndef POSTERN_CERTIFICATE_H
#define POSTERN_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "lib/buf.h"

enum { CERTIFICATE_SOON = 14 * 86400 }; /* s; what expires earlier should have been renewed */

/*
 * Adds our certificate, with the chain behind it in the file, and its key. Several may be added, of
 * different kinds of keys (RSA, ECDSA): the client's abilities choose. 0, or -EINVAL with the
 * reason in *why.
 *
 * A certificate and its key are renewed one after the other, whoever does it, and a client may come
 * in between: so what is of no use, and was changed a moment ago, is read again for a second.
 */
int certificate_use(SSL_CTX *ctx, const char *certificate, const char *key, struct buf *why);

/*
 * When the certificate that was added last can be used, in seconds from now: *from is above 0 if
 * that is still to come, *until below 0 if it is over.
 */
void certificate_life(SSL_CTX *ctx, int64_t *from, int64_t *until);

/*
 * Can a client that knows the authorities in this file, and nothing else, find its way to one of
 * them from the certificate that was added last? True also where nobody can say: a certificate that
 * signs itself needs no way, and there may be no such file.
 */
bool certificate_has_chain(SSL_CTX *ctx, const char *authorities);

/*
 * Who the client is by its own certificate, which was verified: the mail address in it, else its
 * common name; only plain ASCII counts (B7, B8). Empty: it has none that is good.
 */
void certificate_client(SSL *ssl, char *out, size_t size);

#endif

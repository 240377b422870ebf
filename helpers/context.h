/*
 * context: how TLS is spoken with clients: versions and ciphers, certificates, keys, tickets, and
 * what is asked of a client's own certificate. All that needs a file.
 */
#ifndef POSTERN_CONTEXT_H
#define POSTERN_CONTEXT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "conf/conf.h"
#include "lib/buf.h"
#include "lib/span.h"

/*
 * Of all that the configuration names. NULL: it cannot be; the reason is in *why, as is what is
 * done without, if there are other certificates.
 */
SSL_CTX *context_make(const struct conf *conf, struct buf *why);

/*
 * Uses the next certificate of a list with the next key of another one, either of which may be a
 * credential. 0, or -EINVAL with the reason in *why.
 */
int context_use_next(SSL_CTX *ctx, struct span *certificates, struct span *keys, struct buf *why);

/*
 * Has clients asked for a certificate of somebody in tls_client_ca, if that is set. False: that
 * file cannot be used, and the reason is behind what *why has.
 */
bool context_set_client_ca(SSL_CTX *ctx, const struct conf *conf, struct buf *why);

#endif

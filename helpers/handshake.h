/*
 * handshake: tls shakes hands with a client when the session has told it to, and tells the session
 * what came of it (lib/tlsinfo.h).
 */
#ifndef POSTERN_HANDSHAKE_H
#define POSTERN_HANDSHAKE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/tlsinfo.h"

enum { HANDSHAKE_NAME = 4 * TLS_NAME + 8 }; /* of a client, escaped for the log, with NUL */

/*
 * The session tells the client to begin only when it knows that we can: says so, and waits until it
 * has. `name` is who the client is then. False: it has gone.
 */
bool handshake_agree(int session, char name[static HANDSHAKE_NAME]);

/* With the client at SSL_get_fd(ssl), which does not block. False: see libssl_why. */
bool handshake_make(SSL *ssl, int64_t deadline);

/*
 * Tells what was agreed on, and who the client is by its certificate. What AUTH is bound to is made
 * only if `binds`: there are users who may ask for it (session/offers.c). False: the session has
 * gone.
 */
bool handshake_tell(int session, SSL *ssl, bool binds);

#endif

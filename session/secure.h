/*
 * secure: TLS and AUTH. Both are done by other programs (helper.h); here is when a client may ask
 * for them, and what follows.
 */
#ifndef POSTERN_SECURE_H
#define POSTERN_SECURE_H

#include "session/session.h"

/*
 * The command STARTTLS: R_START_TLS, and then secure_handshake, or a refusal, which comes too where
 * tls cannot use its files; then the session goes on in clear and does not offer it again.
 */
enum reply secure_starttls(struct session *s, struct span arg);

/*
 * Starts tls unless that was done, shakes hands, and forgets what was said in clear (RFC 3207
 * section 4.2). False: the end.
 */
bool secure_handshake(struct session *s);

/* The command AUTH, with its whole exchange. */
enum reply secure_auth(struct session *s, struct span arg);

#endif

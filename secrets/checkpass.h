/*
 * checkpass: other programs that know passwords, asked over a socket: saslauthd, and Dovecot's
 * authentication service.
 *
 * One question on each connection, which is made before the process locks itself in. The answer is
 * 1 (yes), 0 (no), or -errno: it could not be found out. What is not understood is never a yes or a
 * no. Answers are bounded, and nobody waits for one beyond the deadline.
 */
#ifndef POSTERN_CHECKPASS_H
#define POSTERN_CHECKPASS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/limits.h"
#include "lib/stream.h"

/* Connects *s to a socket within `seconds`. 0, or -errno. */
int checkpass_open(struct stream *s, const char *path, int64_t seconds);

/* Asks saslauthd. What follows '@' in the name is the realm. */
int checkpass_saslauthd(struct stream *s, const char *name, const char *password, int64_t deadline);

/*
 * Asks Dovecot, by version 1 of its protocol. `response` is the one of PLAIN in base64, `secure`:
 * the client speaks TLS. With a yes, `user` is who it is in Dovecot's words.
 */
int checkpass_dovecot(struct stream *s, const char *response, bool secure, int64_t deadline,
	char user[static LIMIT_ADDRESS + 1]);

#endif

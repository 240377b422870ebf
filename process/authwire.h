/*
 * authwire: what the session and auth say to each other, one packet each.
 *
 *	session                          auth
 *	struct auth_hello
 *	struct auth_text (initial        AUTH_CHALLENGE text...
 *	 response, or "" and !given)
 *	struct auth_text (response)      AUTH_DONE user and senders, or AUTH_REFUSED, ...
 *
 * Texts are base64 as on the wire. Closing is giving up.
 */
#ifndef POSTERN_AUTHWIRE_H
#define POSTERN_AUTHWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/limits.h"
#include "lib/tlsinfo.h"

enum {
	AUTH_MECHANISM = 24,
	AUTH_TEXT = LIMIT_AUTH_LINE + 1,
	AUTH_SENDERS = 8192, /* the addresses that one user may send from, with NUL */
};

struct auth_hello {
	char mechanism[AUTH_MECHANISM]; /* upper case */
	bool secure;                    /* TLS is spoken */
	struct tlsbinding binding;      /* to that */
	char client[LIMIT_ADDRESS + 1]; /* of its certificate, or "" */
};

enum auth_result {
	AUTH_CHALLENGE, /* text: what to say behind 334 */
	AUTH_DONE,      /* text: the user; behind its NUL, addresses the user may send from */
	AUTH_REFUSED,   /* wrong */
	AUTH_BAD_TEXT,  /* not base64, or not what the mechanism wants */
	AUTH_TROUBLE,   /* could not be checked now */
};

struct auth_text {
	enum auth_result result; /* from auth only */
	bool given;              /* from the session: there is a response (it may be empty) */
	char text[AUTH_TEXT];
};

/* Octets to send of a packet whose text has n octets with its NUL. */
static inline size_t
auth_text_size(size_t n)
{
	return offsetof(struct auth_text, text) + n;
}

#endif

/*
 * sasl: what a client says to prove who it is, by libgsasl and, with tokens, by a few lines of our own.
 *
 * libgsasl and what it brings are loaded only where there is a password.
 */
#ifndef POSTERN_SASL_H
#define POSTERN_SASL_H

#include "lib/buf.h"

struct sasl_library;

/* Loads it. NULL: it is not there. */
struct sasl_library *sasl_library_open(void);

/* Who we are. */
struct login {
	char *user;
	char *password; /* NULL: a token */
	char *token;    /* NULL: a password */
	bool clear;     /* the host may see what gives us away although it is not known for sure */
	struct sasl_library *library; /* for a password */
};

enum { SASL_NAME = 32, SASL_BINDING = 32 };

/* How to prove it, the best first. */
struct sasl_mechanism {
	char name[SASL_NAME];
	bool token;
	bool binds; /* the exchange to the TLS connection */
	bool bare;  /* who hears it can say it too */
};

enum { SASL_MECHANISMS = 8 };

extern const struct sasl_mechanism sasl_mechanisms[SASL_MECHANISMS];

/* One exchange. */
struct sasl {
	const struct sasl_mechanism *mechanism;
	const struct login *who;
	void *session; /* of libgsasl, or NULL */
	bool proved;   /* by the other side too, where the mechanism has that: success may be believed */
};

/* `binding`: SASL_BINDING octets for a mechanism that binds, else NULL. 0 or -EINVAL. */
int sasl_begin(struct sasl *s, const struct sasl_mechanism *m, const struct login *who,
	const unsigned char *binding);

/* Does the client speak first? */
bool sasl_speaks_first(const struct sasl *s);

/*
 * The answer to a challenge ("": to none), both in base64. 0. -EPROTO: the challenge is nonsense, or of an
 * impostor. -EACCES: an answer would give the password away to whoever tries enough words.
 */
int sasl_step(struct sasl *s, struct span challenge, struct buf *answer);

void sasl_end(struct sasl *s);

#endif

/*
 * sasl: what a client says to prove who it is, by libgsasl and, with tokens, by a few lines of our
 * own.
 *
 * libgsasl and what it brings are loaded only where there is a password.
 */
#ifndef POSTERN_SASL_H
#define POSTERN_SASL_H

#include "lib/buf.h"

struct sasl_library;

/* Loads it. NULL: it is not there. */
struct sasl_library *sasl_library_open(void);

/* What we log in with (login.h). */
struct login {
	char *user;
	char *password; /* NULL: a token */
	char *token;    /* NULL: a password */
	struct sasl_library *library; /* for a password */
};

enum { SASL_NAME = 32, SASL_BINDING = 32 };

/* How to prove it, the best first. */
struct sasl_mechanism {
	char name[SASL_NAME];
	bool token;
	bool binds; /* the exchange to the TLS connection */
	bool bare;  /* the host, and anybody who listens, learns the password or token */
};

enum { SASL_MECHANISMS = 8 };

extern const struct sasl_mechanism sasl_mechanisms[SASL_MECHANISMS];

/*
 * Those of them that a list of names, with blanks between, has; bit 1 << i is sasl_mechanisms[i].
 */
unsigned sasl_known(struct span names);

/* One exchange. */
struct sasl {
	const struct sasl_mechanism *mechanism;
	const struct login *who;
	void *session; /* of libgsasl, or NULL */
	bool proved;   /* the host has proved what the mechanism asks: its 2yz may be believed */
};

/* `binding`: SASL_BINDING octets for a mechanism that binds, else NULL. 0 or -EINVAL. */
int sasl_begin(struct sasl *s, const struct sasl_mechanism *m, const struct login *who,
	const unsigned char *binding);

/* Has the mechanism an initial response, or does the host begin with a challenge? */
bool sasl_speaks_first(const struct sasl *s);

/*
 * The answer to a challenge ("": to none), both in base64. 0. -EPROTO: the challenge is nonsense,
 * or of an impostor. -EACCES: the password could be guessed from an answer. -ERANGE: an answer
 * would take too long.
 */
int sasl_step(struct sasl *s, struct span challenge, struct buf *answer);

void sasl_end(struct sasl *s);

#endif

/*
 * arguments: the arguments of EHLO, MAIL, RCPT, BDAT and VRFY (RFC 5321 section 4.1.1 and the
 * extensions).
 *
 * A parameter that was not offered to this client is unknown (555), a value that is not as its RFC
 * wants it is refused (501), and so is a parameter that comes twice; nothing is guessed.
 *
 * Some rules are looser than the grammar. White space between the colon and "<" is tolerated,
 * because printers and cameras send it and it can mean only one thing. Clients that belong to this
 * site may leave out the brackets of an address, and may call themselves what they like in EHLO.
 */
#ifndef POSTERN_ARGUMENTS_H
#define POSTERN_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/address.h"
#include "mail/envelope.h"
#include "session/reply.h"

/* What only some clients may use: parameters, and looser rules. */
enum {
	OFFER_AUTH = 1,       /* AUTH= */
	OFFER_HOLD = 2,       /* HOLDFOR=, HOLDUNTIL= */
	OFFER_PRIORITY = 4,   /* MT-PRIORITY= */
	OFFER_REQUIRETLS = 8, /* REQUIRETLS */
	OFFER_BARE = 16,      /* an address without "<" and ">" */
	OFFER_ANY_NAME = 32,  /* any word as argument of EHLO and HELO */
};

struct mail_args {
	struct address sender;
	struct envelope env; /* env.sender is sender.whole */
	int64_t size;        /* SIZE=, or -1; INT64_MAX for anything larger */
};

struct rcpt_args {
	struct address to;
	struct terms terms;
};

/*
 * `offered` is of OFFER_*, `now` the wall clock from which intervals count, `max_hold` the longest
 * wait. R_SENDER_OK, or the reply that refuses; *out is valid only if accepted.
 */
enum reply arguments_mail(struct span arg, unsigned offered, int64_t now, int64_t max_hold,
	struct mail_args *out);

/* `utf8`: MAIL had SMTPUTF8. R_RCPT_OK, or the reply that refuses. */
enum reply arguments_rcpt(struct span arg, unsigned offered, bool utf8, struct rcpt_args *out);

/* May this be the argument of EHLO and HELO? */
bool arguments_hello(struct span arg, unsigned offered);

/* "octets [LAST]". False if it is anything else; a number that does not fit is. */
bool arguments_bdat(struct span arg, int64_t *octets, bool *last);

/* May this be the argument of VRFY? A user name or an address, with or without brackets. */
bool arguments_vrfy(struct span arg);

#endif

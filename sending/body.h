/*
 * body: the text of a message on its way to a host, in one of the forms that the host takes.
 *
 *	lines        behind DATA, dots stuffed, a dot at the end
 *	chunk        behind BDAT, as it is, counted (RFC 3030)
 *
 * A host that takes 7-bit text only gets what sevenbit.h makes of it (RFC 6152 section 3).
 */
#ifndef POSTERN_BODY_H
#define POSTERN_BODY_H

#include "mail/sevenbit.h"
#include "queue/message.h"
#include "sending/link.h"

/* How l->text begins if this side could not send: for what the host lacks, or for the disk. */
#define BODY_NOT_SENT "not sent"
#define BODY_SPOOL "spool"

struct text {
	const struct message *m;
	bool converted;  /* to 7-bit */
	bool binary;     /* it goes as BINARYMIME, by BDAT alone */
	bool utf8;       /* SMTPUTF8 is said: the text or an address of its transaction needs it */
	bool unfit;      /* there is no form in which this host can have it; another one may */
	uint64_t length; /* octets that the host will count */
	struct span signature; /* fields that go before it (signature.h); empty: none */
};

/* What of a host and our connection to it decides about what it can have. */
struct body_taker {
	unsigned can;      /* CAN_*: its extensions, */
	unsigned avoided;  /* and those that we do without for a while */
	int64_t size, by;  /* its limits (link.h) */
	bool final;        /* what it takes is delivered */
	bool tls, proved;  /* it has TLS; and its certificate is good for whom the mail is for */
	bool broken;       /* it has TLS that does not work */
};

/*
 * As it is now. `judge`: whether it is proved has to be known, where REQUIRETLS is offered; else
 * that is false.
 */
struct body_taker body_taker_of(struct link *l, bool judge);

/*
 * Chooses the form in which this host can have the message. DONE: *t is it, and t->utf8 is what the
 * sender and the header need. HARD: there is none, and l->text says why, with an enhanced status
 * code. SOFT: the message cannot be read now, or there is none for a while: t->unfit.
 */
enum outcome body_fit(struct link *l, const struct message *m, struct text *t);

/* Can this host have the address? If not, l->text says why, as above. */
bool body_address_fits(struct link *l, struct span address);

/* Could another host have the message for this recipient, as far as is known? */
bool body_would_fit(const struct body_taker *h, const struct message *m, struct span address);

/* Gives the sink the text in that form, without the signature. 0 or -errno. */
int body_read(const struct text *t, sevenbit_sink *sink, void *target);

/*
 * Sends the text whole. False: it broke off, and the host must not be told its end; l->text says
 * why.
 */
bool body_put_lines(struct link *l, const struct text *t);
bool body_put_chunk(struct link *l, const struct text *t);

#endif

/*
 * rewrite: the header of submitted mail, completed and rewritten while it passes by (RFC 6409
 * section 8).
 *
 * It hears the parts of the header (header.h) and puts out octets; what follows the header is
 * nothing to it. What is held back is a field that may be rewritten, until its end; everything else
 * passes at once. What is not rewritten is as it came, octet for octet, and so is what is not
 * understood: a list of addresses that is none, a field of more than LIMIT_MIME_FIELD octets. No
 * field has a longer name than HEADER_NAME: that is text. No line becomes longer than
 * LIMIT_TEXT_LINE that was not before.
 *
 *	add         fields that are missing come behind the others; text without a header gets one.
 *	            One that says nothing, or "<>", is as none (RFC 6409 sections 8.2 and 8.3), and
 *	            makes room. Not behind a DKIM-Signature: field, which may be for fields that are
 *	            not there.
 *	masquerade  domains in From:, Sender: and Reply-To:. Not behind a DKIM-Signature: field:
 *	            whoever signed wrote a domain that the world may see, and the signature would
 *	            be broken.
 *	force       the address in From:, signed or not: there is only one that is allowed, and a
 *	            broken signature counts as none (RFC 6376 section 6.1). What stood there is
 *	            kept, as X-Original-From: and X-Original-Sender:.
 */
#ifndef POSTERN_REWRITE_H
#define POSTERN_REWRITE_H

#include <stdint.h>

#include "lib/buf.h"
#include "mail/header.h"
#include "mail/masquerade.h"

enum { REWRITE_LOG = 1000 }; /* octets of what the log says of one message */

/* Fields. */
enum {
	REWRITE_DATE = 1,
	REWRITE_MESSAGE_ID = 2,
	REWRITE_FROM = 4,
	REWRITE_SENDER = 8,
	REWRITE_REPLY_TO = 16,
	REWRITE_SIGNATURE = 32,
};

/* What is to be done. The texts live as long as the message passes by. */
struct rewrite_plan {
	unsigned add;                 /* REWRITE_DATE, _MESSAGE_ID, _FROM, if they are missing */
	int64_t now;                  /* wall clock, for Date: */
	const char *id, *hostname;    /* <id@hostname> becomes the Message-ID: */
	struct span from;             /* From:, with A-labels; empty: it is not added */
	struct span force;            /* the only address in From:; empty: as it came */
	struct masquerade masquerade; /* (masquerade.h) */
};

typedef void rewrite_sink(void *ctx, struct span piece);

struct rewrite {
	struct rewrite_plan plan;
	rewrite_sink *sink;
	void *ctx;
	unsigned seen;  /* fields that the client wrote */
	unsigned added; /* fields that it did not write and that were added */
	bool over;      /* the header is: what follows passes as it is */

	/* of rewrite.c */
	bool torn;      /* the line of a field has no end yet */
	bool forced;    /* From: was written */
	bool replace;   /* the field that is held back is, if it says nothing */
	unsigned field; /* which one is held back; 0: none */
	size_t name;    /* octets of its name and its colon */
	struct buf held;
	struct buf log;
};

/* Is there anything to do? */
bool rewrite_needed(const struct rewrite_plan *plan);

/* A message begins. Allocates nothing. */
void rewrite_begin(struct rewrite *r, const struct rewrite_plan *plan, rewrite_sink *sink,
	void *ctx);

/* A listener; what is missing comes with the end of the header, which header_end tells, too. */
void rewrite_hear(struct rewrite *r, const struct header_part *part);

/* Frees the memory; for one that was zeroed, too. What was changed is forgotten. */
void rewrite_free(struct rewrite *r);

/*
 * What was changed, for the log: "From: a@b.example became c@d.example; ...", escaped; empty if
 * nothing was. Valid until rewrite_free.
 */
struct span rewrite_changes(const struct rewrite *r);

/* The names of fields, "Date, Message-ID", as a C string. */
enum { REWRITE_NAMES = 64 };
void rewrite_names(unsigned fields, char out[static REWRITE_NAMES]);

#endif

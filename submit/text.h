/*
 * text: a message as a program writes it, made into one that can be sent.
 *
 *	what comes                                what is kept
 *	LF, CRLF, mixed                           CRLF; CRs before LF are one with it
 *	CR alone                                  CRLF in the text, a blank in the header
 *	NUL                                       nothing; a dot beside it is not alone
 *	a last line without an end                the line with one
 *	"." alone in a line                       the end, unless dots are only text (-i)
 *	a first line "From " of a mailbox         nothing
 *	text that has no header                   the body of a message without one
 *
 * The header is kept in memory and apart from the body, since it decides where the message goes.
 */
#ifndef POSTERN_TEXT_H
#define POSTERN_TEXT_H

#include <stdbool.h>

#include "submit/store.h"

enum { TEXT_HEADER = 1024 * 1024 }; /* octets of a header; thousands of recipients */

struct text {
	struct buf header;  /* whole fields with CRLF, without the empty line */
	struct store body;
	bool eightbit;      /* an octet beyond ASCII */
	bool dots;          /* a dot alone is text */
	bool over;          /* the end was read: what follows is not looked at */
	bool large_header;  /* it has no end within TEXT_HEADER, and the message is of no use */

	/* of text.c */
	struct buf line;    /* of the header, so far */
	bool began;         /* the first line was read */
	bool in_body;
	long crs;           /* so many came last, and it is not known yet what they end */
	bool bol;           /* at the beginning of a line */
	bool nul;           /* ... or behind CRs; but there was a NUL, so that a dot is text */
	bool dot;           /* behind a dot that began one, which was not kept yet */
};

struct text text_new(bool dots);

/* Pieces in order, split anywhere; then the end of all input. */
void text_feed(struct text *t, struct span piece);
void text_end(struct text *t);

/* Octets so far. */
int64_t text_size(const struct text *t);

void text_free(struct text *t);

#endif

/*
 * header: one walk over the fields of a message that passes by, which all hear who want to know
 * something of its header.
 *
 *	while (header_next(&walk, &piece, &part)) {
 *		..._hear(..., &part);
 *		..._hear(..., &part);
 *	}
 *
 * Each octet of the header is in one part, in order, so that who rewrites it puts out what is
 * heard; what is left of the piece behind the end is text. Nothing is kept but the beginning of a
 * line until its colon, HEADER_NAME octets at most.
 *
 * The header ends at the empty line. For some it ends before the first line that is neither a field
 * nor the continuation of one (RFC 5322 section 2.1): the walk says that there is one, and goes on.
 */
#ifndef POSTERN_HEADER_H
#define POSTERN_HEADER_H

#include <stdbool.h>

#include "lib/span.h"

enum { HEADER_NAME = 78 }; /* octets of a name with blanks and the colon behind it: a line */

enum header_kind {
	HEADER_FIELD, /* a field begins: all up to its colon */
	HEADER_VALUE, /* more of it, with the ends of its lines */
	HEADER_TEXT,  /* of a line that is no field */
	HEADER_END,   /* the empty line; without octets: the end of a message that has none */
};

/* Valid until the walk goes on, and as long as the piece. */
struct header_part {
	enum header_kind kind;
	struct span text; /* its octets; TEXT may have none */
	/* Of FIELD, without blanks; empty: it is longer than HEADER_NAME, and in several parts. */
	struct span name;
};

/* Begins as { 0 }. */
struct header {
	bool over; /* there is nothing more to hear */

	/* of header.c */
	bool begun;  /* there was a field, which the next line may continue */
	bool longer; /* the name is */
	enum header_place { HEADER_AT_LINE, HEADER_IN_NAME, HEADER_IN_BLANK, HEADER_IN_VALUE,
		HEADER_IN_TEXT, HEADER_AT_EMPTY } place;
	size_t n; /* octets that wait until it is known what they are */
	char line[HEADER_NAME]; /* of which only n were written */
};

/* May a field's name hold it (RFC 5322 section 3.6.8)? And may it stand before the colon? */
bool header_is_name(char c);
bool header_is_blank(char c);

/* The next part; *piece moves behind it. False: first another piece has to come. */
bool header_next(struct header *h, struct span *piece, struct header_part *part);

/* The message ends here: what waited, as TEXT, or END. */
struct header_part header_end(struct header *h);

/* The fields of a name, and what the first one says. Begins as { 0 }. */
struct header_value {
	unsigned fields; /* that there are */
	bool here;       /* the first one is being heard */
	uint16_t n;      /* octets of its value that were taken */
};

/*
 * Hears a part: puts what belongs to the value into `room`, as far as that goes, without the ends
 * of its lines and the blanks in front.
 */
void header_take(struct header_value *v, const struct header_part *part, struct span name,
	char *room, size_t size);

#endif

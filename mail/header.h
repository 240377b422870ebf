/*
 * header: is the header of a message that passes by in ASCII?
 *
 * The header ends at the empty line, or before the first line that is neither a field nor the
 * continuation of one: text without a header is text (RFC 5322 section 2.1).
 */
#ifndef POSTERN_HEADER_H
#define POSTERN_HEADER_H

#include <stdbool.h>

#include "lib/span.h"

/* Begins as { 0 }. */
struct header {
	bool over;
	bool eightbit; /* an octet beyond ASCII stands in a field */

	/* of header.c */
	enum header_place { HEADER_LINE, HEADER_NAME, HEADER_BLANK, HEADER_VALUE } place;
	bool begun; /* there was a field, which the next line may continue */
};

/* May a field's name hold it (RFC 5322 section 3.6.8)? And may it stand before the colon? */
bool header_is_name(char c);
bool header_is_blank(char c);

void header_feed(struct header *h, struct span piece);

#endif

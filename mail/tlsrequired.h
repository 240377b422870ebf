/*
 * tlsrequired: does the header of a message that passes by say "TLS-Required: No" (RFC 8689 section
 * 3)? Then its sender prefers that it arrives to that it is encrypted on the way.
 *
 * The field counts if it is there once and says nothing else: one that is odd, or comes twice, is
 * no wish, and the mail is protected as any other. The header ends at the empty line, or before the
 * first line that is neither a field nor the continuation of one. It hears the parts of it
 * (header.h).
 */
#ifndef POSTERN_TLSREQUIRED_H
#define POSTERN_TLSREQUIRED_H

#include "mail/header.h"

enum { TLSREQUIRED_TEXT = 32 }; /* octets of a value, with blanks behind it: a longer one is odd */

/* Begins as { 0 }. */
struct tlsrequired {
	struct header_value value;
	bool over; /* the header is */
	char text[TLSREQUIRED_TEXT];
};

void tlsrequired_hear(struct tlsrequired *t, const struct header_part *part);

/* As far as was heard: it says so. */
bool tlsrequired_says_no(const struct tlsrequired *t);

#endif

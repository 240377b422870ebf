/*
 * tlsrequired: does the header of a message that passes by say "TLS-Required: No" (RFC 8689 section
 * 3)? Then its sender prefers that it arrives to that it is encrypted on the way.
 *
 * The field counts if it is there once and says nothing else: one that is odd, or comes twice, is
 * no wish, and the mail is protected as any other. The header ends at the empty line, or before the
 * first line that is neither a field nor the continuation of one.
 */
#ifndef POSTERN_TLSREQUIRED_H
#define POSTERN_TLSREQUIRED_H

#include <stdbool.h>

#include "lib/span.h"

/* Begins as { 0 }. */
struct tlsrequired {
	enum tlsrequired_place { TLSREQUIRED_LINE, TLSREQUIRED_NAME, TLSREQUIRED_BLANK,
		TLSREQUIRED_VALUE, TLSREQUIRED_REST, TLSREQUIRED_OVER } place;
	int name;   /* octets of the name that were there; -1: it is another one */
	bool begun; /* there was a field, which the next line may continue, */
	bool ours;  /* and it is this one */
	int fields; /* of this name */
	enum { SAID_NOTHING, SAID_N, SAID_NO, SAID_NO_MORE, SAID_ELSE } said;
};

void tlsrequired_feed(struct tlsrequired *t, struct span piece);

/* As far as was fed: it says so. */
bool tlsrequired_says_no(const struct tlsrequired *t);

#endif

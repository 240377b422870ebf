/*
 * letter: a report on TLS as mail (RFC 8460 section 5.3): a few words for a person, and the JSON,
 * compressed, as an attachment. All of it is ASCII.
 */
#ifndef POSTERN_LETTER_H
#define POSTERN_LETTER_H

#include "tlsreport/aggregate.h"

struct letter {
	const struct aggregate *what;
	const char *from, *to;  /* mailboxes */
	const char *id;         /* of this mail */
	const char *host;       /* our name */
	struct span packed;     /* the JSON */
};

/* The whole mail, into a buffer without memory yet. 0 or -errno. */
int letter_write(const struct letter *l, struct buf *out);

#endif

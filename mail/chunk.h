/*
 * chunk: octets of a message that come counted, by BDAT (RFC 3030).
 *
 * Nothing is looked for in them but what may not be passed on to a host that takes lines: a CR or
 * LF on its own, and NUL. Whether that matters depends on BODY=BINARYMIME.
 */
#ifndef POSTERN_CHUNK_H
#define POSTERN_CHUNK_H

#include <stdbool.h>

#include "lib/span.h"

struct chunk {
	bool cr;   /* the last octet so far was CR */
	bool bare; /* a bare CR or LF was seen */
	bool nul;  /* a NUL was seen */
};

void chunk_feed(struct chunk *c, struct span piece);

/* After the last octet. */
static inline void
chunk_end(struct chunk *c)
{
	c->bare = c->bare || c->cr;
}

#endif

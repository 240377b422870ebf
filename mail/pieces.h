/*
 * pieces: a message read by offsets, line by line as far as its lines are as long as they may be.
 *
 * Any offset may be asked for; one near the last costs nothing. Memory is fixed, lines are not.
 */
#ifndef POSTERN_PIECES_H
#define POSTERN_PIECES_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/limits.h"
#include "lib/span.h"

enum {
	PIECES_MAX = LIMIT_TEXT_LINE + 4, /* octets of a piece: more than any line that may be */
	PIECES_CHUNK = 16 * 1024,
};

/* Up to n octets from `offset`; 0 only at the end; -errno. */
typedef ssize_t pieces_read(const void *source, uint64_t offset, char *p, size_t n);

struct pieces {
	pieces_read *read;
	const void *source;
	uint64_t at; /* offset of the chunk */
	size_t n;    /* octets in it */
	bool last;   /* nothing follows it */
	char chunk[PIECES_CHUNK];
};

/*
 * The piece at an offset: up to the next LF, or PIECES_MAX octets (or one less) of a longer line,
 * or what is left; empty at the end. CR and LF are not torn apart. Valid until the next call. 0 or
 * -errno.
 */
int pieces_at(struct pieces *s, uint64_t at, struct span *piece);

/* Does it end with CRLF? */
bool piece_ends_line(struct span piece);

/* Without its CRLF. */
struct span piece_text(struct span piece);

/* Without its CRLF, has it an octet that no text has: NUL, CR, LF? */
bool piece_is_binary(struct span piece);

/* Is it part of a line that is too long to be a piece? */
bool piece_is_torn(struct span piece);

#endif

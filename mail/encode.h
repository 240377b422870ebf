/*
 * encode: quoted-printable and base64, as they go into a message (RFC 2045 sections 6.7, 6.8).
 *
 * Pieces in, lines of at most 76 octets out. The last line has no CRLF until it is asked for: in
 * front of a boundary the CRLF belongs to the boundary.
 */
#ifndef POSTERN_ENCODE_H
#define POSTERN_ENCODE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/span.h"

enum { ENCODE_LINE = 76 };

typedef void encode_sink(void *ctx, struct span piece);

struct encoder {
	encode_sink *sink;
	void *ctx;
	char held[ENCODE_LINE]; /* quoted-printable: of this line; base64: not yet encoded */
	size_t n;
	bool later; /* base64: a line was written, and its CRLF was not */
	size_t column; /* requoted: octets of this line so far */
	int escape;    /* ... and how many of an escape are missing */
};

static inline struct encoder
encoder_new(encode_sink *sink, void *ctx)
{
	return (struct encoder){ .sink = sink, .ctx = ctx };
}

/* A line with its CRLF, or a part of a line. It holds no other CR or LF. */
void encode_quoted(struct encoder *e, struct span piece);

/* The end; `end_line`: what came last gets a CRLF, which is not part of the text. */
void encode_quoted_end(struct encoder *e, bool end_line);

/*
 * Pieces of quoted-printable that hold what should have been encoded: that is, and nothing else. A
 * line that would be too long for mail is broken.
 */
void encode_requoted(struct encoder *e, struct span piece);

/* The same in base64, for any octets. */
void encode_base64(struct encoder *e, struct span piece);
void encode_base64_end(struct encoder *e, bool end_line);

/* Adds all of a text, in one line. */
void encode_base64_text(struct buf *out, struct span text);

#endif

/*
 * dot: the end of data, and the dots before it (RFC 5321 sections 4.1.1.4 and 4.5.2).
 *
 * A pure reader: bytes in, unstuffed body out, split anywhere. Only CRLF "." CRLF ends a message.
 * A bare CR or LF makes the whole message unacceptable, and a lone dot between line ends of any
 * other kind ends the reading at once (BROKEN), so that what follows is never taken for commands
 * by anybody (SMTP smuggling). In lenient mode, for pipes, LF is a line end and becomes CRLF.
 */
#ifndef POSTERN_DOT_H
#define POSTERN_DOT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/span.h"

enum dot_result {
	DOT_MORE,   /* all of the input was used */
	DOT_END,    /* the end; what follows in the input is not ours */
	DOT_BROKEN, /* a false end: refuse the message and close the connection */
};

struct dot {
	enum dot_state { DOT_BOL, DOT_TEXT, DOT_CR, DOT_DOT, DOT_DOT_CR, DOT_FALSE_BOL,
		DOT_FALSE_DOT } state;
	bool lenient;
	bool bare; /* a bare CR or LF was seen: refuse */
	bool nul;  /* a NUL was seen */
};

static inline struct dot
dot_new(bool lenient)
{
	return (struct dot){ .state = DOT_BOL, .lenient = lenient };
}

/* Receives pieces of the body, in order. */
typedef void dot_sink(void *ctx, struct span piece);

/* Reads `in`; *used is how much of it belongs to the message and its end. */
enum dot_result dot_read(struct dot *d, struct span in, size_t *used, dot_sink *sink, void *ctx);

#endif

/*
 * buf: a growing byte buffer whose maximum is given at birth.
 *
 * Appends never fail loudly: what would exceed the maximum, or memory, sets `err` and is dropped,
 * as is everything after it. The owner checks `err` once, at the end.
 */
#ifndef POSTERN_BUF_H
#define POSTERN_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "lib/span.h"

struct buf {
	char *p;    /* n bytes, not NUL-terminated; NULL before the first append */
	size_t n;   /* bytes used */
	size_t cap; /* bytes allocated */
	size_t max; /* never more than this many bytes */
	int err;    /* 0, -E2BIG (over max) or -ENOMEM; sticks until buf_reset */
};

/* An empty buffer that will never hold more than `max` bytes. Allocates nothing. */
struct buf buf_new(size_t max);

void buf_add(struct buf *b, struct span s);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/*
 * Appends bytes of a peer so that they can stand in a log line or a header: everything but
 * printable ASCII, and the backslash itself, becomes \xHH. At most `limit` bytes of s are taken;
 * what is cut off is marked with "...".
 */
void buf_escape(struct buf *b, struct span s, size_t limit);

/* The same as a C string in a buffer of `size` octets; cut with "..." if it does not fit. */
void buf_escape_text(char *out, size_t size, struct span s);

static inline struct span
buf_span(const struct buf *b)
{
	return (struct span){ b->p, b->n };
}

/* Empties the buffer and forgets its error; keeps the memory. */
void buf_reset(struct buf *b);

/* Frees the memory. The buffer may be used again. */
void buf_free(struct buf *b);

#endif

#include "lib/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST = 256 }; /* first allocation, bytes */

struct buf
buf_new(size_t max)
{
	return (struct buf){ .max = max };
}

/* Makes room for `more` bytes; false (with err set) if there is none. */
static bool
buf_reserve(struct buf *b, size_t more)
{
	if (b->err != 0)
		return false;
	if (more > b->max - b->n) {
		b->err = -E2BIG;
		return false;
	}
	size_t need = b->n + more;
	if (need <= b->cap)
		return true;
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST;
	while (cap < need)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	char *p = realloc(b->p, cap);
	if (p == NULL) {
		b->err = -ENOMEM;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void
buf_add(struct buf *b, struct span s)
{
	if (s.n == 0 || !buf_reserve(b, s.n))
		return;
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, span_of(s));
}

/* Room for the NUL that vsnprintf adds to n bytes, and that is no part of the text. */
static bool
has_end(struct buf *b, size_t n)
{
	if (b->cap - b->n > n)
		return true;
	char *p = realloc(b->p, b->cap + 1);
	if (p == NULL) {
		b->err = -ENOMEM;
		return false;
	}
	b->p = p;
	return true;
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	char text[BUF_FIRST];
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0) {
		b->err = -ENOMEM;
	} else if ((size_t)n < sizeof(text)) {
		buf_add(b, (struct span){ text, (size_t)n });
	} else if (buf_reserve(b, (size_t)n) && has_end(b, (size_t)n)) {
		(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_escape(struct buf *b, struct span s, size_t limit)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = s.n < limit ? s.n : limit;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c < 0x7f && c != '\\') {
			buf_add(b, (struct span){ &s.p[i], 1 });
		} else {
			char code[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };
			buf_add(b, (struct span){ code, sizeof(code) });
		}
	}
	if (n < s.n)
		buf_puts(b, "...");
}

void
buf_escape_text(char *out, size_t size, struct span s)
{
	struct buf b = buf_new(size);
	buf_escape(&b, s, size / 4 - 2); /* four octets for one, and room for the dots and NUL */
	snprintf(out, size, "%.*s", (int)b.n, b.n > 0 ? b.p : "");
	buf_free(&b);
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->err = 0;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = buf_new(b->max);
}

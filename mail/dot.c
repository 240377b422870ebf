/*
 * The state says what stands before the next byte:
 *
 *	BOL        the start of the message or CRLF        FALSE_BOL  a bare CR or LF
 *	TEXT       something else on this line             FALSE_DOT  a dot behind one of them
 *	CR         a CR that was not passed on yet
 *	DOT        "." at the start of a line, held back   DOT_CR     the same and a CR
 */
#include "mail/dot.h"

static const struct span crlf = { "\r\n", 2 };

/* Passes on text up to the next CR or LF; returns how much. */
static size_t
text_run(struct dot *d, struct span in, dot_sink *sink, void *ctx)
{
	const char *lf = memchr(in.p, '\n', in.n);
	size_t n = lf != NULL ? (size_t)(lf - in.p) : in.n;
	const char *cr = memchr(in.p, '\r', n);
	if (cr != NULL)
		n = (size_t)(cr - in.p);
	if (n > 0) {
		if (memchr(in.p, '\0', n) != NULL)
			d->nul = true;
		sink(ctx, (struct span){ in.p, n });
	}
	return n;
}

/* A line feed that no CR came before. */
static void
bare_lf(struct dot *d, dot_sink *sink, void *ctx)
{
	if (d->lenient) {
		sink(ctx, crlf);
		d->state = DOT_BOL;
	} else {
		d->bare = true;
		d->state = DOT_FALSE_BOL;
	}
}

/* One byte in TEXT, BOL, CR or FALSE_BOL. Returns whether the byte was used up. */
static bool
step(struct dot *d, char c, dot_sink *sink, void *ctx)
{
	switch (d->state) {
	case DOT_BOL:
	case DOT_FALSE_BOL:
		if (c == '.') {
			d->state = d->state == DOT_BOL ? DOT_DOT : DOT_FALSE_DOT;
			return true;
		}
		d->state = DOT_TEXT;
		return false;
	case DOT_CR:
		if (c == '\n') {
			sink(ctx, crlf);
			d->state = DOT_BOL;
			return true;
		}
		d->bare = true;
		d->state = DOT_FALSE_BOL;
		return false;
	default: /* TEXT, at a CR or LF */
		if (c == '\r')
			d->state = DOT_CR;
		else
			bare_lf(d, sink, ctx);
		return true;
	}
}

/* One byte behind a dot that began a line. */
static enum dot_result
step_dot(struct dot *d, char c, bool *used)
{
	*used = true;
	if (d->state == DOT_DOT && c == '\r') {
		d->state = DOT_DOT_CR;
		return DOT_MORE;
	}
	if (d->state == DOT_DOT_CR)
		return c == '\n' ? DOT_END : DOT_BROKEN;
	if (c == '\n' && d->state == DOT_DOT && d->lenient)
		return DOT_END;
	if (c == '\n' || c == '\r')
		return DOT_BROKEN;
	*used = false; /* a stuffed dot: it goes, the rest stays */
	d->state = DOT_TEXT;
	return DOT_MORE;
}

enum dot_result
dot_read(struct dot *d, struct span in, size_t *used, dot_sink *sink, void *ctx)
{
	size_t i = 0;
	while (i < in.n) {
		if (d->state == DOT_TEXT) {
			i += text_run(d, span_skip(in, i), sink, ctx);
			if (i == in.n)
				break;
		}
		bool taken;
		if (d->state == DOT_DOT || d->state == DOT_DOT_CR || d->state == DOT_FALSE_DOT) {
			enum dot_result r = step_dot(d, in.p[i], &taken);
			i += taken;
			if (r == DOT_BROKEN)
				d->bare = true;
			if (r != DOT_MORE) {
				*used = i;
				return r;
			}
		} else {
			taken = step(d, in.p[i], sink, ctx);
			i += taken;
		}
	}
	*used = i;
	return DOT_MORE;
}

#include "mail/encode.h"

#include "lib/limits.h"

enum {
	QUOTED_MAX = 3,     /* octets that one becomes */
	BASE64_OCTETS = 57, /* in one line */
	/* octets after which a line is broken behind the next escape, or anywhere at last */
	REQUOTED_LINE = LIMIT_TEXT_LINE - 100,
	REQUOTED_MAX = LIMIT_TEXT_LINE - 2 * QUOTED_MAX,
};

static const struct span crlf = { "\r\n", 2 };
static const struct span soft = { "=\r\n", 3 }; /* a line end that is not in the text */

static void
flush(struct encoder *e, struct span end)
{
	if (e->n > 0)
		e->sink(e->ctx, (struct span){ e->held, e->n });
	e->sink(e->ctx, end);
	e->n = 0;
}

/* May it stand for itself? A line that begins with a dash could be taken for a boundary. */
static bool
is_plain(char c, bool first, bool last)
{
	if (c == ' ' || c == '\t')
		return !last;
	return c > ' ' && c < 0x7f && c != '=' && !(c == '-' && first);
}

static void
hold_escape(struct encoder *e, char c)
{
	static const char hex[] = "0123456789ABCDEF";
	e->held[e->n++] = '=';
	e->held[e->n++] = hex[(unsigned char)c >> 4];
	e->held[e->n++] = hex[(unsigned char)c & 15];
}

static void
put_quoted(struct encoder *e, char c, bool last)
{
	if (e->n + QUOTED_MAX + 1 > ENCODE_LINE)
		flush(e, soft);
	if (is_plain(c, e->n == 0, last)) {
		e->held[e->n++] = c;
		return;
	}
	hold_escape(e, c);
}

void
encode_quoted(struct encoder *e, struct span piece)
{
	bool line = piece.n > 0 && piece.p[piece.n - 1] == '\n';
	size_t n = line ? piece.n - crlf.n : piece.n;
	for (size_t i = 0; i < n; i++)
		put_quoted(e, piece.p[i], i + 1 == n);
	if (line)
		flush(e, crlf);
}

void
encode_quoted_end(struct encoder *e, bool end_line)
{
	if (e->n > 0)
		flush(e, end_line ? soft : (struct span){ "", 0 });
}

/* The next octet of a line; it may be the first behind a break. */
static void
put_requoted(struct encoder *e, char c)
{
	bool broken = e->column > (e->escape == 0 ? REQUOTED_LINE : REQUOTED_MAX);
	if (broken) {
		e->sink(e->ctx, soft);
		e->column = 0;
	}
	e->n = 0;
	if ((c & 0x80) != 0 || (broken && c != '=' && !is_plain(c, true, true)))
		hold_escape(e, c);
	else
		e->held[e->n++] = c;
	e->escape = c == '=' ? 2 : e->escape > 0 && ascii_hex(c) >= 0 ? e->escape - 1 : 0;
	e->sink(e->ctx, (struct span){ e->held, e->n });
	e->column += e->n;
	e->n = 0;
}

void
encode_requoted(struct encoder *e, struct span piece)
{
	bool line = piece.n > 0 && piece.p[piece.n - 1] == '\n';
	size_t n = line ? piece.n - crlf.n : piece.n;
	for (size_t i = 0; i < n; i++)
		put_requoted(e, piece.p[i]);
	if (!line)
		return;
	e->sink(e->ctx, crlf);
	e->column = 0;
	e->escape = 0;
}

/* Three octets, of which the last may be missing. */
static void
put_group(char *out, const char *in, size_t n)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0;
	for (size_t i = 0; i < 3; i++)
		bits = bits << 8 | (i < n ? (unsigned char)in[i] : 0);
	for (size_t i = 0; i < 4; i++)
		out[i] = i <= n ? digit[bits >> (18 - 6 * i) & 63] : '=';
}

static void
put_base64_line(struct encoder *e)
{
	char line[ENCODE_LINE];
	size_t n = 0;
	for (size_t i = 0; i < e->n; i += 3, n += 4)
		put_group(line + n, e->held + i, e->n - i);
	if (e->later)
		e->sink(e->ctx, crlf);
	e->sink(e->ctx, (struct span){ line, n });
	e->later = true;
	e->n = 0;
}

void
encode_base64(struct encoder *e, struct span piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		e->held[e->n++] = piece.p[i];
		if (e->n == BASE64_OCTETS)
			put_base64_line(e);
	}
}

void
encode_base64_end(struct encoder *e, bool end_line)
{
	if (e->n > 0)
		put_base64_line(e);
	if (end_line && e->later)
		e->sink(e->ctx, crlf);
}

void
encode_base64_text(struct buf *out, struct span text)
{
	char four[4];
	for (size_t i = 0; i < text.n; i += 3) {
		put_group(four, text.p + i, text.n - i < 3 ? text.n - i : 3);
		buf_add(out, (struct span){ four, sizeof(four) });
	}
	explicit_bzero(four, sizeof(four)); /* it may have been a secret */
}

#include "report/original.h"

#include <errno.h>

#include "lib/cleanup.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/sevenbit.h"

enum {
	CHUNK = 4096,
	QP_LINE = 72, /* octets after which a line of quoted-printable is folded */
};

int
original_read_until(const struct message *m, const char *end, struct buf *b)
{
	char chunk[CHUNK];
	bool ended = false;
	for (uint64_t at = 0; !ended && b->err == 0;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n <= 0)
			return (int)n;
		at += (uint64_t)n;
		buf_add(b, (struct span){ chunk, (size_t)n });
		ended = end != NULL && b->n > 0 && memmem(b->p, b->n, end, strlen(end)) != NULL;
	}
	return 0;
}

/* ---- all of it --------------------------------------------------------------------------- */

/* Lines end in CRLF, the last one perhaps not; no other CR or LF, no NUL. */
static bool
is_lines(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool cr = i > 0 && s.p[i - 1] == '\r';
		if (s.p[i] == '\0' || cr != (s.p[i] == '\n'))
			return false;
	}
	return s.n == 0 || s.p[s.n - 1] != '\r';
}

static ssize_t
read_text(const void *source, uint64_t offset, char *p, size_t n)
{
	struct span rest = span_skip(buf_span(source), (size_t)offset);
	if (n > rest.n)
		n = rest.n;
	if (n > 0)
		memcpy(p, rest.p, n);
	return (ssize_t)n;
}

/*
 * Could a host have it that takes 7-bit text only? What becomes of the report is not known until it
 * is there, and then the sender would hear nothing at all.
 */
static bool
fits_any_host(const struct buf *whole)
{
	uint64_t length;
	const char *why;
	return span_is_ascii(buf_span(whole)) ||
		sevenbit_check(read_text, whole, &length, &why) == 0;
}

int
original_read(const struct message *m, bool global, struct buf *whole)
{
	int r = original_read_until(m, NULL, whole);
	if (r < 0)
		return r;
	if (whole->err < 0)
		return whole->err;
	return is_lines(buf_span(whole)) && (global || fits_any_host(whole)) ? 0 : -EINVAL;
}

void
original_put_whole(struct buf *b, const struct message *m, const struct buf *whole)
{
	buf_printf(b, "Content-Type: message/%s\r\n",
		message_is_global(m) ? "global" : "rfc822");
	if (m->eightbit)
		buf_puts(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_puts(b, "\r\n");
	buf_add(b, buf_span(whole));
}

/* ---- the header -------------------------------------------------------------------------- */

/*
 * field-name ":", perhaps with blanks before it (RFC 5322 sections 2.2 and 4.5), or white space
 * that continues one; then CR, and no other.
 */
static bool
is_header_line(struct span line)
{
	size_t n = 0;
	if (line.n == 0 || memchr(line.p, '\r', line.n) != line.p + line.n - 1 ||
		memchr(line.p, '\0', line.n) != NULL)
		return false;
	while (n < line.n && header_is_name(line.p[n]))
		n++;
	if (n == 0)
		return header_is_blank(line.p[0]);
	while (n < line.n && header_is_blank(line.p[n]))
		n++;
	return n < line.n && line.p[n] == ':';
}

/*
 * Octets of whole header lines at the start of s, up to the first line that is none, such as the
 * empty one: the text behind it is not given back (E10).
 */
static size_t
header_length(struct span s)
{
	const char *nl;
	size_t n = 0;
	while (n < s.n && (nl = memchr(s.p + n, '\n', s.n - n)) != NULL &&
		is_header_line(span_from(s.p + n, nl)))
		n = (size_t)(nl - s.p) + 1;
	return n;
}

/* RFC 2045 section 6.7: lines of any length and any octets become short ones of ASCII. */
static void
put_quoted_printable(struct buf *b, struct span s)
{
	size_t column = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\r';
		if (c == '\r' && next == '\n') {
			buf_puts(b, "\r\n");
			column = 0;
			i++;
			continue;
		}
		if (column > QP_LINE) {
			buf_puts(b, "=\r\n");
			column = 0;
		}
		bool plain = c >= ' ' && c <= '~' && c != '=' && (c != ' ' || next != '\r');
		buf_printf(b, plain ? "%c" : "=%02X", (unsigned char)c);
		column += plain ? 1 : 3;
	}
}

int
original_put_header(struct buf *b, const struct message *m, bool global)
{
	auto_buf head = buf_new(ORIGINAL_HEADER_MAX);
	int r = original_read_until(m, "\r\n\r\n", &head);
	if (r < 0)
		return r;
	struct span header = { head.p, header_length(buf_span(&head)) };
	if (span_is_ascii(header)) {
		buf_puts(b, "Content-Type: text/rfc822-headers\r\n\r\n");
		buf_add(b, header);
	} else if (global && address_is_utf8(header)) {
		buf_puts(b, "Content-Type: message/global-headers\r\n"
			    "Content-Transfer-Encoding: 8bit\r\n\r\n");
		buf_add(b, header);
	} else {
		buf_puts(b, "Content-Type: text/rfc822-headers\r\n"
			    "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		put_quoted_printable(b, header);
	}
	return 0;
}

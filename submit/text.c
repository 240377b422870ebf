#include "submit/text.h"

static const struct span crlf = { "\r\n", 2 };

struct text
text_new(bool dots)
{
	return (struct text){ .header = buf_new(TEXT_HEADER), .line = buf_new(TEXT_HEADER),
		.body = store_new(), .dots = dots, .bol = true };
}

/* ---- header or body? ------------------------------------------------------------------------- */

/* "Name:", perhaps with blanks before the colon (RFC 5322 sections 2.2 and 4.5). */
static bool
is_field(struct span line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' && line.p[n] != ':')
		n++;
	size_t name = n;
	while (n < line.n && (line.p[n] == ' ' || line.p[n] == '\t'))
		n++;
	return name > 0 && n < line.n && line.p[n] == ':';
}

/* A line of the header without its end was read. */
static void
judge_line(struct text *t)
{
	static const struct span from = { "From ", 5 }; /* of a mailbox, or ">From " of UUCP */
	struct span line = buf_span(&t->line);
	bool first = !t->began;
	bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
	t->began = true;
	if (first && span_starts(span_skip(line, line.n > 0 && line.p[0] == '>'), from)) {
		buf_reset(&t->line);
		return;
	}
	if ((folded && t->header.n > 0) || is_field(line)) {
		buf_add(&t->header, line);
		buf_add(&t->header, crlf);
		t->large_header = t->large_header || t->header.err != 0;
	} else {
		t->in_body = true;
		if (line.n > 0) { /* no header, or one that text follows at once */
			store_add(&t->body, line);
			store_add(&t->body, crlf);
		}
	}
	buf_reset(&t->line);
}

/* A line so long that it is not kept: what it is shows by its beginning. */
static void
judge_long_line(struct text *t)
{
	struct span line = buf_span(&t->line);
	bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t') && t->header.n > 0;
	if (folded || is_field(line)) {
		t->large_header = true;
		return;
	}
	t->began = t->in_body = true;
	store_add(&t->body, line);
	buf_reset(&t->line);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void
put(struct text *t, struct span s)
{
	if (!t->in_body && !t->large_header && t->line.n + s.n > TEXT_HEADER)
		judge_long_line(t);
	if (t->in_body)
		store_add(&t->body, s);
	else if (!t->large_header)
		buf_add(&t->line, s);
}

static void
end_line(struct text *t)
{
	if (t->in_body)
		store_add(&t->body, crlf);
	else
		judge_line(t);
	t->bol = true;
}

/* A dot that began a line is text after all. */
static void
keep_dot(struct text *t)
{
	if (t->dot)
		put(t, span_of("."));
	t->dot = false;
}

/* A line was ended: one with a dot alone is the last. */
static void
take_end(struct text *t)
{
	if (t->dot)
		t->over = true;
	else
		end_line(t);
}

/*
 * CRs that no LF came behind. Each ends a line of the text, but not one of the header: a program
 * that took care of LF alone would have anybody's value become fields, and recipients.
 */
static void
take_crs(struct text *t)
{
	for (; t->crs > 0 && !t->over; t->crs--) {
		if (t->in_body) {
			take_end(t);
			continue;
		}
		keep_dot(t);
		put(t, span_of(" "));
		t->bol = false;
	}
}

/* NUL is not kept; but a dot that stands beside it does not stand alone (A6). */
static void
take_nul(struct text *t)
{
	keep_dot(t);
	t->nul = t->bol || t->crs > 0;
}

/* CR, LF, NUL, a dot at the beginning of a line. */
static void
take_special(struct text *t, char c)
{
	if (c == '\r') {
		t->crs++;
	} else if (c == '\n') {
		t->crs = 0;
		t->nul = false;
		take_end(t);
	} else if (c == '.') {
		t->dot = true;
		t->bol = false;
	} else {
		take_nul(t);
	}
}

static bool
is_end(char c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

static bool
is_special(const struct text *t, char c)
{
	return is_end(c) || (c == '.' && t->bol && !t->nul && !t->dots);
}

void
text_feed(struct text *t, struct span piece)
{
	for (size_t i = 0; i < piece.n && !t->over;) {
		if (t->crs > 0 && !is_end(piece.p[i])) {
			take_crs(t);
			continue;
		}
		if (is_special(t, piece.p[i])) {
			take_special(t, piece.p[i++]);
			continue;
		}
		size_t n = i;
		keep_dot(t);
		t->bol = t->nul = false;
		while (n < piece.n && !is_special(t, piece.p[n])) {
			t->eightbit = t->eightbit || (unsigned char)piece.p[n] >= 0x80;
			n++;
		}
		put(t, (struct span){ piece.p + i, n - i });
		i = n;
	}
}

void
text_end(struct text *t)
{
	take_crs(t);
	if (t->over)
		return;
	if (t->dot) { /* and nothing behind it: that is an end, too */
		t->over = true;
		return;
	}
	if (!t->bol)
		end_line(t);
	t->over = true;
}

int64_t
text_size(const struct text *t)
{
	return (int64_t)t->header.n + t->body.size;
}

void
text_free(struct text *t)
{
	buf_free(&t->header);
	buf_free(&t->line);
	store_free(&t->body);
}

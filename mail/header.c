#include "mail/header.h"

bool
header_is_name(char c)
{
	return c > ' ' && c <= '~' && c != ':';
}

bool
header_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What waited is known now. */
static bool
say_line(struct header *h, enum header_kind kind, struct header_part *part)
{
	*part = (struct header_part){ .kind = kind, .text = { h->line, h->n } };
	h->n = 0;
	return true;
}

/* A line begins with this octet. */
static void
begin_line(struct header *h, char c)
{
	h->longer = false;
	if (c == '\r' || c == '\n')
		h->place = HEADER_AT_EMPTY;
	else if (header_is_name(c))
		h->place = HEADER_IN_NAME;
	else if (h->begun && header_is_blank(c))
		h->place = HEADER_IN_VALUE;
	else
		h->place = HEADER_IN_TEXT;
}

static bool
begin_value(struct header *h, struct header_part *part)
{
	struct span name = span_trim((struct span){ h->line, h->n - 1 });
	h->begun = true;
	h->place = HEADER_IN_VALUE;
	say_line(h, HEADER_FIELD, part);
	if (!h->longer)
		part->name = name;
	return true;
}

/* How many octets may stand in front of the colon; blanks end the name (section 4.5.2). */
static size_t
name_run(struct header *h, struct span s)
{
	size_t n = 0;
	while (h->place == HEADER_IN_NAME && n < s.n && header_is_name(s.p[n]))
		n++;
	if (n < s.n)
		h->place = HEADER_IN_BLANK;
	while (n < s.n && header_is_blank(s.p[n]))
		n++;
	return n;
}

/* In front of a colon. */
static bool
in_name(struct header *h, struct span *in, struct header_part *part)
{
	size_t room = HEADER_NAME - h->n;
	struct span s = { in->p, in->n < room ? in->n : room };
	size_t n = name_run(h, s);
	bool colon = n < s.n && s.p[n] == ':';
	memcpy(h->line + h->n, s.p, n + colon);
	h->n += n + colon;
	*in = span_skip(*in, n + colon);
	if (colon)
		return begin_value(h, part);
	if (n < s.n) {
		h->place = HEADER_IN_TEXT;
		return say_line(h, HEADER_TEXT, part);
	}
	if (h->n < HEADER_NAME)
		return false;
	h->longer = true;
	return say_line(h, HEADER_FIELD, part);
}

/* To the end of the line, if it is there. */
static bool
in_line(struct header *h, struct span *in, struct header_part *part)
{
	const char *lf = memchr(in->p, '\n', in->n);
	bool value = h->place == HEADER_IN_VALUE;
	*part = (struct header_part){ .kind = value ? HEADER_VALUE : HEADER_TEXT,
		.text = lf != NULL ? span_from(in->p, lf + 1) : *in };
	if (lf != NULL)
		h->place = HEADER_AT_LINE;
	h->begun = value;
	*in = span_skip(*in, part->text.n);
	return true;
}

/* A line that begins with CR or LF. No field comes behind it, even where it is not CRLF. */
static bool
at_empty(struct header *h, struct span *in, struct header_part *part)
{
	char c = in->p[0];
	bool first = h->n == 0;
	if (first || c == '\n') {
		h->line[h->n++] = c;
		*in = span_skip(*in, 1);
	}
	if (first && c == '\r')
		return false;
	h->over = true;
	return say_line(h, h->n == 2 ? HEADER_END : HEADER_TEXT, part);
}

bool
header_next(struct header *h, struct span *piece, struct header_part *part)
{
	bool said = false;
	while (!said && piece->n > 0 && !h->over) {
		if (h->place == HEADER_AT_LINE)
			begin_line(h, piece->p[0]);
		if (h->place == HEADER_IN_VALUE || h->place == HEADER_IN_TEXT)
			said = in_line(h, piece, part);
		else if (h->place == HEADER_AT_EMPTY)
			said = at_empty(h, piece, part);
		else
			said = in_name(h, piece, part);
	}
	return said;
}

struct header_part
header_end(struct header *h)
{
	struct header_part part;
	h->over = true;
	say_line(h, h->n > 0 ? HEADER_TEXT : HEADER_END, &part);
	return part;
}

/* Appends what is neither an end of a line nor a blank in front. */
static void
keep(struct header_value *v, struct span s, char *room, size_t size)
{
	for (size_t i = 0; i < s.n && v->n < size; i++) {
		char c = s.p[i];
		if (c != '\r' && c != '\n' && (v->n > 0 || !header_is_blank(c)))
			room[v->n++] = c;
	}
}

void
header_take(struct header_value *v, const struct header_part *part, struct span name, char *room,
	size_t size)
{
	bool named = part->kind == HEADER_FIELD && span_ieq(part->name, name);
	v->fields += named;
	if (part->kind != HEADER_VALUE)
		v->here = named && v->fields == 1;
	else if (v->here)
		keep(v, part->text, room, size);
}

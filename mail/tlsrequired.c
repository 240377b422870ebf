#include "mail/tlsrequired.h"

#include "mail/header.h"

static const char name[] = "tls-required";
enum { NAME = sizeof(name) - 1 };

/* A field begins behind its name. */
static void
begin_value(struct tlsrequired *t)
{
	t->begun = true;
	t->ours = t->name == NAME;
	t->fields += t->ours;
	t->place = t->ours ? TLSREQUIRED_VALUE : TLSREQUIRED_REST;
}

/* At the beginning of a line. */
static void
begin_line(struct tlsrequired *t, char c)
{
	t->name = ascii_lower(c) == name[0] ? 1 : -1;
	if (header_is_blank(c) && t->begun)
		t->place = t->ours ? TLSREQUIRED_VALUE : TLSREQUIRED_REST;
	else
		t->place = header_is_name(c) ? TLSREQUIRED_NAME : TLSREQUIRED_OVER;
	if (t->place == TLSREQUIRED_VALUE && t->said == SAID_NO)
		t->said = SAID_NO_MORE;
}

/* In a name, or between that and the colon (RFC 5322 section 4.5.8). */
static void
in_name(struct tlsrequired *t, char c)
{
	if (c == ':')
		begin_value(t);
	else if (header_is_blank(c))
		t->place = TLSREQUIRED_BLANK;
	else if (t->place == TLSREQUIRED_BLANK || !header_is_name(c))
		t->place = TLSREQUIRED_OVER;
	else if (t->name >= 0)
		t->name = t->name < NAME && ascii_lower(c) == name[t->name] ? t->name + 1 : -1;
}

static void
in_value(struct tlsrequired *t, char c)
{
	bool blank = header_is_blank(c) || c == '\r';
	if (c == '\n')
		t->place = TLSREQUIRED_LINE;
	else if (blank)
		t->said = t->said == SAID_NO ? SAID_NO_MORE : t->said == SAID_N ? SAID_ELSE
										: t->said;
	else if (t->said == SAID_NOTHING && ascii_lower(c) == 'n')
		t->said = SAID_N;
	else
		t->said = t->said == SAID_N && ascii_lower(c) == 'o' ? SAID_NO : SAID_ELSE;
}

/* What is left behind the line, if its end is there. */
static struct span
skip_line(struct tlsrequired *t, struct span in)
{
	const char *lf = memchr(in.p, '\n', in.n);
	if (lf == NULL)
		return span_skip(in, in.n);
	t->place = TLSREQUIRED_LINE;
	return span_skip(in, (size_t)(lf - in.p) + 1);
}

void
tlsrequired_feed(struct tlsrequired *t, struct span in)
{
	while (in.n > 0 && t->place != TLSREQUIRED_OVER) {
		if (t->place == TLSREQUIRED_REST) {
			in = skip_line(t, in);
			continue;
		}
		if (t->place == TLSREQUIRED_LINE)
			begin_line(t, in.p[0]);
		else if (t->place == TLSREQUIRED_VALUE)
			in_value(t, in.p[0]);
		else
			in_name(t, in.p[0]);
		in = span_skip(in, 1);
	}
}

bool
tlsrequired_says_no(const struct tlsrequired *t)
{
	return t->fields == 1 && (t->said == SAID_NO || t->said == SAID_NO_MORE);
}

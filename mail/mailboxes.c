#include "mail/mailboxes.h"

#include <errno.h>

/* An element of the list, as far as it was read. */
struct element {
	struct span bare;  /* from its first word to its last */
	struct span angle; /* what stands in brackets; p is NULL: nothing does */
	bool words;        /* there is more than one word */
	bool blank;        /* the last octets part words */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Octets of what begins with a quotation mark; 0: it has no end. */
static size_t
quoted(struct span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
	}
	return 0;
}

/* ... with a parenthesis, which may hold others. */
static size_t
comment(struct span s)
{
	int depth = 0;
	for (size_t i = 0; i < s.n && depth <= MAILBOXES_NESTED; i++) {
		if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
		else if (s.p[i] == '\\')
			i++;
	}
	return 0;
}

/* ... with a bracket: an address, whose local part may be quoted. */
static size_t
bracketed(struct span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '>')
			return i + 1;
		size_t skip = s.p[i] == '"' ? quoted(span_skip(s, i)) : 1;
		if (skip == 0 || s.p[i] == '<')
			return 0;
		i += skip - 1;
	}
	return 0;
}

static size_t
literal(struct span s)
{
	const char *end = memchr(s.p, ']', s.n);
	return end != NULL ? (size_t)(end - s.p) + 1 : 0;
}

static struct span
trimmed(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = span_skip(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* A word, or a part of one. Behind an address none may stand. */
static bool
add_word(struct element *e, struct span word)
{
	e->words = e->words || (e->bare.n > 0 && e->blank);
	e->bare = e->bare.n > 0 ? span_from(e->bare.p, word.p + word.n) : word;
	e->blank = false;
	return e->angle.p == NULL;
}

static bool
add_angle(struct element *e, struct span brackets)
{
	bool first = e->angle.p == NULL;
	e->angle = trimmed((struct span){ brackets.p + 1, brackets.n - 2 });
	return first;
}

/* The element ends here. */
static bool
take_element(struct mailboxes *m, struct element *e)
{
	struct element was = *e;
	*e = (struct element){ 0 };
	if (was.angle.p == NULL && was.bare.n == 0)
		return true; /* a comma too many */
	if (m->n == MAILBOXES_MAX)
		return false;
	m->of[m->n++] = was.angle.p != NULL ? was.angle
		: was.words ? (struct span){ 0 } : was.bare;
	return true;
}

/* The name of a group ends here: its members follow. */
static bool
begin_group(struct mailboxes *m, struct element *e)
{
	bool name = e->angle.p == NULL && e->bare.n > 0;
	m->group = true;
	*e = (struct element){ 0 };
	return name;
}

/* Reads what begins the rest of a field. How many octets that was; 0: it is not understood. */
static size_t
take(struct mailboxes *m, struct element *e, struct span s)
{
	size_t n = 1;
	switch (s.p[0]) {
	case ' ': case '\t': case '\r': case '\n':
		e->blank = true;
		return 1;
	case '(':
		e->blank = true;
		return comment(s);
	case ',': case ';':
		return take_element(m, e);
	case ':':
		return begin_group(m, e);
	case '<':
		n = bracketed(s);
		return n > 0 && add_angle(e, (struct span){ s.p, n }) ? n : 0;
	case ')': case '>': case ']': case '\\':
		return 0;
	case '"':
		n = quoted(s);
		break;
	case '[':
		n = literal(s);
		break;
	}
	return n > 0 && add_word(e, (struct span){ s.p, n }) ? n : 0;
}

int
mailboxes_find(struct span value, struct mailboxes *out)
{
	struct element e = { 0 };
	out->n = 0;
	out->group = false;
	for (size_t n; value.n > 0; value = span_skip(value, n)) {
		n = take(out, &e, value);
		if (n == 0)
			return -EINVAL;
	}
	return take_element(out, &e) ? 0 : -EINVAL;
}

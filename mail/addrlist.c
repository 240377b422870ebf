#include "mail/addrlist.h"

#include <errno.h>

enum { NESTED_MAX = 32 }; /* comments within comments */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What no word may hold: specials of RFC 5322 section 3.2.3, and controls. */
static bool
is_word_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

/* Moves *s behind a comment, which begins there. */
static bool
skip_comment(struct span *s)
{
	int depth = 0;
	for (size_t i = 0; i < s->n; i++) {
		char c = s->p[i];
		if (c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0) {
			*s = span_skip(*s, i + 1);
			return true;
		}
		if (depth > NESTED_MAX)
			return false;
	}
	return false;
}

/* White space and comments. False: one of those has no end. */
static bool
skip_between(struct span *s)
{
	for (;;) {
		while (s->n > 0 && is_space(s->p[0]))
			*s = span_skip(*s, 1);
		if (s->n == 0 || s->p[0] != '(')
			return true;
		if (!skip_comment(s))
			return false;
	}
}

/* How long the quoted string is that begins here; 0: it has no end, or holds what it must not. */
static size_t
quoted_length(struct span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
		if (i < s.n && ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) && !is_space(s.p[i]))
			return 0;
	}
	return 0;
}

/* Cuts a word off: an atom or a quoted string. Empty: none stands there. */
static struct span
take_word(struct span *s)
{
	struct span word = { s->p, 0 };
	if (s->n > 0 && s->p[0] == '"')
		word.n = quoted_length(*s);
	else
		while (word.n < s->n && is_word_char(s->p[word.n]))
			word.n++;
	*s = span_skip(*s, word.n);
	return word;
}

/* Adds to the address, where the ends of folded lines do not count. False: it is too long. */
static bool
add(struct listed *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		if (out->n + 1 >= sizeof(out->text))
			return false;
		out->text[out->n++] = s.p[i];
	}
	out->text[out->n] = '\0';
	return true;
}

/* An address literal, with its brackets. */
static bool
take_literal(struct span *s, struct listed *out)
{
	const char *end = memchr(s->p, ']', s->n);
	struct span literal = { s->p, end != NULL ? (size_t)(end - s->p) + 1 : 0 };
	*s = span_skip(*s, literal.n);
	return literal.n > 0 && add(out, literal);
}

/* Behind "@". Between labels there may be comments (section 4.4); a final dot is left out. */
static bool
take_domain(struct span *s, struct listed *out)
{
	if (!add(out, span_of("@")) || !skip_between(s))
		return false;
	if (s->n > 0 && s->p[0] == '[')
		return take_literal(s, out);
	for (bool first = true;; first = false) {
		if (!skip_between(s))
			return false;
		struct span label = take_word(s);
		if (label.n == 0 && !first)
			break;
		if (label.n == 0 || label.p[0] == '"' || (!first && !add(out, span_of("."))) ||
			!add(out, label) || !skip_between(s))
			return false;
		if (!span_take(s, '.'))
			break;
	}
	return s->n == 0 || s->p[0] != '.';
}

/* "@a,@b:" before an address in brackets, which nobody uses (section 4.4). */
static bool
skip_route(struct span *s)
{
	if (s->n == 0 || s->p[0] != '@')
		return true;
	while (s->n > 0 && s->p[0] != ':' && s->p[0] != '>')
		*s = span_skip(*s, 1);
	return span_take(s, ':') && skip_between(s);
}

/* In brackets: a local part, perhaps with a domain. */
static bool
take_inside(struct span *s, struct listed *out)
{
	do {
		if (!skip_between(s))
			return false;
		struct span word = take_word(s);
		out->end = s->p;
		if (word.n == 0 || !add(out, word) || !skip_between(s))
			return false;
	} while (span_take(s, '.') && add(out, span_of(".")));
	out->bare = !span_take(s, '@');
	return out->bare || take_domain(s, out);
}

static bool
is_over(struct span s)
{
	return s.n == 0 || s.p[0] == ',' || s.p[0] == ';';
}

/* From "<" on, whatever stood before it. */
static int
take_brackets(struct span *s, struct listed *out)
{
	*s = span_skip(*s, 1);
	*out = (struct listed){ .end = s->p };
	if (!skip_between(s) || !skip_route(s))
		return -EINVAL;
	bool empty = s->n > 0 && s->p[0] == '>';
	if (!empty && (!take_inside(s, out) || !skip_between(s)))
		return -EINVAL;
	return span_take(s, '>') && skip_between(s) && is_over(*s) ? 1 : -EINVAL;
}

/*
 * Moves *s to the "<" behind a name, in which "@" and dots may stand as well: some programs say an
 * address twice, as "a@b.example <a@b.example>", without quotes. False: no such thing is there.
 */
static bool
skip_name(struct span *s)
{
	struct span rest = *s;
	while (skip_between(&rest) && rest.n > 0 && rest.p[0] != '<')
		if (!span_take(&rest, '.') && !span_take(&rest, '@') && take_word(&rest).n == 0)
			return false;
	if (rest.n == 0 || rest.p[0] != '<')
		return false;
	*s = rest;
	return true;
}

/* The words up to what tells what they are; *phrase: they are no local part. */
static bool
take_words(struct span *s, struct listed *out, bool *phrase)
{
	bool open = true; /* a word may come: at the beginning, and behind a dot */
	*phrase = false;
	while (!is_over(*s) && s->p[0] != ':' && s->p[0] != '@') {
		bool dot = span_take(s, '.');
		struct span word = dot ? span_of(".") : take_word(s);
		if (word.n == 0)
			return false;
		*phrase = *phrase || dot == open || !add(out, word);
		open = dot;
		if (!dot)
			out->end = s->p;
		if (!skip_between(s))
			return false;
	}
	*phrase = *phrase || open;
	return true;
}

/* An element of the list. 0: the name of a group, whose members follow. */
static int
take_element(struct span *s, struct listed *out)
{
	bool phrase;
	*out = (struct listed){ .end = s->p };
	if (skip_name(s))
		return take_brackets(s, out);
	if (!take_words(s, out, &phrase))
		return -EINVAL;
	if (span_take(s, ':'))
		return 0;
	if (phrase)
		return -EINVAL;
	out->bare = !span_take(s, '@');
	if (!out->bare && (!take_domain(s, out) || !skip_between(s)))
		return -EINVAL;
	return is_over(*s) ? 1 : -EINVAL;
}

int
addrlist_next(struct span *list, struct listed *out)
{
	for (;;) {
		if (!skip_between(list))
			return -EINVAL;
		if (list->n == 0)
			return 0;
		if (span_take(list, ',') || span_take(list, ';'))
			continue;
		int r = take_element(list, out);
		if (r != 0)
			return r;
	}
}

#include "mail/aliases.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span
unquoted(struct span s)
{
	bool both = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
	return both ? (struct span){ s.p + 1, s.n - 2 } : s;
}

/* Does the line go on with what stood before it? */
static bool
continues(struct span line)
{
	return line.n > 0 && is_blank(line.p[0]);
}

/* Where the name ends: at the colon that is not in quotes. NULL: there is none. */
static const char *
find_colon(struct span line)
{
	bool quoted = false;
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\\' && quoted)
			i++;
		else if (line.p[i] == '"')
			quoted = !quoted;
		else if (line.p[i] == ':' && !quoted)
			return line.p + i;
	}
	return NULL;
}

bool
aliases_entry(struct span *text, struct span *name, struct span *values)
{
	while (text->n > 0) {
		struct span line = span_line(text);
		const char *colon = find_colon(line), *end = line.p + line.n;
		if (span_says_nothing(line) || continues(line) || colon == NULL)
			continue;
		for (struct span rest = *text; rest.n > 0; *text = rest) {
			struct span more = span_line(&rest);
			if (!continues(more) && !span_says_nothing(more))
				break;
			end = more.p + more.n;
		}
		*name = span_trim(span_from(line.p, colon));
		*values = span_from(colon + 1, end);
		return true;
	}
	return false;
}

/* The next octet of a name as it is meant, or -1: quotes and backslashes are no part of it. */
static int
take_meant(struct span *s)
{
	while (span_take(s, '"'))
		continue;
	if (s->n > 1 && s->p[0] == '\\')
		*s = span_skip(*s, 1);
	if (s->n == 0)
		return -1;
	int c = (unsigned char)ascii_lower(s->p[0]);
	*s = span_skip(*s, 1);
	return c;
}

bool
aliases_same(struct span a, struct span b)
{
	int c;
	while ((c = take_meant(&a)) == take_meant(&b))
		if (c < 0)
			return true;
	return false;
}

bool
aliases_find(struct span text, struct span name, struct span *values)
{
	struct span found;
	while (aliases_entry(&text, &found, values))
		if (aliases_same(found, name))
			return true;
	return false;
}

/* Up to a comma, or the end of a line; not within quotes. */
static struct span
cut_value(struct span *values)
{
	bool quoted = false;
	size_t n = 0;
	while (n < values->n && values->p[n] != '\n' && (quoted || values->p[n] != ',')) {
		if (values->p[n] == '\\' && quoted)
			n++;
		else if (values->p[n] == '"')
			quoted = !quoted;
		n++;
	}
	n = n < values->n ? n : values->n;
	struct span value = { values->p, n };
	*values = span_skip(*values, n < values->n ? n + 1 : n);
	return span_trim(span_chomp(value));
}

/* At the beginning of a line: it is a comment, which may hold commas. */
static bool
skip_comment(struct span *values, bool begins)
{
	struct span rest = span_trim(*values);
	if (!begins || rest.n == 0 || rest.p[0] != '#')
		return false;
	(void)span_line(values);
	return true;
}

bool
aliases_value(struct span *values, struct alias *out)
{
	while (values->n > 0) {
		/* Entries lie in a text: before what is cut stands what was cut last. */
		if (skip_comment(values, values->p[-1] == '\n'))
			continue;
		struct span value = cut_value(values), inner = unquoted(value);
		if (value.n == 0)
			continue;
		char c = inner.n > 0 ? inner.p[0] : '\0';
		enum alias_kind kind = c == '|' ? ALIAS_PROGRAM : c == '/' ? ALIAS_FILE
			: c == ':' ? ALIAS_INCLUDE : c == '\\' ? ALIAS_FINAL : ALIAS_ADDRESS;
		if (kind == ALIAS_FINAL)
			inner = span_skip(inner, 1);
		*out = (struct alias){ kind, kind == ALIAS_ADDRESS ? value : inner };
		return true;
	}
	return false;
}

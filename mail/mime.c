#include "mail/mime.h"

static const struct span dashes = { "--", 2 };

/* Skips a comment behind its opening bracket; they nest. False: it does not end. */
static bool
skip_comment(struct span *s)
{
	for (int open = 1; open > 0; *s = span_skip(*s, 1)) {
		if (s->n == 0)
			return false;
		if (s->p[0] == '(')
			open++;
		else if (s->p[0] == ')')
			open--;
		else if (s->p[0] == '\\' && s->n > 1)
			*s = span_skip(*s, 1);
	}
	return true;
}

/* Skips blanks and comments. */
static bool
skip_blank(struct span *s)
{
	for (;;) {
		while (span_take(s, ' ') || span_take(s, '\t'))
			continue;
		if (!span_take(s, '('))
			return true;
		if (!skip_comment(s))
			return false;
	}
}

static bool
is_token(char c)
{
	return c > ' ' && c < 0x7f && memchr("()<>@,;:\\\"/[]?=", c, 15) == NULL;
}

/* What many write without the quotes that RFC 2045 asks for, and all read alike. */
static bool
is_bare_value(char c)
{
	return is_token(c) || (c != '\0' && strchr("/:=?@", c) != NULL);
}

static struct span
take_run(struct span *s, bool (*belongs)(char))
{
	struct span run = { s->p, 0 };
	while (run.n < s->n && belongs(s->p[run.n]))
		run.n++;
	*s = span_skip(*s, run.n);
	return run;
}

/* One word and nothing else; empty if it is not that. */
static struct span
only_word(struct span s)
{
	static const struct span none = { "", 0 };
	if (!skip_blank(&s))
		return none;
	struct span word = take_run(&s, is_token);
	return skip_blank(&s) && s.n == 0 ? word : none;
}

/* The inside of a quoted string behind its first quote, as it is written. */
static bool
take_quoted(struct span *s, struct span *value)
{
	*value = (struct span){ s->p, 0 };
	while (!span_take(s, '"')) {
		size_t n = s->n > 0 && s->p[0] == '\\' ? 2 : 1;
		if (s->n < n)
			return false;
		*s = span_skip(*s, n);
		value->n += n;
	}
	return true;
}

/* The next "; name=value"; a last semicolon alone gives an empty name. False: broken. */
static bool
take_parameter(struct span *s, struct span *name, struct span *value)
{
	*name = *value = (struct span){ "", 0 };
	if (!span_take(s, ';') || !skip_blank(s))
		return false;
	if (s->n == 0)
		return true;
	*name = take_run(s, is_token);
	if (name->n == 0 || !skip_blank(s) || !span_take(s, '=') || !skip_blank(s))
		return false;
	if (span_take(s, '"')) {
		if (!take_quoted(s, value))
			return false;
	} else {
		*value = take_run(s, is_bare_value);
		if (value->n == 0)
			return false;
	}
	return skip_blank(s);
}

/* Escapes and control characters have no place in one. */
static bool
set_boundary(struct mime_boundary *b, struct span value)
{
	if (value.n == 0 || value.n > sizeof(b->text) || value.p[value.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < ' ' || value.p[i] == 0x7f || memchr("\\\"", value.p[i], 2) != NULL)
			return false;
	memcpy(b->text, value.p, value.n);
	b->n = value.n;
	return true;
}

/* Reads all parameters for the boundary, which must be there once. */
static bool
find_boundary(struct span s, struct mime_boundary *b)
{
	int found = 0;
	while (s.n > 0) {
		struct span name, value;
		if (!take_parameter(&s, &name, &value))
			return false;
		/*
		 * "boundary*" is one in pieces (RFC 2231), which some put together and some do not
		 */
		if (span_istarts(name, span_of("boundary*")))
			return false;
		if (span_ieq(name, span_of("boundary"))) {
			if (!set_boundary(b, value))
				return false;
			found++;
		}
	}
	return found == 1;
}

static enum mime_type
multipart(struct span subtype, struct span parameters, struct mime_boundary *b)
{
	if (span_ieq(subtype, span_of("signed")) || span_ieq(subtype, span_of("encrypted")))
		return MIME_SEALED;
	if (!find_boundary(parameters, b))
		return MIME_UNKNOWN;
	return span_ieq(subtype, span_of("digest")) ? MIME_DIGEST : MIME_MULTIPART;
}

enum mime_type
mime_type(struct span s, struct mime_boundary *b)
{
	if (!skip_blank(&s))
		return MIME_UNKNOWN;
	struct span type = take_run(&s, is_token);
	/* Nothing, or "charset=x" alone: to all who read it that is no type. */
	if (type.n == 0 ? s.n == 0 || s.p[0] == ';'
			: span_ieq(type, span_of("charset")) && s.n > 0 && s.p[0] == '=')
		return MIME_UNTYPED;
	/* To all who read it this is one part, whatever stands behind: "text", "text/plain a=b". */
	if (span_ieq(type, span_of("text")))
		return MIME_TEXT;
	bool slash = span_take(&s, '/');
	struct span subtype = take_run(&s, is_token);
	if (type.n == 0 || !slash || subtype.n == 0 || !skip_blank(&s) ||
		(s.n > 0 && s.p[0] != ';'))
		return MIME_UNKNOWN;
	if (span_ieq(type, span_of("multipart")))
		return multipart(subtype, s, b);
	if (span_ieq(type, span_of("message")))
		return span_ieq(subtype, span_of("rfc822")) ? MIME_MESSAGE : MIME_SEALED;
	return MIME_DATA;
}

static bool
holds(struct span s, const char *word)
{
	size_t n = strlen(word);
	for (; s.n >= n; s = span_skip(s, 1))
		if (span_istarts(s, span_of(word)))
			return true;
	return false;
}

/* Without the blanks, quotes and semicolons that programs put around it. */
static struct span
bare_word(struct span s)
{
	while (s.n > 0 && memchr(" \t\"", s.p[0], 3) != NULL)
		s = span_skip(s, 1);
	while (s.n > 0 && memchr(" \t\";", s.p[s.n - 1], 4) != NULL)
		s.n--;
	return only_word(s);
}

/*
 * Readers take text as it is where they do not know the word; but if it might be encoded, some will
 * decode it.
 */
static enum mime_encoding
unknown_encoding(struct span s)
{
	static const char *const codings[] = { "base64", "quoted", "uu", "yenc", "binhex", "x-" };
	for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
		if (holds(s, codings[i]))
			return MIME_CODED;
	return MIME_ODD;
}

enum mime_encoding
mime_encoding(struct span s)
{
	static const struct {
		const char *word;
		enum mime_encoding is;
	} words[] = {
		{ "7bit", MIME_7BIT },
		{ "8bit", MIME_8BIT },
		{ "binary", MIME_8BIT },
		{ "quoted-printable", MIME_QUOTED },
		{ "8-bit", MIME_8BIT }, /* as scripts have it; and those below */
		{ "8bits", MIME_8BIT },
		{ "8", MIME_8BIT },
	};
	struct span word = bare_word(s);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_ieq(word, span_of(words[i].word)))
			return words[i].is;
	return unknown_encoding(s);
}

bool
mime_is_version(struct span s)
{
	return span_eq(only_word(s), span_of("1.0"));
}

static bool
is_padding(struct span s)
{
	while (s.n > 0 && memchr(" \t\r\n", s.p[0], 4) != NULL)
		s = span_skip(s, 1);
	return s.n == 0;
}

/* Is `prefix` what s begins with? Then it is skipped. */
static bool
take_text(struct span *s, struct span prefix)
{
	if (s->n < prefix.n || memcmp(s->p, prefix.p, prefix.n) != 0)
		return false;
	*s = span_skip(*s, prefix.n);
	return true;
}

bool
mime_is_boundary(struct span line, const struct mime_boundary *b, bool *closing)
{
	if (!take_text(&line, dashes) || !take_text(&line, (struct span){ b->text, b->n }))
		return false;
	*closing = take_text(&line, dashes);
	return is_padding(line);
}

/* ---- lines of a header ---------------------------------------------------------------------- */

const char *const mime_names[MIME_FIELD_KINDS] = {
	[MIME_FIELD_VERSION] = "MIME-Version:",
	[MIME_FIELD_TYPE] = "Content-Type:",
	[MIME_FIELD_ENCODING] = "Content-Transfer-Encoding:",
};

enum mime_field
mime_field(struct span line)
{
	for (int f = MIME_FIELD_OTHER + 1; f < MIME_FIELD_KINDS; f++)
		if (span_istarts(line, span_of(mime_names[f])))
			return (enum mime_field)f;
	return MIME_FIELD_OTHER;
}

bool
mime_is_folded(struct span line)
{
	return line.p[0] == ' ' || line.p[0] == '\t';
}

static bool
is_of_mime(struct span name)
{
	/* another version is no harm */
	for (int f = MIME_FIELD_VERSION + 1; f < MIME_FIELD_KINDS; f++)
		if (name.n + 1 == strlen(mime_names[f]) &&
			span_istarts(span_of(mime_names[f]), name))
			return true;
	return false;
}

/*
 * Before the colon may be blanks (RFC 5322 section 4.5); but whether others read a field of MIME
 * that has them, or pass it by, nobody knows.
 */
static bool
has_name(struct span line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] > ' ' && line.p[n] != 0x7f && line.p[n] != ':')
		n++;
	size_t colon = n;
	while (colon < line.n && mime_is_folded(span_skip(line, colon)))
		colon++;
	bool whole = n > 0 && colon < line.n && line.p[colon] == ':';
	return whole && (colon == n || !is_of_mime((struct span){ line.p, n }));
}

bool
mime_is_field(struct span line)
{
	/* What programs put before a message in a file, and leave there: to no reader a field. */
	static const struct span envelope_lines[] = { { "From ", 5 }, { ">From ", 6 } };
	return has_name(line) || span_starts(line, envelope_lines[0]) ||
		span_starts(line, envelope_lines[1]);
}

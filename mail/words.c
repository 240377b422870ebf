#include "mail/words.h"

#include <stdio.h>

#include "lib/limits.h"
#include "mail/address.h"

enum {
	LINE = 76,     /* octets of a line with encoded words, and */
	WORD = 75,     /* ... of one of them (RFC 2047 section 2) */
	WORD_LEAST = 32, /* room for the charset, a blank and a character: else on the next line */
	ESCAPE = 3,    /* octets that one becomes */
	PIECE = 40,    /* of a parameter, in one line */
};

static const char hex[] = "0123456789ABCDEF";

struct writer {
	encode_sink *sink;
	void *ctx;
	const char *charset;
	bool utf8;
	struct span blank; /* to come before what is put next */
	size_t column;
	char last;    /* octet that was put */
	bool folding; /* something of ours was put, so lines must not become longer than they may */
	bool failed;  /* ... and one did */
	bool word;    /* what was put last is an encoded word: blanks behind it are none */
	bool ours;    /* ... and one of ours */
};

/* ---- fields ------------------------------------------------------------------------------- */

enum kind { TEXT, ADDRESSES, PARAMETERS, OTHER };

/* What is not here is text. OTHER: only comments are a reader's; "*" ends a prefix. */
static const struct {
	const char *name;
	enum kind kind;
} kinds[] = {
	{ "From", ADDRESSES }, { "Sender", ADDRESSES }, { "Reply-To", ADDRESSES },
	{ "To", ADDRESSES }, { "Cc", ADDRESSES }, { "Bcc", ADDRESSES },
	{ "Resent-From", ADDRESSES }, { "Resent-Sender", ADDRESSES },
	{ "Resent-Reply-To", ADDRESSES }, { "Resent-To", ADDRESSES },
	{ "Resent-Cc", ADDRESSES }, { "Resent-Bcc", ADDRESSES },
	{ "Errors-To", ADDRESSES }, { "Apparently-To", ADDRESSES },
	{ "Disposition-Notification-To", ADDRESSES }, { "Return-Receipt-To", ADDRESSES },
	{ "Mail-Followup-To", ADDRESSES }, { "Mail-Reply-To", ADDRESSES },
	{ "In-Reply-To", ADDRESSES }, { "References", ADDRESSES }, { "List-Id", ADDRESSES },
	{ "Content-Type", PARAMETERS }, { "Content-Disposition", PARAMETERS },
	{ "Date", OTHER }, { "Resent-Date", OTHER }, { "Message-ID", OTHER },
	{ "Resent-Message-ID", OTHER }, { "Content-ID", OTHER }, { "Content-Location", OTHER },
	{ "Content-Transfer-Encoding", OTHER }, { "MIME-Version", OTHER },
	{ "Received", OTHER }, { "Received-SPF", OTHER }, { "Return-Path", OTHER },
	{ "Delivered-To", OTHER }, { "X-Original-To", OTHER }, { "DKIM-Signature", OTHER },
	{ "Authentication-Results", OTHER }, { "Autocrypt", OTHER }, { "ARC-*", OTHER },
	{ "List-*", OTHER },
};

static enum kind
kind_of(struct span name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct span known = span_of(kinds[i].name);
		bool prefix = known.p[known.n - 1] == '*';
		known.n -= prefix;
		if (prefix ? span_istarts(name, known) : span_ieq(name, known))
			return kinds[i].kind;
	}
	return TEXT;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void
put(struct writer *w, struct span s)
{
	if (s.n == 0)
		return;
	const char *lf = memrchr(s.p, '\n', s.n);
	w->sink(w->ctx, s);
	w->column = lf != NULL ? (size_t)(s.p + s.n - lf) - 1 : w->column + s.n;
	w->failed = w->failed || (w->folding && w->column > LIMIT_TEXT_LINE);
	w->last = s.p[s.n - 1];
}

/* The blanks that were held back, on a new line if `n` octets behind them want that. */
static void
put_blank(struct writer *w, size_t n, bool needed)
{
	struct span blank = w->blank;
	w->blank.n = 0;
	if (blank.n == 0 && needed)
		blank = span_of(" ");
	bool folded = blank.n > 0 && memchr(blank.p, '\n', blank.n) != NULL;
	if (blank.n > 0 && !folded && w->column > 1 && w->column + blank.n + n > LINE)
		put(w, span_of("\r\n"));
	put(w, blank);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
take_blank(struct writer *w, struct span *s)
{
	size_t n = 0;
	while (n < s->n && is_blank(s->p[n]))
		n++;
	w->blank = (struct span){ s->p, n };
	*s = span_skip(*s, n);
}

/* Octets of the next character, so that none is torn. */
static size_t
character(const struct writer *w, struct span s)
{
	size_t n = 1;
	while (w->utf8 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* As in a phrase, where least is allowed (RFC 2047 section 5). */
static bool
is_plain(char c)
{
	return ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
		(c != '\0' && strchr("!*+-/", c) != NULL);
}

static size_t
quote(char *out, struct span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (is_plain(c) || c == ' ') {
			out[n++] = c == ' ' ? '_' : c;
			continue;
		}
		out[n++] = '=';
		out[n++] = hex[(unsigned char)c >> 4];
		out[n++] = hex[(unsigned char)c & 15];
	}
	return n;
}

/* One encoded word of as much of the text as goes into it; `space`: behind one. */
static void
put_word(struct writer *w, struct span *text, bool space)
{
	char word[WORD + 1];
	put_blank(w, WORD_LEAST, w->last != '(');
	size_t room = LINE - (w->column < LINE - WORD_LEAST ? w->column : LINE - WORD_LEAST);
	if (room > WORD)
		room = WORD;
	size_t n = (size_t)snprintf(word, sizeof(word), "=?%s?Q?%s", w->charset,
		space ? "_" : "");
	while (text->n > 0) {
		char quoted[4 * ESCAPE];
		size_t octets = character(w, *text);
		size_t more = quote(quoted, (struct span){ text->p, octets });
		if (n + more + 2 > room)
			break;
		memcpy(word + n, quoted, more);
		n += more;
		*text = span_skip(*text, octets);
	}
	memcpy(word + n, "?=", 2);
	put(w, (struct span){ word, n + 2 });
	w->word = w->ours = w->folding = true;
}

/* Encodes a text. Blanks between encoded words are none, so they go into it. */
static void
encode(struct writer *w, struct span text)
{
	bool space = w->word && w->blank.n > 0;
	for (; text.n > 0; space = false)
		put_word(w, &text, space);
}

/* What stays as it is: a word, or something that is no blank. */
static void
keep(struct writer *w, struct span s)
{
	bool coded = s.n > 6 && span_starts(s, span_of("=?")) && s.p[s.n - 1] == '=' &&
		s.p[s.n - 2] == '?';
	struct span nothing = { "", 0 };
	if (coded && w->ours && w->blank.n > 0)
		put_word(w, &nothing, true);
	bool mark = memchr("),;:", s.p[0], 4) != NULL, full = w->folding && w->column + s.n > LINE;
	bool apart = !mark && (w->ours || (full && memchr("(),;:", w->last, 5) != NULL));
	put_blank(w, w->folding ? s.n : 0, apart);
	put(w, s);
	w->word = coded;
	w->ours = false;
}

static void
keep_or_encode(struct writer *w, struct span s)
{
	if (span_is_ascii(s))
		keep(w, s);
	else
		encode(w, s);
}

/* ---- text and comments -------------------------------------------------------------------- */

static void
put_text(struct writer *w, struct span s)
{
	for (take_blank(w, &s); s.n > 0; take_blank(w, &s)) {
		struct span word = { s.p, 0 };
		while (word.n < s.n && !is_blank(s.p[word.n]))
			word.n++;
		keep_or_encode(w, word);
		s = span_skip(s, word.n);
	}
}

/* Takes what stands up to the quote or bracket that ends it. 0: it does not end. */
static size_t
enclosed(struct span s, char open, char close)
{
	int depth = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && open != '<')
			i++;
		else if (s.p[i] == close && (open != close || depth > 0) && --depth == 0)
			return i + 1;
		else if (s.p[i] == open)
			depth++;
	}
	return 0;
}

/* The inside of quotes, or a word of a comment, without its escapes and line ends. */
static struct span
unquoted(struct span s, char *room)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		i += s.p[i] == '\\' && i + 1 < s.n;
		room[n++] = s.p[i];
	}
	return (struct span){ room, n };
}

static size_t
word_of_comment(struct span s)
{
	size_t n = 0;
	while (n < s.n && !is_blank(s.p[n]) && s.p[n] != '(' && s.p[n] != ')')
		n += s.p[n] == '\\' && n + 1 < s.n ? 2 : 1;
	return n;
}

/* One that ends; with its brackets. */
static void
put_comment(struct writer *w, struct span s)
{
	while (s.n > 0) {
		char room[LIMIT_MIME_FIELD];
		struct span word = { s.p, word_of_comment(s) };
		if (word.n == 0)
			word.n = 1; /* a bracket */
		if (span_is_ascii(word))
			keep(w, word);
		else
			encode(w, unquoted(word, room));
		s = span_skip(s, word.n);
		take_blank(w, &s);
	}
}

/* ---- addresses ---------------------------------------------------------------------------- */

/* A quoted string, comment, address in brackets, mark, or run of others. 0: it does not end. */
static size_t
token(struct span s)
{
	static const char closing[] = "\"\"()<>";
	const char *pair = memchr(closing, s.p[0], sizeof(closing) - 1);
	if (pair != NULL && (pair - closing) % 2 == 0)
		return enclosed(s, pair[0], pair[1]);
	size_t n = 0;
	while (n < s.n && !is_blank(s.p[n]) && memchr("\"()<>,;:", s.p[n], 8) == NULL)
		n++;
	return n > 0 ? n : 1;
}

/* What stands up to the next comma, semicolon or colon. */
struct chunk {
	size_t n;
	bool angle; /* it has an address in brackets */
	bool at;    /* ... or another one */
	bool broken;
};

static struct chunk
chunk_of(struct span s)
{
	struct chunk c = { 0 };
	while (c.n < s.n) {
		struct span rest = span_skip(s, c.n);
		if (is_blank(rest.p[0])) {
			c.n++;
			continue;
		}
		size_t n = token(rest);
		c.broken = n == 0;
		if (n == 0 || (n == 1 && memchr(",;:", rest.p[0], 3) != NULL))
			return c;
		c.angle = c.angle || rest.p[0] == '<';
		bool open = rest.p[0] != '(' && rest.p[0] != '"';
		c.at = c.at || (open && memchr(rest.p, '@', n) != NULL);
		c.n += n;
	}
	return c;
}

/* Tokens of which those before an address may be a name; `name`: they may. */
static bool
put_tokens(struct writer *w, struct span s, bool name)
{
	for (take_blank(w, &s); s.n > 0; take_blank(w, &s)) {
		char room[LIMIT_MIME_FIELD];
		struct span t = { s.p, token(s) };
		bool quoted = s.p[0] == '"';
		if (t.n == 0)
			return false;
		s = span_skip(s, t.n);
		name = name && t.p[0] != '<';
		if (t.p[0] == '(')
			put_comment(w, t);
		else if (span_is_ascii(t))
			keep(w, t);
		else if (!name)
			return false;
		else if (quoted)
			encode(w, unquoted((struct span){ t.p + 1, t.n - 2 }, room));
		else
			encode(w, t);
	}
	return true;
}

/* Where no address stands, a name may. */
static bool
put_addresses(struct writer *w, struct span s)
{
	while (s.n > 0) {
		struct chunk c = chunk_of(s);
		if (c.broken || !put_tokens(w, (struct span){ s.p, c.n }, c.angle || !c.at))
			return false;
		s = span_skip(s, c.n);
		if (s.n > 0) {
			keep(w, (struct span){ s.p, 1 });
			s = span_skip(s, 1);
		}
	}
	return true;
}

/* ---- parameters --------------------------------------------------------------------------- */

static bool
is_attribute(char c)
{
	return c > ' ' && c < 0x7f && memchr("*'%()<>@,;:\\\"/[]?=", c, 18) == NULL;
}

/* The end of "name=value". 0: a quoted string or comment does not end. */
static size_t
parameter_length(struct span s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] != ';') {
		size_t more = s.p[n] == '"' || s.p[n] == '(' ? token(span_skip(s, n)) : 1;
		if (more == 0)
			return 0;
		n += more;
	}
	return n;
}

/* Some octets of a value, as RFC 2231 has them. */
static size_t
put_percent(struct writer *w, struct span value, size_t most)
{
	size_t i = 0;
	for (size_t n = 0; i < value.n && n < most; i++) {
		char c = value.p[i];
		unsigned char u = (unsigned char)c;
		char escape[ESCAPE] = { '%', hex[u >> 4], hex[u & 15] };
		bool plain = is_attribute(c);
		put(w, plain ? (struct span){ value.p + i, 1 } : (struct span){ escape, ESCAPE });
		n += plain ? 1 : ESCAPE;
	}
	return i;
}

static void
put_extended(struct writer *w, struct span name, struct span value)
{
	bool whole = value.n <= PIECE / ESCAPE;
	for (int i = 0; value.n > 0; i++) {
		char mark[16] = "*";
		if (!whole)
			snprintf(mark, sizeof(mark), "*%d*", i);
		put(w, span_of(i > 0 ? ";\r\n " : ""));
		put(w, name);
		put(w, span_of(mark));
		put(w, span_of("="));
		if (i == 0) {
			put(w, span_of(w->charset));
			put(w, span_of("''"));
		}
		value = span_skip(value, put_percent(w, value, PIECE));
	}
}

/* One with 8-bit octets in its value, and blanks alone around it. */
static bool
put_parameter(struct writer *w, struct span s)
{
	char room[LIMIT_MIME_FIELD];
	struct span rest = s, name, value;
	take_blank(w, &rest);
	name = (struct span){ rest.p, 0 };
	while (name.n < rest.n && is_attribute(rest.p[name.n]))
		name.n++;
	rest = span_skip(rest, name.n);
	if (name.n == 0 || !span_take(&rest, '=') || span_ieq(name, span_of("boundary")) ||
		span_ieq(name, span_of("charset")))
		return false;
	put_blank(w, LINE, true);
	w->folding = true;
	take_blank(w, &rest);
	value = rest;
	while (value.n > 0 && is_blank(value.p[value.n - 1]))
		value.n--;
	rest = span_skip(rest, value.n);
	if (value.n > 0 && value.p[0] == '"') {
		if (token(value) != value.n)
			return false;
		value = unquoted((struct span){ value.p + 1, value.n - 2 }, room);
	}
	put_extended(w, name, value);
	w->blank = rest;
	w->ours = w->word = false;
	return true;
}

static bool
put_parameters(struct writer *w, struct span s)
{
	for (bool first = true; s.n > 0; first = false) {
		size_t n = parameter_length(s);
		struct span one = { s.p, n };
		if (n == 0 && s.p[0] != ';')
			return false;
		bool plain = first || span_is_ascii(one);
		if (plain ? !put_tokens(w, one, false) : !put_parameter(w, one))
			return false;
		s = span_skip(s, n);
		if (s.n == 0)
			break;
		keep(w, (struct span){ s.p, 1 });
		s = span_skip(s, 1);
	}
	return true;
}

/* ---- */

static bool
put_value(struct writer *w, enum kind k, struct span value)
{
	switch (k) {
	case ADDRESSES:
		return put_addresses(w, value);
	case PARAMETERS:
		return put_parameters(w, value);
	case OTHER:
		return put_tokens(w, value, false);
	case TEXT:
		break;
	}
	put_text(w, value);
	return true;
}

bool
words_put(struct span field, encode_sink *sink, void *ctx)
{
	const char *colon = field.n > 0 ? memchr(field.p, ':', field.n) : NULL;
	if (colon == NULL || field.n > LIMIT_MIME_FIELD)
		return false;
	struct span head = span_from(field.p, colon + 1);
	struct span name = span_from(field.p, colon);
	while (name.n > 0 && is_blank(name.p[name.n - 1]))
		name.n--;
	bool utf8 = address_is_utf8(field);
	struct writer w = { .sink = sink, .ctx = ctx, .utf8 = utf8,
		.charset = utf8 ? "utf-8" : "unknown-8bit" };
	if (name.n == 0 || !span_is_ascii(head) || memchr(name.p, ' ', name.n) != NULL)
		return false;
	put(&w, head);
	if (!put_value(&w, kind_of(name), span_skip(field, head.n)))
		return false;
	put_blank(&w, 0, false);
	return !w.failed;
}

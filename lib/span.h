/*
 * span: bytes that somebody else owns.
 *
 * What comes from the network is a pointer and a length, never a C string: it may hold NUL, and
 * nobody has to search for its end. A span does not own its bytes and is valid as long as they are.
 */
#ifndef POSTERN_SPAN_H
#define POSTERN_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p; /* first byte; may be NULL when n is 0 */
	size_t n;      /* number of bytes */
};

static inline struct span
span_of(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static inline struct span
span_from(const char *p, const char *end)
{
	return (struct span){ p, (size_t)(end - p) };
}

/* The rest of s after its first n bytes; n must not exceed s.n. */
static inline struct span
span_skip(struct span s, size_t n)
{
	/* What has no octets may be nowhere, and to that not even 0 can be added. */
	return n > 0 ? (struct span){ s.p + n, s.n - n } : s;
}

/* The part of *s up to `end`, or all of it; *s moves behind it. */
static inline struct span
span_cut(struct span *s, char end)
{
	const char *p = s->n > 0 ? (const char *)memchr(s->p, end, s->n) : NULL;
	struct span part = p != NULL ? span_from(s->p, p) : *s;
	*s = span_skip(*s, part.n + (p != NULL));
	return part;
}

static inline bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII only, whatever the locale: SMTP verbs and domain names are not words of a language. */
static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool
ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a capital hexadecimal digit, or -1. */
static inline int
ascii_hex(char c)
{
	if (ascii_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static inline bool
span_ieq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool
span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq((struct span){ s.p, prefix.n }, prefix);
}

static inline bool
span_istarts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_ieq((struct span){ s.p, prefix.n }, prefix);
}

static inline bool
span_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return false;
	return true;
}

/* Cuts the next word off *s; octets of `between` part words. Empty: there is none. */
static inline struct span
span_word(struct span *s, const char *between)
{
	size_t n = 0, at = 0;
	while (at < s->n && s->p[at] != '\0' && strchr(between, s->p[at]) != NULL)
		at++;
	*s = span_skip(*s, at);
	while (n < s->n && (s->p[n] == '\0' || strchr(between, s->p[n]) == NULL))
		n++;
	struct span word = { s->p, n };
	*s = span_skip(*s, n);
	return word;
}

/* Without the brackets around it; as it is if there are none. */
static inline struct span
span_unbracket(struct span s)
{
	bool both = s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
	return both ? (struct span){ s.p + 1, s.n - 2 } : s;
}

/* How many words there are, with blanks, tabs and commas between them. */
static inline size_t
span_words(struct span s)
{
	size_t n = 0;
	while (span_word(&s, " \t,").n > 0)
		n++;
	return n;
}

/* The digits at the start of s. */
static inline struct span
span_digits(struct span s)
{
	size_t n = 0;
	while (n < s.n && ascii_digit(s.p[n]))
		n++;
	return (struct span){ s.p, n };
}

/* A number: decimal digits and nothing else. INT64_MAX if it is that or more; -1 if it is none. */
static inline int64_t
span_number(struct span s)
{
	int64_t v = 0;
	if (s.n == 0 || span_digits(s).n < s.n)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		int digit = s.p[i] - '0';
		v = v > (INT64_MAX - digit) / 10 ? INT64_MAX : v * 10 + digit;
	}
	return v;
}

/* Without the mark that editors put at the start of UTF-8 (RFC 3629 section 6). */
static inline struct span
span_without_mark(struct span s)
{
	static const struct span mark = { "\xef\xbb\xbf", 3 };
	return s.n >= mark.n && memcmp(s.p, mark.p, mark.n) == 0 ? span_skip(s, mark.n) : s;
}

/* Without the ends of lines that it ends with, LF or CRLF, or the CR that is left of one. */
static inline struct span
span_chomp(struct span s)
{
	while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* Takes this octet off its beginning. False: it does not begin with it. */
static inline bool
span_take(struct span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_skip(*s, 1);
	return true;
}

/* The next line of a text file, without its end, LF or CRLF; *text moves behind it. */
static inline struct span
span_line(struct span *text)
{
	struct span line = span_cut(text, '\n');
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/*
 * Does a line hold a CR that ends none? Where CRs alone end lines, all of a file is one of them,
 * and one comment if it begins with one.
 */
static inline bool
span_has_stray_cr(struct span line)
{
	return line.n > 0 && memchr(line.p, '\r', line.n) != NULL;
}

/* The first line of a text that does, from 1 on; 0: there is none. */
static inline unsigned
span_stray_cr_at(struct span text)
{
	for (unsigned number = 1; text.n > 0; number++)
		if (span_has_stray_cr(span_line(&text)))
			return number;
	return 0;
}

/* Without blanks and tabs at both ends. */
static inline struct span
span_trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_skip(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Does a line of a file say nothing: blanks, or a comment? */
static inline bool
span_says_nothing(struct span line)
{
	line = span_trim(line);
	return line.n == 0 || line.p[0] == '#';
}

#endif

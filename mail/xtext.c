#include "mail/xtext.h"

#include <stdint.h>

bool
xtext_valid(struct span s, size_t max)
{
	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];
		if (c == '+') {
			int high = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
			int low = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		} else if (c == '=' || c <= ' ') {
			return false;
		}
		if (c < ' ' || c > '~')
			return false;
	}
	return s.n > 0 && s.n <= max;
}

void
xtext_decode(struct buf *b, struct span s)
{
	while (s.n > 0) {
		bool coded = s.p[0] == '+';
		char c = coded ? (char)(ascii_hex(s.p[1]) * 16 + ascii_hex(s.p[2])) : s.p[0];
		buf_add(b, (struct span){ &c, 1 });
		s = span_skip(s, coded ? 3 : 1);
	}
}

void
xtext_encode(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > ' ' && s.p[i] != '+' && s.p[i] != '=' && s.p[i] <= '~')
			buf_add(b, (struct span){ &s.p[i], 1 });
		else
			buf_printf(b, "+%02X", (unsigned)(unsigned char)s.p[i]);
}

/* Blank, what could not stand for itself, or what is no ASCII and no surrogate. */
static bool
is_embeddable(uint32_t c)
{
	return c == ' ' || c == '+' || c == '=' || c == '\\' ||
		(c >= 0x80 && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
}

/* Length of an EmbeddedUnicodeChar at the start of s: \x{HEX}, without leading zeros. 0: none. */
static size_t
embedded_length(struct span s)
{
	static const char open[] = "\\x{";
	enum { OPEN = sizeof(open) - 1, DIGITS = 6 };
	uint32_t v = 0;
	size_t i = OPEN;
	if (s.n <= OPEN || memcmp(s.p, open, OPEN) != 0 || s.p[OPEN] == '0')
		return 0;
	for (; i < s.n && i < OPEN + DIGITS && ascii_hex(s.p[i]) >= 0; i++)
		v = v << 4 | (uint32_t)ascii_hex(s.p[i]);
	return i < s.n && s.p[i] == '}' && is_embeddable(v) ? i + 1 : 0;
}

bool
xtext_unitext_valid(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = c > ' ' && c != '\\' && c != '+' && c != '=' && c != 0x7f;
		size_t n = plain ? 1 : c == '\\' ? embedded_length(span_skip(s, i)) : 0;
		if (n == 0)
			return false;
		i += n;
	}
	return s.n > 0;
}

void
xtext_encode_unitext(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i++];
		if (c < 0x80) {
			buf_add(b, (struct span){ &s.p[i - 1], 1 });
			continue;
		}
		uint32_t v = c & (c >= 0xf0 ? 0x07U : c >= 0xe0 ? 0x0fU : 0x1fU);
		for (; i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80; i++)
			v = v << 6 | ((unsigned char)s.p[i] & 0x3fU);
		buf_printf(b, "\\x{%02X}", v);
	}
}

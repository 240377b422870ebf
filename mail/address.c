/*
 * A recursive descent over the grammar of RFC 5321 section 4.1.2, one function for each rule that
 * matters. Each takes the text at *s and moves *s behind what it matched, or returns false.
 */
#include "mail/address.h"

#include <errno.h>
#include <stdint.h>

#include "lib/net.h"

static bool
is_alnum(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* An octet of a character beyond ASCII; that it is valid was checked before. */
static bool
is_beyond(char c)
{
	return (unsigned char)c >= 0x80;
}

/* RFC 5322 section 3.2.3, RFC 6531 section 3.3 */
static bool
is_atext(char c)
{
	return is_alnum(c) || is_beyond(c) ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* sub-domain = Let-dig [Ldh-str]; `extra` is one more letter, or NUL. */
static bool
labels(struct span s, char extra)
{
	if (s.n == 0 || s.n > LIMIT_DOMAIN)
		return false;
	size_t label = 0;
	for (size_t i = 0; i <= s.n; i++) {
		if (i == s.n || s.p[i] == '.') {
			if (label == 0 || label > LIMIT_LABEL || s.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		bool plain = is_alnum(s.p[i]) || (extra != '\0' && s.p[i] == extra);
		if (!plain && (s.p[i] != '-' || label == 0))
			return false;
		label++;
	}
	return true;
}

bool
address_is_domain(struct span s)
{
	return labels(s, '_');
}

bool
address_is_hostname(struct span s)
{
	return labels(s, '\0');
}

/* The groups of 16 bits that are written in an IPv6 address; an IPv4 address in it makes two. */
static int
written_groups(struct span s)
{
	int n = 0;
	while (s.n > 0) {
		struct span group = span_cut(&s, ':');
		if (group.n > 0)
			n += memchr(group.p, '.', group.n) != NULL ? 2 : 1;
	}
	return n;
}

/* IPv6-addr, where "::" stands for two groups at the least: not every address that can be read. */
static bool
is_ipv6(struct span s)
{
	enum { WITH_COMPRESSION = 6 };
	struct netaddr a;
	if (s.n == 0 || memchr(s.p, ':', s.n) == NULL || netaddr_parse(s, &a) < 0)
		return false;
	return memmem(s.p, s.n, "::", 2) == NULL || written_groups(s) <= WITH_COMPRESSION;
}

bool
address_is_literal(struct span s)
{
	static const char tag[] = "IPv6:";
	struct netaddr a;
	if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	struct span in = { s.p + 1, s.n - 2 };
	if (span_istarts(in, span_of(tag)))
		return is_ipv6(span_skip(in, sizeof(tag) - 1));
	return in.n > 0 && memchr(in.p, ':', in.n) == NULL && netaddr_parse(in, &a) == 0;
}

bool
address_is_helo(struct span s)
{
	return address_is_domain(s) || address_is_literal(s);
}

/* RFC 3629 section 4: well-formed, the shortest form, no surrogates. */
bool
address_is_utf8(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i++];
		if (c < 0x80)
			continue;
		int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		uint32_t v = c & (0x3fU >> more);
		if (c < 0xc2 || c > 0xf4 || s.n - i < (size_t)more)
			return false;
		for (int k = 0; k < more; k++) {
			unsigned char next = (unsigned char)s.p[i++];
			if ((next & 0xc0) != 0x80)
				return false;
			v = v << 6 | (next & 0x3f);
		}
		static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
		if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
			return false;
	}
	return true;
}

/* sub-domain of RFC 6531: the labels themselves are judged by who turns them into A-labels. */
static bool
is_any_domain(struct span s)
{
	if (span_is_ascii(s))
		return address_is_domain(s);
	return s.n <= LIMIT_DOMAIN && s.p[0] != '.' && s.p[s.n - 1] != '.' &&
		memmem(s.p, s.n, "..", 2) == NULL;
}

/* Domain / address-literal, up to the first character that cannot belong to either. */
static bool
take_domain(struct span *s, struct span *out)
{
	size_t n = 0;
	if (s->n > 0 && s->p[0] == '[') {
		const char *end = memchr(s->p, ']', s->n);
		n = end != NULL ? (size_t)(end - s->p) + 1 : 0;
	} else {
		while (n < s->n && (is_alnum(s->p[n]) || is_beyond(s->p[n]) ||
					   (s->p[n] != '\0' && strchr("-._", s->p[n]) != NULL)))
			n++;
	}
	*out = (struct span){ s->p, n };
	*s = span_skip(*s, n);
	return n > 0 && (out->p[0] == '[' ? address_is_literal(*out) : is_any_domain(*out));
}

/* Quoted-string: DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE; RFC 6531 adds to the text alone. */
static size_t
quoted_length(struct span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\' && (++i == s.n || is_beyond(s.p[i])))
			return 0;
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return 0;
	}
	return 0;
}

/* Dot-string = Atom *("." Atom) */
static size_t
dotted_length(struct span s)
{
	size_t n = 0, atom = 0;
	for (; n < s.n && (is_atext(s.p[n]) || s.p[n] == '.'); n++) {
		if (s.p[n] != '.')
			atom++;
		else if (atom == 0)
			return 0;
		else
			atom = 0;
	}
	return atom > 0 ? n : 0;
}

static bool
take_local(struct span *s, struct span *out)
{
	size_t n = s->n > 0 && s->p[0] == '"' ? quoted_length(*s) : dotted_length(*s);
	*out = (struct span){ s->p, n };
	*s = span_skip(*s, n);
	return n > 0;
}

/* A-d-l ":"; parsed and forgotten (RFC 5321 appendix C). */
static bool
take_route(struct span *s)
{
	struct span domain;
	if (s->n == 0 || s->p[0] != '@')
		return true;
	do {
		if (!span_take(s, '@') || !take_domain(s, &domain))
			return false;
	} while (span_take(s, ','));
	return span_take(s, ':');
}

static bool
take_mailbox(struct span *s, struct address *out)
{
	const char *start = s->p;
	if (!take_local(s, &out->local) || !span_take(s, '@') || !take_domain(s, &out->domain))
		return false;
	out->whole = span_from(start, s->p);
	return true;
}

static bool
take_postmaster(struct span *s, struct address *out)
{
	static const struct span name = { "postmaster", 10 };
	if (!span_istarts(*s, name))
		return false;
	out->whole = out->local = (struct span){ s->p, name.n };
	out->domain = (struct span){ s->p + name.n, 0 };
	*s = span_skip(*s, name.n);
	return true;
}

/* A mailbox, or what a recipient may be without one. */
static bool
take_address(struct span *s, enum address_kind kind, struct address *out)
{
	struct span at = *s;
	if (!take_mailbox(&at, out))
		return kind == ADDRESS_FORWARD && take_postmaster(s, out);
	*s = at;
	return true;
}

int
address_path(struct span s, enum address_kind kind, struct address *out, struct span *rest)
{
	struct span at = s;
	struct address a = { 0 };
	if (!span_take(&at, '<') || !address_is_utf8(s))
		return -EINVAL;
	if (kind == ADDRESS_REVERSE && at.n > 0 && at.p[0] == '>')
		a = (struct address){ .whole = { at.p, 0 } };
	else if (!take_route(&at) || !take_address(&at, kind, &a))
		return -EINVAL;
	if (!span_take(&at, '>') || s.n - at.n > LIMIT_PATH)
		return -EINVAL;
	*out = a;
	*rest = at;
	return 0;
}

int
address_bare(struct span s, enum address_kind kind, struct address *out, struct span *rest)
{
	enum { BRACKETS = 2 };
	struct span at = s;
	struct address a = { 0 };
	if (!address_is_utf8(s) || !take_address(&at, kind, &a) ||
		a.whole.n > LIMIT_PATH - BRACKETS)
		return -EINVAL;
	*out = a;
	*rest = at;
	return 0;
}

int
address_mailbox(struct span s, struct address *out)
{
	struct address a = { 0 };
	if (!address_is_utf8(s) || !take_mailbox(&s, &a) || s.n > 0 || a.whole.n > LIMIT_ADDRESS)
		return -EINVAL;
	*out = a;
	return 0;
}

/* ---- the same in other quotes --------------------------------------------------------------- */

struct span
address_plain(struct span local, char room[static LIMIT_ADDRESS])
{
	size_t n = 0;
	bool quoted = local.n > 0 && local.p[0] == '"' && quoted_length(local) == local.n;
	if (!quoted || local.n > LIMIT_ADDRESS)
		return local;
	for (size_t i = 1; i < local.n - 1; i++) {
		if (local.p[i] == '\\')
			i++;
		if (local.p[i] == '"' || local.p[i] == '\\')
			room[1 + n++] = '\\';
		room[1 + n++] = local.p[i];
	}
	struct span inside = { room + 1, n };
	if (n > 0 && dotted_length(inside) == n)
		return inside;
	room[0] = room[1 + n] = '"';
	return (struct span){ room, n + 2 };
}

/* Cuts what stands before the "@" outside quotes from an address; nothing of "@domain". */
static struct span
cut_local(struct span *s)
{
	const char *at = s->n > 0 ? memchr(s->p, '@', s->n) : NULL;
	size_t n = at != NULL ? (size_t)(at - s->p) : s->n;
	if (s->n > 0 && s->p[0] == '"')
		n = quoted_length(*s);
	struct span local = { s->p, n };
	*s = span_skip(*s, n);
	return local;
}

bool
address_same(struct span a, struct span b)
{
	char room_a[LIMIT_ADDRESS], room_b[LIMIT_ADDRESS];
	struct span local_a = address_plain(cut_local(&a), room_a);
	struct span local_b = address_plain(cut_local(&b), room_b);
	return span_ieq(a, b) && span_ieq(local_a, local_b);
}

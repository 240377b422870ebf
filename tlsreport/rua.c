#include "tlsreport/rua.h"

#include "mail/address.h"

static const char blanks[] = " \t";

/* "v=TLSRPTv1", and what follows its semicolon. */
static bool
take_version(struct span *text)
{
	static const struct span version = { "v=TLSRPTv1", 10 };
	if (!span_starts(*text, version))
		return false;
	struct span rest = span_skip(*text, version.n);
	while (rest.n > 0 && strchr(blanks, rest.p[0]) != NULL && rest.p[0] != '\0')
		rest = span_skip(rest, 1);
	if (rest.n == 0 || rest.p[0] != ';')
		return false;
	*text = span_skip(rest, 1);
	return true;
}

/* The only record of the kind, behind its version. False: there is none, or more than one. */
static bool
find_record(struct span texts, struct span *record, const char **why)
{
	int n = 0;
	while (texts.n > 0) {
		struct span text = span_cut(&texts, '\0');
		if (take_version(&text) && n++ == 0)
			*record = text;
	}
	*why = n == 0 ? "no record of TLSRPTv1" : "more than one record of TLSRPTv1";
	return n == 1;
}

/* The value of its only field rua. Twice is none. */
static bool
find_rua(struct span record, struct span *value, const char **why)
{
	static const struct span name = { "rua=", 4 };
	int n = 0;
	while (record.n > 0) {
		struct span field = span_trim(span_cut(&record, ';'));
		if (span_starts(field, name)) {
			*value = span_skip(field, name.n);
			n++;
		}
	}
	*why = n == 0 ? "its record has no rua" : "its record has more than one rua";
	return n == 1;
}

static int
hex(char c)
{
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : ascii_hex(c);
}

/* Without %XX (RFC 3986 section 2.1). The length; -1: it is too long, or odd. */
static int
decode(struct span s, char out[static RUA_URL])
{
	int n = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (n == RUA_URL)
			return -1;
		if (c == '%') {
			int high = i + 2 < s.n ? hex(s.p[i + 1]) : -1;
			int low = i + 2 < s.n ? hex(s.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		out[n++] = c;
	}
	return n;
}

/* "mailto:tls@example.org?..." (RFC 6068): one mailbox, in ASCII; the rest is not for us. */
static bool
take_mail(struct span uri, struct rua_place *out)
{
	struct address a;
	char box[RUA_URL];
	int n = decode(span_cut(&uri, '?'), box);
	struct span text = { box, n > 0 ? (size_t)n : 0 };
	if (text.n == 0 || text.n > LIMIT_PATH - 2 || !span_is_ascii(text) ||
		address_mailbox(text, &a) < 0)
		return false;
	out->kind = RUA_MAIL;
	memcpy(out->text, box, text.n);
	out->text[text.n] = '\0';
	return true;
}

/* Printable ASCII without what could end it elsewhere; a host, and no user. */
static bool
take_url(struct span uri, size_t scheme, struct rua_place *out)
{
	struct span rest = span_skip(uri, scheme), host = rest;
	for (size_t i = 0; i < uri.n; i++)
		if (uri.p[i] <= ' ' || uri.p[i] > '~' || strchr("\"<>\\^`{|}", uri.p[i]) != NULL)
			return false;
	for (host.n = 0; host.n < rest.n && strchr("/?#", rest.p[host.n]) == NULL; host.n++)
		if (rest.p[host.n] == '@')
			return false;
	if (host.n == 0 || uri.n > RUA_URL)
		return false;
	out->kind = RUA_POST;
	memcpy(out->text, uri.p, uri.n);
	out->text[uri.n] = '\0';
	return true;
}

static bool
take(struct span uri, struct rua_place *out)
{
	static const struct span mail = { "mailto:", 7 }, post = { "https://", 8 };
	if (span_istarts(uri, mail))
		return take_mail(span_skip(uri, mail.n), out);
	return span_istarts(uri, post) && take_url(uri, post.n, out);
}

/* Letter case says nothing in a mailbox, as far as anybody uses it, and something in a URL. */
static bool
has(const struct rua *r, const struct rua_place *p)
{
	struct span text = span_of(p->text);
	for (int i = 0; i < r->n; i++) {
		struct span other = span_of(r->v[i].text);
		if (p->kind == RUA_MAIL ? span_ieq(other, text) : span_eq(other, text))
			return true;
	}
	return false;
}

bool
rua_parse(struct span texts, struct rua *out, const char **why)
{
	struct span record, list;
	out->n = 0;
	if (!find_record(texts, &record, why) || !find_rua(record, &list, why))
		return false;
	while (list.n > 0 && out->n < RUA_PLACES) {
		struct rua_place *p = &out->v[out->n];
		if (take(span_trim(span_cut(&list, ',')), p) && !has(out, p))
			out->n++;
	}
	*why = "its rua names nothing that a report can be sent to";
	return out->n > 0;
}

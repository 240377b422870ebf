#include "submit/fields.h"

#include "lib/clock.h"
#include "lib/id.h"
#include "mail/address.h"
#include "mail/addrlist.h"
#include "mail/encode.h"

enum {
	PHRASE_MAX = 200, /* octets of a person's name; longer ones are cut */
	WORD = 42,        /* octets in an encoded word, of 75 with all around them (RFC 2047) */
};

static bool
continues(struct span s)
{
	return s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t');
}

/* The next field with its line ends; *header moves behind it. False: there are no more. */
static bool
next_field(struct span *header, struct span *name, struct span *value, struct span *whole)
{
	const char *begin = header->p;
	if (header->n == 0)
		return false;
	do
		(void)span_cut(header, '\n');
	while (continues(*header));
	*whole = span_from(begin, header->p);
	*value = *whole;
	*name = span_trim(span_cut(value, ':'));
	return true;
}

bool
fields_has(struct span header, const char *wanted)
{
	struct span name, value, whole;
	while (next_field(&header, &name, &value, &whole))
		if (span_ieq(name, span_of(wanted)))
			return true;
	return false;
}

static const char *
find_in(const char *const *names, struct span name)
{
	for (; *names != NULL; names++)
		if (span_ieq(name, span_of(*names)))
			return *names;
	return NULL;
}

static const char *const to[] = { "To", "Cc", "Bcc", NULL };
static const char *const resent_to[] = { "Resent-To", "Resent-Cc", "Resent-Bcc", NULL };
static const char *const hidden[] = { "Bcc", "Resent-Bcc", "Return-Path", NULL };
static const char *const addresses[] = { "From", "Sender", "Reply-To", "To", "Cc", "Resent-From",
	"Resent-Sender", "Resent-To", "Resent-Cc", NULL };

int
fields_recipients(struct span header, fields_visit *visit, void *ctx)
{
	struct span rest = header, name, value, whole;
	const char *const *wanted = to;
	while (next_field(&rest, &name, &value, &whole))
		if (find_in(resent_to, name) != NULL)
			wanted = resent_to;
	while (next_field(&header, &name, &value, &whole)) {
		const char *known = find_in(wanted, name);
		int r = known != NULL ? visit(ctx, known, value) : 0;
		if (r != 0)
			return r;
	}
	return 0;
}

/* A field of addresses, each with its domain. */
static void
write_completed(struct span whole, struct span value, const char *domain, struct buf *out)
{
	const char *done = whole.p, *end = whole.p + whole.n;
	struct listed a;
	while (addrlist_next(&value, &a) > 0) {
		if (!a.bare)
			continue;
		buf_add(out, span_from(done, a.end));
		buf_printf(out, "@%s", domain);
		done = a.end;
	}
	buf_add(out, span_from(done, end));
}

void
fields_write(struct span header, const char *domain, struct buf *out)
{
	struct span name, value, whole;
	while (next_field(&header, &name, &value, &whole)) {
		if (find_in(hidden, name) != NULL)
			continue;
		if (find_in(addresses, name) != NULL)
			write_completed(whole, value, domain, out);
		else
			buf_add(out, whole);
	}
}

/* ---- what is missing ------------------------------------------------------------------------- */

static bool
is_atom_char(char c)
{
	char l = ascii_lower(c);
	return (l >= 'a' && l <= 'z') || ascii_digit(c) || (c != '\0' &&
		strchr(" !#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_atom_char(s.p[i]))
			return false;
	return memmem(s.p, s.n, "=?", 2) == NULL;
}

static void
put_quoted(struct buf *out, struct span s)
{
	buf_puts(out, "\"");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_puts(out, "\\");
		buf_add(out, (struct span){ s.p + i, 1 });
	}
	buf_puts(out, "\"");
}

/* How much of UTF-8 goes into one word: no character is divided. */
static size_t
whole_characters(struct span s)
{
	size_t n = s.n < WORD ? s.n : WORD;
	while (n < s.n && n > 1 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Encoded words, one in a line; what is not UTF-8 is called Latin 1, as it most often is. */
static void
put_encoded(struct buf *out, struct span s)
{
	const char *charset = address_is_utf8(s) ? "utf-8" : "iso-8859-1";
	for (bool first = true; s.n > 0; first = false) {
		struct span word = { s.p, whole_characters(s) };
		buf_printf(out, "%s=?%s?b?", first ? "" : "\r\n ", charset);
		encode_base64_text(out, word);
		buf_puts(out, "?=");
		s = span_skip(s, word.n);
	}
}

void
fields_phrase(struct buf *out, struct span name)
{
	char text[PHRASE_MAX];
	size_t n = 0;
	for (size_t i = 0; i < name.n && n < sizeof(text); i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (c >= ' ' && c != 0x7f) /* a line end would begin a field */
			text[n++] = name.p[i];
	}
	struct span s = span_trim((struct span){ text, n });
	if (!span_is_ascii(s))
		put_encoded(out, s);
	else if (is_plain(s))
		buf_add(out, s);
	else
		put_quoted(out, s);
}

static void
add_from(const struct fields_origin *o, struct buf *out)
{
	size_t before = out->n;
	buf_puts(out, "From: ");
	fields_phrase(out, span_of(o->name));
	bool named = out->n > before + sizeof("From: ") - 1;
	buf_printf(out, named ? " <%s>\r\n" : "%s\r\n", o->address);
}

void
fields_add_missing(struct span header, const struct fields_origin *o, struct buf *out)
{
	char date[CLOCK_DATE_SIZE], id[ID_SIZE];
	if (!fields_has(header, "From") && o->address[0] != '\0')
		add_from(o, out);
	if (!fields_has(header, "Date")) {
		clock_date(clock_wall(), date);
		buf_printf(out, "Date: %s\r\n", date);
	}
	if (!fields_has(header, "Message-ID") && id_new(id) == 0)
		buf_printf(out, "Message-ID: <%s@%s>\r\n", id, o->domain);
}

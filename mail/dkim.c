#include "mail/dkim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "mail/alabel.h"
#include "mail/encode.h"

enum {
	LINE = 76, /* columns of the field that is written */
};

/* What is signed; the rest of a message is changed on its way by many (section 5.4). */
static const struct {
	const char *name;
	bool always; /* once more than it is there */
} list[] = {
	{ "from", true }, { "to", true }, { "cc", true }, { "subject", true }, { "date", true },
	{ "message-id", true }, { "mime-version", true }, { "content-type", true },
	/* Who adds one has a text decoded that is none, and shows what the sender never wrote. */
	{ "content-transfer-encoding", true },
	{ "reply-to", true }, { "in-reply-to", true }, { "references", true },
	{ "list-id", false }, { "list-help", false }, { "list-unsubscribe", false },
	{ "list-unsubscribe-post", false }, { "list-subscribe", false }, { "list-post", false },
	{ "list-owner", false }, { "list-archive", false },
};

enum { NAMES = sizeof(list) / sizeof(list[0]), FROM = 0 };

static const char signature[] = "dkim-signature";

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- canonical fields -------------------------------------------------------------------- */

/* The name, and what stands behind the colon. False: it is no field. */
static bool
split(struct span field, struct span *name, struct span *value)
{
	*value = field;
	*name = span_trim(span_cut(value, ':'));
	return name->n > 0 && name->n < field.n;
}

/* Does a line end here? Another CR is an octet like others, here too. */
static bool
is_end(struct span s, size_t at)
{
	return s.p[at] == '\n' || (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n');
}

/* Unfolded, each run of blanks one of them, none at the ends (section 3.4.2). */
static void
add_value(struct buf *out, struct span v)
{
	bool blank = false, any = false;
	for (size_t i = 0; i < v.n; i++) {
		if (is_end(v, i))
			continue;
		if (is_blank(v.p[i])) {
			blank = true;
			continue;
		}
		if (blank && any)
			buf_puts(out, " ");
		buf_add(out, (struct span){ v.p + i, 1 });
		blank = false;
		any = true;
	}
}

static void
add_canonical(struct buf *out, struct span name, struct span value)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);
		buf_add(out, (struct span){ &c, 1 });
	}
	buf_puts(out, ":");
	add_value(out, value);
}

/* ---- the header as it comes -------------------------------------------------------------- */

/*
 * The domain of the next address of a list, which moves behind it. Quoted strings and comments are
 * passed by; what stands in angle brackets is the address, and else the first word with an "@".
 * -ENOENT: there is none; -EINVAL: what is left has no end.
 */
static int
next_domain(struct span *addresses, struct span *domain)
{
	struct span v = *addresses;
	bool quoted = false;
	int depth = 0;
	size_t at = 0, end, i;
	for (i = 0; i < v.n; i++) {
		char c = v.p[i];
		if (c == '\\' && (quoted || depth > 0))
			i++;
		else if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (!quoted && c == '(')
			depth++;
		else if (!quoted && depth > 0 && c == ')')
			depth--;
		else if (!quoted && depth == 0 && c == '@')
			at = i + 1;
		else if (!quoted && depth == 0 && at > 0 && (c == ',' || c == '>' || c == ';'))
			break;
	}
	for (end = at; end < v.n && strchr(" \t,>;(", v.p[end]) == NULL; end++)
		;
	*domain = (struct span){ v.p + at, end - at };
	*addresses = span_skip(v, i < v.n ? i + 1 : v.n);
	return quoted || depth > 0 ? -EINVAL : at > 0 ? 0 : -ENOENT;
}

/* Is a name the same as another one, or below it? */
static bool
is_within(const char *name, struct span other)
{
	size_t n = strlen(name);
	return other.n > 0 && n >= other.n &&
		span_ieq((struct span){ name + n - other.n, other.n }, other) &&
		(n == other.n || name[n - other.n - 1] == '.');
}

/* What is left of a name so that another one is within it; nothing, if they share nothing. */
static void
share(char name[static LIMIT_DOMAIN + 1], const char *other)
{
	while (name[0] != '\0' && !is_within(other, span_of(name))) {
		const char *dot = strchr(name, '.');
		memmove(name, dot != NULL ? dot + 1 : "", dot != NULL ? strlen(dot) : 1);
	}
}

/* The domain of the first address of From, and what all of them have in common. */
static void
read_from(struct dkim *d, struct span addresses)
{
	char domain[ALABEL_DOMAIN];
	struct span next;
	int r;
	while ((r = next_domain(&addresses, &next)) == 0) {
		if (d->from[0] != '\0' && span_ieq(next, span_of(d->from)))
			snprintf(domain, sizeof(domain), "%s", d->from);
		else if (alabel_domain(next, domain) < 0)
			break;
		if (d->from[0] == '\0') {
			snprintf(d->from, sizeof(d->from), "%s", domain);
			snprintf(d->shared, sizeof(d->shared), "%s", domain);
		}
		share(d->shared, domain);
	}
	if (r != -ENOENT)
		d->shared[0] = '\0';
}

/* The value of a tag in canonical text, "d=example.org"; empty: it has none. */
static struct span
tag(struct span v, char name)
{
	while (v.n > 0) {
		struct span one = span_trim(span_cut(&v, ';')), value = one;
		struct span its = span_trim(span_cut(&value, '='));
		if (its.n == 1 && ascii_lower(its.p[0]) == name && its.n < one.n)
			return span_trim(value);
	}
	return (struct span){ NULL, 0 };
}

/* A signature that is there. */
static void
note_signature(struct dkim *d, struct span value)
{
	auto_buf text = buf_new(DKIM_HEADER_MAX);
	add_value(&text, value);
	struct span domain = tag(buf_span(&text), 'd');
	if (domain.n == 0 || text.err < 0)
		return;
	buf_add(&d->before, domain);
	buf_add(&d->before, (struct span){ "", 1 });
}

static void
keep(struct dkim *d, int row, struct span name, struct span value)
{
	size_t at = d->kept.n;
	if (d->fields == DKIM_FIELDS_MAX) {
		d->err = -E2BIG;
		return;
	}
	if (d->field == NULL)
		d->field = calloc(DKIM_FIELDS_MAX, sizeof(*d->field));
	if (d->field == NULL) {
		d->err = -ENOMEM;
		return;
	}
	add_canonical(&d->kept, name, value);
	if (d->kept.err < 0) {
		d->err = d->kept.err;
		return;
	}
	d->field[d->fields++] = (struct dkim_field){ .name = row, .at = at, .n = d->kept.n - at };
	if (row == FROM && d->froms++ == 0)
		read_from(d, (struct span){ d->kept.p + at, d->kept.n - at });
}

/* The row of a name, or -1. */
static int
row_of(struct span name)
{
	for (int i = 0; i < NAMES; i++)
		if (span_ieq(name, span_of(list[i].name)))
			return i;
	return -1;
}

/*
 * Is it what rewrite.c left of another sender? Somebody else may write it, too, who gains nothing
 * but a signature more.
 */
static bool
is_put_away(struct span name)
{
	return span_ieq(name, span_of("X-Original-From")) ||
		span_ieq(name, span_of("X-Original-Sender"));
}

/* A field is whole. */
static void
end_field(struct dkim *d)
{
	struct span name, value;
	if (split(buf_span(&d->line), &name, &value)) {
		int row = row_of(name);
		if (row >= 0 && (d->too_long || d->line.err < 0))
			d->err = d->too_long ? -E2BIG : d->line.err;
		else if (row >= 0)
			keep(d, row, name, value);
		else if (span_ieq(name, span_of(signature)))
			note_signature(d, value);
		d->put_away = d->put_away || is_put_away(name);
	}
	buf_reset(&d->line);
	d->line_ended = d->too_long = false;
}

/* Up to the end of a line, or all of it. */
static struct span
line_run(struct span s)
{
	const char *end = memchr(s.p, '\n', s.n);
	return end != NULL ? span_from(s.p, end + 1) : s;
}

/* One run of the header. How many octets that was. */
static size_t
feed_header(struct dkim *d, struct span piece)
{
	if (d->line_ended && !is_blank(piece.p[0]))
		end_field(d);
	d->line_ended = false;
	struct span run = line_run(piece);
	if (d->line.n + run.n > DKIM_HEADER_MAX)
		d->too_long = true;
	else
		buf_add(&d->line, run);
	d->line_ended = run.p[run.n - 1] == '\n';
	if (span_eq(buf_span(&d->line), span_of("\r\n"))) {
		buf_reset(&d->line);
		d->in_body = true;
	}
	return run.n;
}

/* ---- canonical body (section 3.4.4) ------------------------------------------------------- */

static void
flush(struct dkim *d)
{
	if (d->body.n > 0)
		d->sink(d->target, (struct span){ d->body.out, d->body.n });
	d->body.n = 0;
}

static void
put(struct dkim *d, struct span octets)
{
	struct dkim_body *b = &d->body;
	if (octets.n > sizeof(b->out) - b->n)
		flush(d);
	if (octets.n > sizeof(b->out)) {
		d->sink(d->target, octets);
		return;
	}
	memcpy(b->out + b->n, octets.p, octets.n);
	b->n += octets.n;
}

/* What was held back, for octets follow that are neither blanks nor ends of lines. */
static void
put_held(struct dkim *d)
{
	struct dkim_body *b = &d->body;
	for (; b->lines > 0; b->lines--)
		put(d, span_of("\r\n"));
	if (b->blank)
		put(d, span_of(" "));
	b->blank = false;
	b->any = true;
}

/* A CR that ends no line is an octet like others. */
static void
put_lone_cr(struct dkim *d)
{
	put_held(d);
	put(d, span_of("\r"));
	d->body.cr = false;
}

/* Octets that are put out as they are. */
static struct span
plain_run(struct span s)
{
	size_t n = 0;
	while (n < s.n && !is_blank(s.p[n]) && s.p[n] != '\r')
		n++;
	return (struct span){ s.p, n };
}

static void
feed_body(struct dkim *d, struct span piece)
{
	struct dkim_body *b = &d->body;
	while (piece.n > 0) {
		char c = piece.p[0];
		size_t n = 1;
		if (b->cr && c == '\n') {
			b->cr = b->blank = false;
			b->lines++;
		} else if (b->cr) {
			put_lone_cr(d);
			n = 0;
		} else if (c == '\r') {
			b->cr = true;
		} else if (is_blank(c)) {
			b->blank = true;
		} else {
			struct span run = plain_run(piece);
			put_held(d);
			put(d, run);
			n = run.n;
		}
		piece = span_skip(piece, n);
	}
}

/* Empty lines at the end are none; what is there ends with CRLF. */
static void
end_body(struct dkim *d)
{
	if (d->body.cr)
		put_lone_cr(d);
	if (d->body.any)
		put(d, span_of("\r\n"));
	flush(d);
}

/* ---- a message --------------------------------------------------------------------------- */

void
dkim_begin(struct dkim *d, dkim_sink *sink, void *target)
{
	*d = (struct dkim){ .sink = sink, .target = target, .kept = buf_new(DKIM_HEADER_MAX),
		.before = buf_new(DKIM_HEADER_MAX), .line = buf_new(DKIM_HEADER_MAX) };
}

void
dkim_feed(struct dkim *d, struct span piece)
{
	while (piece.n > 0 && !d->in_body)
		piece = span_skip(piece, feed_header(d, piece));
	feed_body(d, piece);
}

void
dkim_end(struct dkim *d)
{
	if (!d->in_body)
		end_field(d);
	end_body(d);
}

void
dkim_free(struct dkim *d)
{
	buf_free(&d->kept);
	buf_free(&d->before);
	buf_free(&d->line);
	free(d->field);
	d->field = NULL;
}

bool
dkim_has(const struct dkim *d, struct span domain)
{
	struct span all = buf_span(&d->before);
	while (all.n > 0)
		if (span_ieq(span_cut(&all, '\0'), domain))
			return true;
	return false;
}

bool
dkim_may_sign(const struct dkim *d, struct span domain)
{
	return d->froms <= 1 &&
		(strcmp(d->from, d->shared) == 0 || is_within(d->shared, domain));
}

/* ---- the signature ----------------------------------------------------------------------- */

/* How often a name stands in h=. */
static int
times(const struct dkim *d, int row)
{
	int n = 0;
	for (int i = 0; i < d->fields; i++)
		n += d->field[i].name == row;
	return n + (list[row].always || n > 0);
}

static void
write_names(const struct dkim *d, struct buf *out)
{
	const char *last = out->n > 0 ? memrchr(out->p, '\n', out->n) : NULL;
	if (last == NULL) /* there was no memory */
		return;
	size_t line = (size_t)(last + 1 - out->p);
	const char *between = "h=";
	for (int row = 0; row < NAMES; row++)
		for (int n = times(d, row); n > 0; n--) {
			size_t need = strlen(between) + strlen(list[row].name) + 1;
			buf_puts(out, between);
			if (out->n - line + need > LINE) {
				buf_puts(out, "\r\n\t");
				line = out->n;
			}
			buf_puts(out, list[row].name);
			between = ":";
		}
}

void
dkim_write(const struct dkim *d, const struct dkim_key *key,
	const unsigned char body[static DKIM_HASH], struct buf *out)
{
	buf_printf(out, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%s; s=%s;\r\n\t",
		key->algorithm == DKIM_ED25519 ? "ed25519-sha256" : "rsa-sha256", key->domain,
		key->selector);
	buf_printf(out, "t=%lld; ", (long long)key->at);
	if (key->until > 0)
		buf_printf(out, "x=%lld; ", (long long)key->until);
	write_names(d, out);
	buf_puts(out, ";\r\n\tbh=");
	encode_base64_text(out, (struct span){ (const char *)body, DKIM_HASH });
	buf_puts(out, ";\r\n\tb=");
}

void
dkim_signed(const struct dkim *d, struct span field, dkim_sink *take, void *target)
{
	struct span name, value;
	auto_buf own = buf_new(DKIM_FIELD_MAX);
	for (int row = 0; row < NAMES; row++)
		for (int i = d->fields - 1; i >= 0; i--)
			if (d->field[i].name == row) {
				take(target, (struct span){ d->kept.p + d->field[i].at,
					d->field[i].n });
				take(target, span_of("\r\n"));
			}
	if (split(field, &name, &value))
		add_canonical(&own, name, value);
	take(target, buf_span(&own));
}

void
dkim_sign(struct buf *out, struct span base64)
{
	size_t room = LINE - strlen("\tb=");
	for (; base64.n > room; room = LINE - 1) {
		buf_add(out, (struct span){ base64.p, room });
		buf_puts(out, "\r\n\t");
		base64 = span_skip(base64, room);
	}
	buf_add(out, base64);
	buf_puts(out, "\r\n");
}

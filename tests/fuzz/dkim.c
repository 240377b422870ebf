/* DKIM: the same however a message is split; the canonical form of it is canonical, and lines are lines. */
#include "fuzz.h"

#include <errno.h>

#include "mail/dkim.h"

struct reading {
	struct dkim dkim;
	struct buf body;
};

static void
collect(void *target, struct span piece)
{
	buf_add(target, piece);
}

static void
read_in_pieces(struct reading *r, struct span in, size_t piece)
{
	r->body = buf_new(2 * in.n + 16);
	dkim_begin(&r->dkim, collect, &r->body);
	while (in.n > 0) {
		struct span part = { in.p, in.n < piece ? in.n : piece };
		dkim_feed(&r->dkim, part);
		in = span_skip(in, part.n);
	}
	dkim_end(&r->dkim);
	must(r->body.err == 0);
}

static void
end(struct reading *r)
{
	dkim_free(&r->dkim);
	buf_free(&r->body);
}

/* No blanks at an end of a line, none twice, no empty line at the end. */
static void
check_body(struct span b)
{
	for (size_t i = 0; i + 1 < b.n; i++) {
		must(b.p[i] != '\t');
		must(b.p[i] != ' ' || b.p[i + 1] != ' ');
		must(b.p[i] != ' ' || b.p[i + 1] != '\r' || i + 2 >= b.n || b.p[i + 2] != '\n');
	}
	must(b.n == 0 || (b.n > 2 && memcmp(b.p + b.n - 2, "\r\n", 2) == 0));
	must(b.n < 4 || memcmp(b.p + b.n - 4, "\r\n\r\n", 4) != 0);
}

/* Lines that begin with a tab, but for the first; no end of a line but CRLF. */
static void
check_field(const struct dkim *d)
{
	static const unsigned char hash[DKIM_HASH];
	const struct dkim_key key = { .domain = "a.example", .selector = "s", .algorithm = DKIM_RSA };
	struct buf field = buf_new(DKIM_FIELD_MAX), signed_text = buf_new(2 * DKIM_HEADER_MAX);
	dkim_write(d, &key, hash, &field);
	dkim_sign(&field, span_of("abcd"));
	must(field.err == 0);
	for (size_t i = 0; i < field.n; i++)
		if (field.p[i] == '\n')
			must(field.p[i - 1] == '\r' && (i + 1 == field.n || field.p[i + 1] == '\t'));
	dkim_signed(d, buf_span(&field), collect, &signed_text);
	must(signed_text.err == 0);
	must(memmem(signed_text.p, signed_text.n, "dkim-signature:v=1;", 19) != NULL);
	buf_free(&field);
	buf_free(&signed_text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reading whole, parts;
	struct span in = exact_copy(data, size);
	read_in_pieces(&whole, in, size + 1);
	check_body(buf_span(&whole.body));
	must(strpbrk(whole.dkim.from, "; \t\r\n=") == NULL);
	must(strlen(whole.dkim.shared) <= strlen(whole.dkim.from));
	must(dkim_may_sign(&whole.dkim, span_of(whole.dkim.shared)) == (whole.dkim.froms <= 1 &&
		(whole.dkim.shared[0] != '\0' || whole.dkim.from[0] == '\0')));
	if (whole.dkim.err == 0)
		check_field(&whole.dkim);
	for (size_t piece = 1; piece <= 3; piece++) {
		read_in_pieces(&parts, in, piece);
		must(span_eq(buf_span(&parts.body), buf_span(&whole.body)));
		must(span_eq(buf_span(&parts.dkim.kept), buf_span(&whole.dkim.kept)));
		must(span_eq(buf_span(&parts.dkim.before), buf_span(&whole.dkim.before)));
		must(parts.dkim.fields == whole.dkim.fields && parts.dkim.err == whole.dkim.err);
		must(strcmp(parts.dkim.from, whole.dkim.from) == 0);
		must(strcmp(parts.dkim.shared, whole.dkim.shared) == 0);
		end(&parts);
	}
	end(&whole);
	free_copy(in);
	return 0;
}

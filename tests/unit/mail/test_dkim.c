/* dkim: canonical forms, what is signed, and the field (RFC 6376), however the input is split. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "mail/dkim.h"

static void
collect(void *target, struct span piece)
{
	buf_add(target, piece);
}

static struct dkim d;
static struct buf out;

/* A message in two pieces; its canonical body is in `out`. */
static void
read_message(struct span in, size_t split)
{
	buf_free(&out);
	out = buf_new(1 << 20);
	dkim_begin(&d, collect, &out);
	dkim_feed(&d, (struct span){ in.p, split });
	dkim_feed(&d, span_skip(in, split));
	dkim_end(&d);
}

static const struct {
	const char *in, *want;
} bodies[] = {
	{ "", "" },
	{ "\r\n", "" },
	{ "\r\n\r\n\r\n", "" },
	{ " \r\n\t\r\n", "" },
	{ "a", "a\r\n" },
	{ "a\r\n", "a\r\n" },
	{ "a\r\n\r\n\r\n", "a\r\n" },
	{ "a\r\n \r\n", "a\r\n" },
	{ "a \r\n", "a\r\n" },
	{ "a\t \r\nb", "a\r\nb\r\n" },
	{ " a\r\n", " a\r\n" },
	{ "\t a\r\n", " a\r\n" },
	{ "a  \t b\r\n", "a b\r\n" },
	{ "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
	{ "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n" },
	{ " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" }, /* section 3.4.5 */
	/* what no text has, but BINARYMIME */
	{ "a\rb\r\n", "a\rb\r\n" },
	{ "a\r\r\n", "a\r\r\n" },
	{ "a \r", "a \r\r\n" },
	{ "\r", "\r\r\n" },
	{ "a\nb\n", "a\nb\n\r\n" },
};

static void
test_body(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bodies); i++) {
		char text[128];
		snprintf(text, sizeof(text), "A: b\r\n\r\n%s", bodies[i].in);
		struct span in = guarded(span_of(text));
		for (size_t split = 0; split <= in.n; split++) {
			read_message(in, split);
			if (!span_eq(buf_span(&out), span_of(bodies[i].want)))
				fail_msg("row %zu at %zu: \"%.*s\"", i, split, (int)out.n, out.p);
			dkim_free(&d);
		}
	}
}

/* Longer than what is held. */
static void
test_long_body(void **state)
{
	(void)state;
	enum { SIZE = 3 * DKIM_OUT };
	auto_memory char *text = malloc(SIZE + 16);
	memcpy(text, "A: b\r\n\r\n", 8);
	for (size_t i = 0; i < SIZE; i++)
		text[8 + i] = "x y"[i % 3];
	struct span in = { text, 8 + SIZE };
	for (size_t split = 0; split <= in.n; split += 1000) {
		read_message(in, split);
		assert_int_equal(out.n, SIZE + 2);
		assert_memory_equal(out.p, text + 8, SIZE);
		dkim_free(&d);
	}
}

/* What is signed of a message, but for the field itself. */
static struct buf
signed_fields(void)
{
	struct buf b = buf_new(1 << 20);
	dkim_signed(&d, span_of("X:"), collect, &b);
	assert_true(b.n >= 2 && memcmp(b.p + b.n - 2, "x:", 2) == 0);
	b.n -= 2;
	return b;
}

static const struct {
	const char *in, *want;
} headers[] = {
	{ "From: a@b\r\n\r\n", "from:a@b\r\n" },
	{ "FROM \t:  a@b \t\r\n\r\n", "from:a@b\r\n" },
	{ "From: a\r\n b\r\n\t c \r\n\r\n", "from:a b c\r\n" },
	{ "From:\r\n a\r\n\r\n", "from:a\r\n" },
	{ "From:\r\n\r\n", "from:\r\n" },
	{ "X: y\r\nFrom: a\r\nReceived: z\r\n\r\n", "from:a\r\n" },
	{ "Subject: s\r\nFrom: a\r\n\r\n", "from:a\r\nsubject:s\r\n" }, /* in the order of the list */
	{ "From: a\r\nFrom: b\r\n\r\n", "from:b\r\nfrom:a\r\n" },       /* from below (5.4.2) */
	{ "Fromm: a\r\nFro: b\r\n\r\n", "" },
	{ "nonsense\r\nFrom: a\r\n\r\n", "from:a\r\n" },
	{ "From: a", "from:a\r\n" }, /* there is no body at all */
	{ "From: a\r\n", "from:a\r\n" },
	{ "\r\nFrom: a\r\n", "" },
	{ " From: a\r\n\r\n", "from:a\r\n" },
	{ "List-Id: <x>\r\n\r\n", "list-id:<x>\r\n" },
	{ "Subject: \xc3\xa4  \xff\r\n\r\n", "subject:\xc3\xa4 \xff\r\n" },
	{ "To: X\r\nCC : Y\t\r\n\tZ  \r\n\r\n", "to:X\r\ncc:Y Z\r\n" }, /* section 3.4.5 */
	{ "Subject: a\r\n \t\r\n b\r\n \r\n\r\n", "subject:a b\r\n" },
	{ "Subject: \x0b a\x0c b\x0b\r\n\r\n", "subject:\x0b a\x0c b\x0b\r\n" }, /* no blanks */
	/* what no text has, but BINARYMIME */
	{ "Subject: a\rb\r\n\r\n", "subject:a\rb\r\n" },
	{ "Subject: a\r\r\n\tb\r\n\r\n", "subject:a\r b\r\n" },
	{ "Subject: a\n b\r\n\r\n", "subject:a b\r\n" },
};

static void
test_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(headers); i++) {
		struct span in = guarded(span_of(headers[i].in));
		for (size_t split = 0; split <= in.n; split++) {
			read_message(in, split);
			auto_buf got = signed_fields();
			if (!span_eq(buf_span(&got), span_of(headers[i].want)))
				fail_msg("row %zu at %zu: \"%.*s\"", i, split, (int)got.n, got.p);
			dkim_free(&d);
		}
	}
}

static const struct {
	const char *from, *want;
	const char *shared; /* NULL: the same */
} froms[] = {
	{ "a@b.example", "b.example", NULL },
	{ "<a@b.example>", "b.example", NULL },
	{ "A B <a@B.example>", "b.example", NULL },
	{ "\"x@y <z@q>\" <a@b.example>", "b.example", NULL },
	{ "\"x\\\"@y\" <a@b.example>", "b.example", NULL },
	{ "(x@y) a@b.example (z@q)", "b.example", NULL },
	{ "a@b.example(z@q)", "b.example", NULL },
	{ "(x (y@z) \\) @q) a@b.example", "b.example", NULL },
	{ "\"a@x\"@b.example", "b.example", NULL },
	{ "x@y <a@b.example>", "b.example", NULL },
	{ "B, A <a@b.example>", "b.example", NULL },
	{ "group: a@b.example;", "b.example", NULL },
	{ "=?utf-8?q?x=40y=2C?= <a@b.example>", "b.example", NULL },
	{ "a@b\xc3\xbc.example", "xn--b-eha.example", NULL },
	{ "a@b\r\n .example", "b", NULL },
	{ "a", "", NULL },
	{ "", "", NULL },
	{ "@", "", NULL },
	{ "a@", "", NULL },
	{ "<>", "", NULL },
	{ "\"", "", NULL },
	{ "(", "", NULL },
	{ "a@-", "", NULL },
	{ "a@b.example\r.evil", "", NULL },
	/* several: what they share */
	{ "a@b.example, c@b.example", "b.example", NULL },
	{ "a@b.example, c@B.EXAMPLE", "b.example", NULL },
	{ "a@b.example, c@x.b.example, d@y.b.example", "b.example", NULL },
	{ "a@x.b.example, c@b.example", "x.b.example", "b.example" },
	{ "a@x.b.example, c@y.b.example", "x.b.example", "b.example" },
	{ "a@b.example, c@xb.example", "b.example", "example" },
	{ "a@b.example, c@d.test", "b.example", "" },
	{ "a@b.example; c@d.test", "b.example", "" },
	{ "<a@b.example> <c@d.test>", "b.example", "" },
	{ "<a@b.example>,\r\n \"x\" <c@d.test>", "b.example", "" },
	{ "g: a@b.example, c@d.test;", "b.example", "" },
	{ "g: a@b.example;, c@d.test", "b.example", "" },
	{ "a@b.example, c@d.test, e@b.example", "b.example", "" },
	{ "a@b.example (x, c@d.test", "", NULL }, /* it has no end */
	{ "a@b.example, \"x <c@d.test>", "b.example", "" },
	{ "a@b.example, c@-", "b.example", "" },
	{ "a@-, c@b.example", "", NULL },
	{ "<@d.test,@e.test:a@b.example>", "d.test", "" },
};

static void
test_from(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(froms); i++) {
		char text[128];
		const char *from = froms[i].want;
		const char *shared = froms[i].shared != NULL ? froms[i].shared : from;
		snprintf(text, sizeof(text), "From: %s\r\n\r\n", froms[i].from);
		read_message(guarded(span_of(text)), 0);
		if (strcmp(d.from, from) != 0 || strcmp(d.shared, shared) != 0)
			fail_msg("%s: %s %s", froms[i].from, d.from, d.shared);
		dkim_free(&d);
	}
}

static const struct {
	const char *fields, *domain;
	bool may;
} signers[] = {
	{ "From: a@b.example\r\n", "b.example", true },
	{ "From: a@b.example\r\n", "example", true },
	{ "From: a@b.example\r\n", "d.test", true }, /* of the envelope */
	{ "Subject: x\r\n", "b.example", true },
	{ "From: nobody\r\n", "b.example", true },
	{ "From: a@b.example, c@b.example\r\n", "b.example", true },
	{ "From: a@x.b.example, c@y.b.example\r\n", "b.example", true },
	{ "From: a@x.b.example, c@y.b.example\r\n", "example", true },
	{ "From: a@x.b.example, c@y.b.example\r\n", "x.b.example", false },
	{ "From: a@b.example, c@xb.example\r\n", "b.example", false },
	{ "From: a@b.example, c@d.test\r\n", "b.example", false },
	{ "From: a@b.example, c@d.test\r\n", "d.test", false },
	{ "From: a@b.example, c@d.test\r\n", "", false },
	{ "From: a@b.example\r\nFrom: c@d.test\r\n", "b.example", false },
	{ "From: a@b.example\r\nfrom : a@b.example\r\n", "b.example", false },
	{ "From: nobody\r\nX: y\r\nFROM: a@b.example\r\n", "b.example", false },
	{ "From:\r\nFrom:\r\n", "b.example", false },
	{ "From: a@b.example\r\nResent-From: c@d.test\r\n", "b.example", true },
	{ "From: a@b.example\r\n\r\nFrom: c@d.test\r\n", "b.example", true },
};

/* Whose signature it may have. */
static void
test_may_sign(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(signers); i++) {
		read_message(guarded(span_of(signers[i].fields)), 1);
		if (dkim_may_sign(&d, span_of(signers[i].domain)) != signers[i].may)
			fail_msg("row %zu", i);
		dkim_free(&d);
	}
}

static void
test_signed_before(void **state)
{
	(void)state;
	read_message(span_of("DKIM-Signature: v=1; bd=no.example;\r\n d=A.example ; s=x\r\n"
		"dkim-signature: d =\r\n b.example\r\nDKIM-Signature: d\r\n\r\n"
		"DKIM-Signature: d=body.example\r\n"), 0);
	assert_true(dkim_has(&d, span_of("a.example")));
	assert_true(dkim_has(&d, span_of("B.example")));
	assert_false(dkim_has(&d, span_of("no.example")));
	assert_false(dkim_has(&d, span_of("body.example")));
	assert_false(dkim_has(&d, span_of("example")));
	dkim_free(&d);
	read_message(span_of("A: b\r\n\r\n"), 0);
	assert_false(dkim_has(&d, span_of("a.example")));
	dkim_free(&d);
}

/* RFC 8463 appendix A, but for the names that are signed. */
static const char example[] = "From: Joe SixPack <joe@football.example.com>\r\n"
	"To: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\n"
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n"
	"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

/* The SHA-256 of its canonical body, bh= there. */
static const unsigned char example_body[DKIM_HASH] = {
	0xda, 0x35, 0x12, 0x38, 0x7f, 0x4d, 0x86, 0xd5, 0x46, 0x09, 0x05, 0x8d,
	0xaf, 0xd0, 0x6b, 0x20, 0x03, 0xeb, 0x78, 0xa4, 0x23, 0x3b, 0xa4, 0xa7,
	0xed, 0x72, 0x24, 0x7c, 0x95, 0x4e, 0xce, 0xff,
};

static struct buf
write_field(int64_t until, enum dkim_algorithm algorithm)
{
	struct buf field = buf_new(DKIM_FIELD_MAX);
	const struct dkim_key key = { .domain = "football.example.com", .selector = "brisbane",
		.algorithm = algorithm, .at = 1528637909, .until = until };
	dkim_write(&d, &key, example_body, &field);
	return field;
}

static void
test_field(void **state)
{
	(void)state;
	read_message(span_of(example), 0);
	assert_int_equal(out.n, 54);
	auto_buf field = write_field(0, DKIM_ED25519), later = write_field(1528637910, DKIM_RSA);
	assert_true(span_eq(buf_span(&field), span_of(
		"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
		"\td=football.example.com; s=brisbane;\r\n"
		"\tt=1528637909; h=from:from:to:to:cc:subject:subject:date:date:message-id:\r\n"
		"\tmessage-id:mime-version:content-type:content-transfer-encoding:reply-to:\r\n"
		"\tin-reply-to:references;\r\n"
		"\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n\tb=")));
	assert_non_null(memmem(later.p, later.n, " a=rsa-sha256;", 14));
	assert_non_null(memmem(later.p, later.n, "t=1528637909; x=1528637910; h=from", 34));
	dkim_sign(&field, span_of("c2ln"));
	assert_true(span_eq(span_skip(buf_span(&field), field.n - 9), span_of("\tb=c2ln\r\n")));
	dkim_free(&d);
}

/* However long the header is: no line is longer than it may be, and the names are whole. */
static void
test_lines(void **state)
{
	(void)state;
	struct buf text = buf_new(1 << 20), base64 = buf_new(2048);
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "Subject: %d\r\nList-Unsubscribe-Post: x\r\n", i);
	buf_puts(&text, "\r\n");
	read_message(buf_span(&text), 0);
	auto_buf field = write_field(0, DKIM_RSA);
	while (base64.n < 1368) /* RSA of 8192 bits */
		buf_puts(&base64, "abcd");
	dkim_sign(&field, buf_span(&base64));
	assert_int_equal(field.err, 0);
	struct span rest = buf_span(&field);
	size_t subjects = 0;
	while (rest.n > 0) {
		struct span line = span_line(&rest);
		assert_in_range(line.n, 1, 78);
		for (struct span at = line; at.n >= 8; at = span_skip(at, 1))
			subjects += span_starts(at, span_of("subject:"));
	}
	assert_int_equal(subjects, 101);
	dkim_free(&d);
	buf_free(&text);
	buf_free(&base64);
}

static void
test_too_much(void **state)
{
	(void)state;
	struct buf text = buf_new(2 * DKIM_HEADER_MAX);
	buf_puts(&text, "Subject: ");
	while (text.n <= DKIM_HEADER_MAX)
		buf_puts(&text, "xxxxxxxxx\r\n ");
	buf_puts(&text, "\r\n\r\nbody\r\n");
	read_message(buf_span(&text), 17);
	assert_int_equal(d.err, -E2BIG);
	dkim_free(&d);
	memcpy(text.p, "X-bject:", 8); /* nobody signs it */
	read_message(buf_span(&text), 17);
	assert_int_equal(d.err, 0);
	assert_true(span_eq(buf_span(&out), span_of("body\r\n")));
	dkim_free(&d);
	buf_reset(&text);
	for (int i = 0; i <= DKIM_FIELDS_MAX; i++)
		buf_puts(&text, "To: x\r\n");
	read_message(buf_span(&text), 0);
	assert_int_equal(d.err, -E2BIG);
	dkim_free(&d);
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_long_body),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_may_sign),
		cmocka_unit_test(test_signed_before),
		cmocka_unit_test(test_field),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_too_much),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	buf_free(&out);
	return failed;
}

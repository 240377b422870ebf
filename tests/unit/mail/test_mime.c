/* mime: the fields by which parts are found, and what is not read as one (A21). */
#include "tests/unit/unit.h"

#include "mail/mime.h"

static const struct {
	const char *in;
	enum mime_type want;
	const char *boundary;
} types[] = {
	{ "text/plain", MIME_TEXT, NULL },
	{ "text/plain;", MIME_TEXT, NULL },
	{ " TEXT/html; charset=\"x\"; y z", MIME_TEXT, NULL },
	{ " (a (b) \\) c) text/plain (d)", MIME_TEXT, NULL },
	/* L59a: whatever else it says, it is one part */
	{ "text", MIME_TEXT, NULL },
	{ "text/", MIME_TEXT, NULL },
	{ "text /plain", MIME_TEXT, NULL },
	{ "text/plain x", MIME_TEXT, NULL },
	{ "text/plain charset=utf-8", MIME_TEXT, NULL },
	{ "text/plain, multipart/mixed; boundary=b", MIME_TEXT, NULL },
	{ "text/plain (", MIME_TEXT, NULL },
	{ "text/plain (\\", MIME_TEXT, NULL },
	{ "application/x", MIME_DATA, NULL },
	{ "x-a/x-b", MIME_DATA, NULL },
	{ "message/RFC822", MIME_MESSAGE, NULL },
	{ "message/partial; id=1", MIME_SEALED, NULL },
	{ "message/global", MIME_SEALED, NULL },
	{ "multipart/signed; boundary=b", MIME_SEALED, NULL },
	{ "multipart/encrypted", MIME_SEALED, NULL },
	{ "Multipart/Mixed; Boundary=b", MIME_MULTIPART, "b" },
	{ "multipart/x;boundary=b;", MIME_MULTIPART, "b" },
	{ "multipart/x ; a=b ; boundary = \"b c\" ; d=\"e;f\\\"g\"", MIME_MULTIPART, "b c" },
	{ "multipart/x; boundary=----=_x:/?", MIME_MULTIPART, "----=_x:/?" },
	{ "multipart/x (a); (b) boundary (c) = (d) e (f)", MIME_MULTIPART, "e" },
	{ "multipart/digest; boundary=b", MIME_DIGEST, "b" },

	{ "", MIME_UNTYPED, NULL },
	{ " (a)", MIME_UNTYPED, NULL },
	{ "charset=utf-8", MIME_UNTYPED, NULL },
	{ "; charset=utf-8", MIME_UNTYPED, NULL },
	{ "charset/x", MIME_DATA, NULL },
	{ "name=x", MIME_UNKNOWN, NULL },
	{ "texts/plain", MIME_DATA, NULL },
	{ "application/x y", MIME_UNKNOWN, NULL },
	{ "/plain", MIME_UNKNOWN, NULL },
	{ "(text/plain", MIME_UNKNOWN, NULL },
	{ "multipart/x", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=\"\"", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=\"b", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=\"b\\", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=\"b\\\"\"", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=\"b\t\"", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=\"b \"", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=b c", MIME_UNKNOWN, NULL },
	{ "multipart/x; =a; boundary=b", MIME_UNKNOWN, NULL },
	{ "multipart/x; (; boundary=b", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=b; boundary=b", MIME_UNKNOWN, NULL },
	{ "multipart/x; boundary=b; boundary*0=b", MIME_UNKNOWN, NULL },
};

static void
test_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(types); i++) {
		struct mime_boundary b = { .n = 0 };
		enum mime_type got = mime_type(guarded(span_of(types[i].in)), &b);
		if (got != types[i].want)
			fail_msg("%s: %d", types[i].in, (int)got);
		if (types[i].boundary != NULL)
			assert_true(span_eq((struct span){ b.text, b.n },
				span_of(types[i].boundary)));
	}
}

static void
test_boundary_length(void **state)
{
	char field[] = "multipart/x; boundary="
		"1234567890123456789012345678901234567890123456789012345678901234567890+";
	struct mime_boundary b;
	struct span s = span_of(field);
	(void)state;
	assert_int_equal(mime_type(guarded(s), &b), MIME_UNKNOWN);
	s.n--;
	assert_int_equal(mime_type(guarded(s), &b), MIME_MULTIPART);
	assert_int_equal(b.n, LIMIT_BOUNDARY);
}

static const struct {
	const char *in;
	enum mime_encoding want;
} encodings[] = {
	{ "7bit", MIME_7BIT },
	{ " 8Bit\t", MIME_8BIT },
	{ "(a)binary(b)", MIME_8BIT },
	{ "base64", MIME_CODED },
	{ "quoted-printable", MIME_QUOTED },
	{ "\"Quoted-Printable\";", MIME_QUOTED },
	{ "", MIME_ODD },
	{ "8-bit", MIME_8BIT },
	{ "8bits", MIME_8BIT },
	{ "8", MIME_8BIT },
	{ "8bit ;", MIME_8BIT },
	{ "\"8bit\"", MIME_8BIT },
	{ "7bit;", MIME_7BIT },
	{ "utf-8", MIME_ODD },
	{ "text/plain", MIME_ODD },
	{ "7bit 8bit", MIME_ODD },
	{ "(7bit", MIME_ODD },
	{ "7bit (", MIME_ODD },
	{ "x-uuencode", MIME_CODED },
	{ "uuencode", MIME_CODED },
	{ "7bit base64", MIME_CODED },
	{ "quoted-printable 8bit", MIME_CODED },
};

static void
test_encoding(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(encodings); i++)
		if (mime_encoding(guarded(span_of(encodings[i].in))) != encodings[i].want)
			fail_msg("%s", encodings[i].in);
}

static void
test_version(void **state)
{
	(void)state;
	assert_true(mime_is_version(guarded(span_of(" 1.0"))));
	assert_true(mime_is_version(guarded(span_of("1.0 (of some program)"))));
	assert_false(mime_is_version(guarded(span_of("1.1"))));
	assert_false(mime_is_version(guarded(span_of("1.0 1.0"))));
	assert_false(mime_is_version(guarded(span_of(""))));
}

static const struct {
	const char *in;
	bool want, closing;
} lines[] = {
	{ "--b c\r\n", true, false },
	{ "--b c--\r\n", true, true },
	{ "--b c", true, false },
	{ "--b c-- \t", true, true },
	{ "--b c \r\n", true, false },
	{ "--b c\n", true, false },
	{ "--b c-\r\n", false, false },
	{ "--b cd\r\n", false, false },
	{ "--b c--d\r\n", false, false },
	{ "--B c\r\n", false, false },
	{ "-b c\r\n", false, false },
	{ " --b c\r\n", false, false },
	{ "--b ", false, false },
	{ "", false, false },
};

static void
test_boundary_line(void **state)
{
	const struct mime_boundary b = { .text = "b c", .n = 3 };
	(void)state;
	for (size_t i = 0; i < ROWS(lines); i++) {
		bool closing = false;
		if (mime_is_boundary(guarded(span_of(lines[i].in)), &b, &closing) != lines[i].want)
			fail_msg("%s", lines[i].in);
		if (lines[i].want)
			assert_int_equal(closing, lines[i].closing);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_boundary_length),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_boundary_line),
	};
	return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}

/* xtext: what may stand in ENVID, AUTH and ORCPT, and in which form it is kept. */
#include "tests/unit/unit.h"

#include "mail/xtext.h"

static const struct {
	const char *in;
	bool want;
} xtexts[] = {
	{ "a", true },
	{ "+2B", true },
	{ "a\\b", true },
	{ "", false },
	{ "+", false }, /* D19 */
	{ "+4", false },
	{ "+ZZ", false },
	{ "+2b", false },
	{ "+00", false },
	{ "a+0D+0Ab", false },
	{ "+0Ax", false }, /* D20 */
	{ "+7F", false },
	{ "+C3+A9", false },
	{ "a=b", false },
	{ "a b", false },
	{ "\xc3\xa9", false },
	{ "12345678901", false }, /* more than ten */
};

static void
test_xtext(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(xtexts); i++)
		if (xtext_valid(guarded(span_of(xtexts[i].in)), 10) != xtexts[i].want)
			fail_msg("%s", xtexts[i].in);
}

static void
test_decode(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = { { "a", "a" }, { "+2B", "+" }, { "x+40y", "x@y" }, { "a+3D+20+7E", "a= ~" },
		{ "+3C+3E", "<>" }, { "", "" } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf b = buf_new(10);
		xtext_decode(&b, guarded(span_of(rows[i].in)));
		if (!span_eq(buf_span(&b), span_of(rows[i].out)))
			fail_msg("%s: %.*s", rows[i].in, (int)b.n, b.p);
		buf_free(&b);
	}
}

/* RFC 6533 section 3; out: how it is kept; NULL: refused. */
static const struct {
	const char *in, *out;
} unitexts[] = {
	{ "a@b.example", "a@b.example" },
	{ "\xc3\xa9@b.example", "\\x{E9}@b.example" },
	{ "\xe2\x82\xac", "\\x{20AC}" },
	{ "\xf0\x9f\x98\x80z", "\\x{1F600}z" },
	{ "\xe2\x80\xa8", "\\x{2028}" }, /* D26: some take it for the end of a line */
	{ "\xc2\x85", "\\x{85}" },
	{ "\\x{E9}@b", "\\x{E9}@b" },
	{ "\\x{20}\\x{2B}\\x{3D}\\x{5C}", "\\x{20}\\x{2B}\\x{3D}\\x{5C}" },
	{ "\\x{10FFFF}", "\\x{10FFFF}" },
	{ "", NULL },
	{ "a+b", NULL },
	{ "a+2Bb", NULL },
	{ "a=b", NULL },
	{ "a b", NULL },
	{ "a\nb", NULL },
	{ "a\x7f", NULL },
	{ "\\", NULL },
	{ "\\x", NULL },
	{ "\\x{", NULL },
	{ "\\x{}", NULL },
	{ "\\x{E9", NULL },
	{ "\\x{e9}", NULL },
	{ "\\x{0E9}", NULL },
	{ "\\x{D}", NULL },
	{ "\\x{0A}", NULL }, /* D19 */
	{ "\\x{0D}", NULL },
	{ "\\x{7F}", NULL },
	{ "\\x{41}", NULL }, /* stands for itself */
	{ "\\x{D800}", NULL },
	{ "\\x{DFFF}", NULL },
	{ "\\x{110000}", NULL },
	{ "\\x{1000000}", NULL },
	{ "\\u{E9}", NULL },
};

static void
test_unitext(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(unitexts); i++) {
		struct span in = guarded(span_of(unitexts[i].in));
		if (xtext_unitext_valid(in) != (unitexts[i].out != NULL))
			fail_msg("%s", unitexts[i].in);
		if (unitexts[i].out == NULL)
			continue;
		struct buf b = buf_new(100);
		xtext_encode_unitext(&b, in);
		assert_true(span_eq(buf_span(&b), span_of(unitexts[i].out)));
		buf_free(&b);
	}
}

/* What is written is xtext, and stands for what it was. */
static void
test_encode(void **state)
{
	static const char *const texts[][2] = { { "", "" }, { "a@b.example", "a@b.example" },
		{ "a+b=c@d", "a+2Bb+3Dc@d" }, { "\"a b\"@d", "\"a+20b\"@d" },
		{ "~!\x7f\x01", "~!+7F+01" }, { "\xc3", "+C3" } };
	(void)state;
	for (size_t i = 0; i < ROWS(texts); i++) {
		struct buf b = buf_new(100);
		xtext_encode(&b, guarded(span_of(texts[i][0])));
		if (!span_eq(buf_span(&b), span_of(texts[i][1])))
			fail_msg("%s: %.*s", texts[i][0], (int)b.n, b.p);
		buf_free(&b);
	}
}

/* Cut anywhere, it is not read beyond its end. */
static void
test_cut(void **state)
{
	(void)state;
	static const char whole[] = "\\x{10FFFF}\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9+2B";
	for (size_t n = 0; n < sizeof(whole); n++) {
		struct span in = guarded((struct span){ whole, n });
		struct buf b = buf_new(100);
		(void)xtext_unitext_valid(in);
		(void)xtext_valid(in, n);
		xtext_encode_unitext(&b, in);
		assert_true(b.err == 0 && span_is_ascii(buf_span(&b)));
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_unitext),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests_name("xtext", tests, NULL, NULL);
}

/* span: numbers, words and parts of texts that end where they end. */
#include "tests/unit/unit.h"

#include "lib/span.h"

static const struct {
	const char *text;
	int64_t number;
} numbers[] = {
	{ "", -1 },
	{ "0", 0 },
	{ "007", 7 },
	{ "9223372036854775806", INT64_MAX - 1 },
	{ "9223372036854775807", INT64_MAX },
	{ "9223372036854775808", INT64_MAX },
	{ "92233720368547758060", INT64_MAX },
	{ "99999999999999999999999999", INT64_MAX },
	{ "-1", -1 },
	{ "+1", -1 },
	{ " 1", -1 },
	{ "1 ", -1 },
	{ "1x", -1 },
	{ "0x1", -1 },
	{ "1.0", -1 },
	{ "/", -1 }, /* beside the digits in ASCII */
	{ ":", -1 },
	{ "\xd9\xa1", -1 }, /* a digit of another script */
};

static void
test_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(numbers); i++)
		if (span_number(guarded(span_of(numbers[i].text))) != numbers[i].number)
			fail_msg("%s", numbers[i].text);
	assert_int_equal(span_number((struct span){ NULL, 0 }), -1);
	assert_int_equal(span_number((struct span){ "1\0002", 3 }), -1);
}

static const struct {
	const char *text, *digits;
} digits[] = { { "", "" }, { "x1", "" }, { "12 34", "12" }, { "5", "5" }, { "1-", "1" } };

static void
test_digits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(digits); i++)
		assert_true(span_eq(span_digits(guarded(span_of(digits[i].text))), span_of(digits[i].digits)));
}

static void
test_cut(void **state)
{
	(void)state;
	struct span s = guarded(span_of("a::b"));
	assert_true(span_eq(span_cut(&s, ':'), span_of("a")));
	assert_true(span_eq(span_cut(&s, ':'), span_of("")));
	assert_true(span_eq(span_cut(&s, ':'), span_of("b")));
	assert_int_equal(s.n, 0);
	assert_int_equal(span_cut(&s, ':').n, 0);
}

static void
test_word(void **state)
{
	(void)state;
	struct span s = guarded((struct span){ " ,a\0b\t,c ", 9 });
	/* NUL parts nothing */
	assert_true(span_eq(span_word(&s, " \t,"), (struct span){ "a\0b", 3 }));
	assert_true(span_eq(span_word(&s, " \t,"), span_of("c")));
	assert_int_equal(span_word(&s, " \t,").n, 0);
}

static void
test_case(void **state)
{
	(void)state;
	assert_true(span_ieq(span_of("AZ[@"), span_of("az[@")));
	assert_false(span_ieq(span_of("[`"), span_of("{@"))); /* not letters, though 32 apart */
	assert_false(span_ieq(span_of("a"), span_of("ab")));
	assert_true(span_istarts(span_of("Route:x"), span_of("route:")));
	assert_false(span_istarts(span_of("rout"), span_of("route:")));
	assert_true(span_eq(span_trim(span_of(" \ta b\t ")), span_of("a b")));
	assert_int_equal(span_trim(span_of(" \t ")).n, 0);
	assert_true(span_is_ascii(span_of("\x7f\x01")));
	assert_false(span_is_ascii(span_of("a\x80")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_word),
		cmocka_unit_test(test_case),
	};
	return cmocka_run_group_tests_name("span", tests, NULL, NULL);
}

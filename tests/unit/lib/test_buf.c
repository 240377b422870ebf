/* buf: the cap, the error that sticks, the escapes (E1, E5, E6, K10). */
#include "tests/unit/unit.h"

#include <errno.h>

#include "lib/buf.h"

static const struct {
	struct span in;
	size_t limit;
	const char *want;
} escapes[] = {
	{ { "", 0 }, 10, "" },
	{ { "plain ~text!", 12 }, 100, "plain ~text!" },
	{ { "a\\b", 3 }, 100, "a\\x5cb" },
	{ { "\x1b[2J%n%s", 8 }, 100, "\\x1b[2J%n%s" }, /* E5 */
	{ { "a\r\nSubject: x", 13 }, 100, "a\\x0d\\x0aSubject: x" },
	{ { "\0\t\x7f\x80\xff", 5 }, 100, "\\x00\\x09\\x7f\\x80\\xff" },
	{ { "\xe2\x80\xa8", 3 }, 100, "\\xe2\\x80\\xa8" }, /* U+2028 */
	{ { "abcdef", 6 }, 6, "abcdef" },
	{ { "abcdef", 6 }, 5, "abcde..." },
	{ { "abcdef", 6 }, 0, "..." },
	{ { "\n\n", 2 }, 1, "\\x0a..." },
};

static void
test_escape(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(escapes); i++) {
		struct buf b = buf_new(200);
		buf_escape(&b, guarded(escapes[i].in), escapes[i].limit);
		assert_int_equal(b.err, 0);
		if (!span_eq(buf_span(&b), span_of(escapes[i].want)))
			fail_msg("%.*s is not %s", (int)b.n, b.p, escapes[i].want);
		buf_free(&b);
	}
}

static void
test_cap(void **state)
{
	(void)state;
	char kilo[1000];
	memset(kilo, 'k', sizeof(kilo));
	for (size_t max = 0; max < 1200; max += 7) {
		struct buf b = buf_new(max);
		while (b.err == 0)
			buf_add(&b, (struct span){ kilo, 1 + b.n % 300 });
		assert_int_equal(b.err, -E2BIG);
		assert_true(b.n <= max);
		assert_true(b.cap <= max);
		size_t n = b.n;
		buf_puts(&b, ""); /* nothing more gets in, whatever would fit */
		buf_printf(&b, "%s", "x");
		assert_int_equal(b.n, n);
		assert_int_equal(b.err, -E2BIG);
		buf_reset(&b);
		assert_int_equal(b.err, 0);
		assert_int_equal(b.n, 0);
		buf_add(&b, (struct span){ kilo, max < sizeof(kilo) ? max : sizeof(kilo) });
		assert_int_equal(b.err, 0);
		buf_free(&b);
	}
}

static void
test_huge(void **state)
{
	(void)state;
	struct buf b = buf_new(100);
	buf_puts(&b, "abc");
	buf_add(&b, (struct span){ "", SIZE_MAX }); /* never read: it cannot fit (K10) */
	assert_int_equal(b.err, -E2BIG);
	assert_true(span_eq(buf_span(&b), span_of("abc")));
	buf_free(&b);
	assert_null(b.p);
	buf_puts(&b, "again");
	assert_true(span_eq(buf_span(&b), span_of("again")));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_huge),
	};
	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}

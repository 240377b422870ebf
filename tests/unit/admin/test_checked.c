/* checked: lines that the programs say. */
#include "tests/unit/unit.h"

#include "admin/checked.h"

static void
test_lines(void **state)
{
	static const char said[] = "smtpd: error: spool /x: no\n\ntls: warning: a: b: c\n"
				   "auth: ok: fine\nodd: what\nrelay: error:\n";
	static const struct {
		const char *program, *text;
		enum checked_kind kind;
	} want[] = {
		{ "smtpd", "spool /x: no", CHECKED_ERROR },
		{ "tls", "a: b: c", CHECKED_WARNING },
		{ "auth", "fine", CHECKED_FINE },
		{ "", "odd: what", CHECKED_ODD },
		{ "", "relay: error:", CHECKED_ODD },
	};
	struct span rest = span_of(said);
	struct checked_line l;
	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(checked_next(&rest, &l));
		assert_true(span_eq(l.program, span_of(want[i].program)));
		assert_true(span_eq(l.text, span_of(want[i].text)));
		assert_int_equal(l.kind, want[i].kind);
	}
	assert_false(checked_next(&rest, &l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

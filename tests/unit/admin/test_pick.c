/* Times as people write them. What is picked is tried by tests/e2e/test_postern.py. */
#include "tests/unit/unit.h"

#include "admin/pick.h"

static void
test_time(void **state)
{
	static const struct { const char *text; int64_t want; } rows[] = {
		{ "0", 0 }, { "90", 90 }, { "90s", 90 }, { "30m", 1800 }, { "6h", 21600 },
		{ "2d", 172800 }, { "", -1 }, { "d", -1 }, { "1w", -1 }, { "1hh", -1 }, { "-1", -1 },
		{ "1 h", -1 }, { "1.5h", -1 }, { "2147483646s", 2147483646 }, { "2147483647s", -1 },
		{ "99999999999999999999", -1 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (pick_time(rows[i].text) != rows[i].want)
			fail_msg("%s: %lld", rows[i].text, (long long)pick_time(rows[i].text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_time) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* guard: what its values mean, and which are none. */
#include "tests/unit/unit.h"

#include "conf/guard.h"

static const struct {
	const char *value;
	enum guard_kind kind;
	const char *address;
	bool allowed;
} rows[] = {
	{ NULL, GUARD_NONE, "a@b.example", true },
	{ "no", GUARD_NONE, "a@b.example", true },
	{ " NO ", GUARD_NONE, "", true },
	{ "allow b.example", GUARD_ALLOW, "a@b.example", true },
	{ "allow b.example", GUARD_ALLOW, "a@B.Example", true },
	{ "allow b.example", GUARD_ALLOW, "a@x.b.example", false },
	{ "allow b.example", GUARD_ALLOW, "a@xb.example", false },
	{ "allow b.example", GUARD_ALLOW, "b.example", false },
	{ "allow b.example", GUARD_ALLOW, "", false },
	{ "allow b.example", GUARD_ALLOW, "a@b.example@c.example", false },
	{ "Allow .b.example, a@c.example", GUARD_ALLOW, "a@x.b.example", true },
	{ "Allow .b.example, a@c.example", GUARD_ALLOW, "a@b.example", false },
	{ "allow .b.example a@c.example", GUARD_ALLOW, "A@c.example", true },
	{ "allow .b.example a@c.example", GUARD_ALLOW, "b@c.example", false },
	{ "allow a@c.example", GUARD_ALLOW, "\"a\"@c.example", true }, /* R16 */
	{ "allow a@c.example", GUARD_ALLOW, "\"a \"@c.example", false },
	{ "allow b.example", GUARD_ALLOW, "\"a@b.example\"@c.example", false },
	{ "redirect a@b.example", GUARD_REDIRECT, "\"a\"@b.example", true },
	{ "redirect a@b.example", GUARD_REDIRECT, "\"c\"@b.example", false },
	{ "redirect a@b.example", GUARD_REDIRECT, "A@b.example", true },
	{ "redirect a@b.example", GUARD_REDIRECT, "c@b.example", false },
	{ "redirect\ta@b.example", GUARD_REDIRECT, "", false },
	{ "sink /a b", GUARD_SINK, "a@b.example", false },
	{ "Sink  /a", GUARD_SINK, "", false },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guard g;
		if (!guard_parse(rows[i].value, &g) || g.kind != rows[i].kind)
			fail_msg("%s", rows[i].value);
		if (guard_allows(&g, guarded(span_of(rows[i].address))) != rows[i].allowed)
			fail_msg("%s: %s", rows[i].value, rows[i].address);
	}
}

static void
test_wrong(void **state)
{
	static const char *const values[] = { "", "yes", "no no", "allow", "allow *", "allow a b@",
		"allow @b.example", "redirect", "redirect b.example", "redirect a@b.example c@d.example",
		"redirect \xc3\xa4@b.example", "sink", "sink a", "sink /", "sinks /a", "noallow b.example", "allowb.example" };
	(void)state;
	for (size_t i = 0; i < ROWS(values); i++) {
		struct guard g = { GUARD_REDIRECT, "x" };
		if (guard_parse(values[i], &g) || g.kind != GUARD_REDIRECT)
			fail_msg("\"%s\"", values[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_wrong),
	};
	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}

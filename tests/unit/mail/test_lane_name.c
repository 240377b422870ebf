/* lane_name: the names that mail can make are names of directories and nothing else (H7, D13). */
#include "tests/unit/unit.h"

#include <errno.h>

#include "mail/lane_name.h"

static const struct {
	const char *domain, *lane; /* NULL: refused */
} lanes[] = {
	{ "D.Example", "d.example" },
	{ "[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]" },
	{ "[192.0.2.1]", "[192.0.2.1]" },
	{ "Web_App_1", "web_app_1" }, /* L54 */
	{ "_", "_" },
	{ "my_b\xc3\xbc" "cher.example", "xn--my_bcher-95a.example" },
	{ "[IPv6:1:2:3:4:5:6:7::]", NULL }, /* L59 */
	{ "b\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
	{ "B\xc3\x9c" "CHER.example", "xn--bcher-kva.example" },
	/* not "strasse": non-transitional */
	{ "stra\xc3\x9f" "e.example", "xn--strae-oqa.example" },
	{ "a\xe3\x80\x82" "example", "a.example" }, /* an ideographic full stop */
	{ "\xe2\x80\xae.example", NULL },	    /* a mark that turns text around */
	{ "\xff.example", NULL },
	{ "\xc3\xbc..example", NULL },
	{ "", NULL },
	{ "..", NULL },
	{ "a/b", NULL },
	{ "a b", NULL },
	{ ".a", NULL },
	{ "route:a", NULL },
	{ "@lock", NULL },
	{ "[x]", NULL },
};

static void
test_of(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lanes); i++) {
		char lane[LANE_NAME_SIZE] = "";
		int r = lane_name_of(guarded(span_of(lanes[i].domain)), lane);
		if ((r == 0) != (lanes[i].lane != NULL))
			fail_msg("%s: %d, %s", lanes[i].domain, r, lane);
		if (r < 0)
			continue;
		assert_string_equal(lane, lanes[i].lane);
		assert_true(lane_name_valid(guarded(span_of(lane))));
		assert_int_equal(lane_name_route(span_of(lane)).n, 0);
	}
}

/* Whatever stands in it, a lane's name is the name of a directory and nothing else (H7). */
static void
test_lane_names(void **state)
{
	(void)state;
	static const char *const bad[] = { "", ".", "..", "a/b", "A", "@lock", ".a", "a b", "[x]", "route:", "route:A", "route:a/b", "route:..", "route:.a",
		"route:[192.0.2.1]", "route:route:a", "Route:a", "route:a b", "routes:a" };
	for (size_t i = 0; i < ROWS(bad); i++)
		assert_false(lane_name_valid(guarded(span_of(bad[i]))));
	assert_true(lane_name_valid(guarded(span_of("route:a-1.b"))));
	assert_true(lane_name_valid(guarded(span_of("route:a_1"))));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of),
		cmocka_unit_test(test_lane_names),
	};
	return cmocka_run_group_tests_name("lane_name", tests, NULL, NULL);
}

/* units: what systemctl says. */
#include "tests/unit/unit.h"

#include "admin/units.h"

static const char said[] =
	"Id=postern.socket\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
	"TriggerLimitIntervalUSec=0\n"
	"\n"
	"\n"
	"LoadState=not-found\nId=postern-lan.socket\nActiveState=inactive\nUnitFileState=\n"
	"\n"
	"Id=postern-due.timer\nLoadState=loaded\nActiveState=failed\nUnitFileState=disabled\n"
	"LimitNOFILE=infinity\nKillMode\nAccept=";

static void
test_blocks(void **state)
{
	struct span text = span_of(said), block;
	(void)state;
	assert_true(units_next(&text, &block));
	assert_true(span_eq(units_value(block, "Id"), span_of("postern.socket")));
	assert_true(units_is_loaded(block) && units_is_active(block) && units_is_enabled(block));
	assert_false(units_is_failed(block));
	assert_int_equal(units_number(block, "TriggerLimitIntervalUSec"), 0);
	assert_true(units_next(&text, &block));
	assert_true(span_eq(units_value(block, "Id"), span_of("postern-lan.socket")));
	assert_false(units_is_loaded(block) || units_is_active(block));
	assert_true(units_next(&text, &block));
	assert_true(units_is_failed(block));
	assert_false(units_is_active(block) || units_is_enabled(block));
	assert_true(units_number(block, "LimitNOFILE") == INT64_MAX);
	assert_int_equal(units_value(block, "KillMode").n, 0);
	assert_int_equal(units_value(block, "Accept").n, 0);
	assert_int_equal(units_value(block, "Nothing").n, 0);
	assert_false(units_next(&text, &block));
}

static void
test_nothing(void **state)
{
	struct span text = span_of("\n\n"), block;
	(void)state;
	assert_false(units_next(&text, &block));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

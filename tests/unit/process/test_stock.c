/* stock: how many helpers wait, for every load. */
#include "tests/unit/unit.h"

#include "lib/clock.h"
#include "process/stock.h"

enum { IDLE = 60 * 1000, BEGIN = 1000 * 1000 };

static void
test_none_before_the_first_client(void **state)
{
	(void)state;
	struct stock s = { 0 };
	struct stock_plan p = stock_plan(&s, (struct stock_counts){ 0, 0 }, IDLE, BEGIN);
	assert_int_equal(p.start, 0);
	assert_int_equal(p.next, CLOCK_NEVER);
}

/* So many were asked for at once; what is to be done with so many that are there. */
static void
test_counts(void **state)
{
	(void)state;
	static const struct {
		int asked;
		struct stock_counts now;
		int start, retire;
		bool at_once; /* look again */
	} rows[] = {
		{ 1, { 0, 1 }, 1, 0, false }, /* the spare one */
		{ 1, { 1, 1 }, 0, 0, false },
		{ 1, { 2, 0 }, 0, 0, false },
		{ 1, { 1, 0 }, 1, 0, false }, /* one has ended */
		{ 1, { 3, 0 }, 0, 1, false },
		{ 1, { 2, 1 }, 0, 1, false },
		{ 20, { 0, 20 }, 1, 0, false },
		{ 20, { 0, 3 }, 1, 0, true }, /* one by one */
		{ 20, { 21, 0 }, 0, 0, false },
		{ 20, { 0, 25 }, 0, 0, false }, /* none waits that could go */
		{ 20, { 1, 24 }, 0, 1, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct stock s = { 0 };
		stock_taken(&s, rows[i].asked, BEGIN);
		struct stock_plan p = stock_plan(&s, rows[i].now, IDLE, BEGIN + 1);
		if (p.start != rows[i].start || p.retire != rows[i].retire)
			fail_msg("row %zu: start %d, retire %d", i, p.start, p.retire);
		assert_int_equal(p.next, rows[i].at_once ? BEGIN + 1 : BEGIN + STOCK_LATELY);
	}
}

/* What a burst needed is there for this time and the next, and then no longer. */
static void
test_forgets(void **state)
{
	(void)state;
	struct stock s = { 0 };
	const struct stock_counts many = { 21, 0 };
	stock_taken(&s, 20, BEGIN);
	int64_t at = s.tick;
	assert_int_equal(stock_plan(&s, many, IDLE, at + STOCK_LATELY - 1).retire, 0);
	assert_int_equal(stock_plan(&s, many, IDLE, at + STOCK_LATELY).retire, 0);
	assert_int_equal(stock_plan(&s, many, IDLE, at + 2 * STOCK_LATELY - 1).retire, 0);
	assert_int_equal(stock_plan(&s, many, IDLE, at + 2 * STOCK_LATELY).retire, 20);
}

/* Nobody looked for long: what was needed before that counts no more. */
static void
test_forgets_at_once(void **state)
{
	(void)state;
	struct stock s = { 0 };
	stock_taken(&s, 20, BEGIN);
	stock_taken(&s, 1, s.tick + 2 * STOCK_LATELY);
	assert_int_equal(stock_plan(&s, (struct stock_counts){ 21, 0 }, IDLE, s.tick).retire, 19);
}

/* What is served all the time is needed all the time. */
static void
test_long_clients(void **state)
{
	(void)state;
	struct stock s = { 0 };
	const struct stock_counts now = { 1, 5 };
	stock_taken(&s, 5, BEGIN);
	for (int i = 1; i < 5; i++) {
		struct stock_plan p = stock_plan(&s, now, 100 * IDLE, BEGIN + i * STOCK_LATELY);
		assert_int_equal(p.start, 0);
		assert_int_equal(p.retire, 0);
	}
}

/* Nobody asks any more: all that wait go. With the next client it begins anew. */
static void
test_idle(void **state)
{
	(void)state;
	struct stock s = { 0 };
	const struct stock_counts now = { 2, 1 };
	stock_taken(&s, 1, BEGIN);
	struct stock_plan p = stock_plan(&s, now, IDLE, BEGIN + IDLE - 1);
	assert_true(p.retire < 2);
	assert_int_equal(p.next, BEGIN + IDLE);
	p = stock_plan(&s, now, IDLE, BEGIN + IDLE);
	assert_int_equal(p.retire, 2);
	assert_int_equal(p.start, 0);
	assert_int_equal(p.next, CLOCK_NEVER);
	stock_taken(&s, 2, BEGIN + IDLE + 1);
	assert_int_equal(stock_plan(&s, (struct stock_counts){ 0, 2 }, IDLE, BEGIN + IDLE + 2).start, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none_before_the_first_client),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_forgets_at_once),
		cmocka_unit_test(test_long_clients),
		cmocka_unit_test(test_idle),
	};
	return cmocka_run_group_tests_name("stock", tests, NULL, NULL);
}

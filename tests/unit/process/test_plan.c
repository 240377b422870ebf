/* plan: how many workers wait, when more are started, and when they go. */
#include "tests/unit/unit.h"

#include "lib/clock.h"
#include "process/plan.h"

enum { MOST = 100, SPARE = 8, BEGIN = 5000 };

static struct plan
plan(struct plan_pace *p, int waiting, int busy, int64_t time)
{
	return plan_make(p, MOST, SPARE, (struct plan_counts){ waiting, busy }, time);
}

/* One look at a load, by who was not looked at before. */
static const struct row {
	const char *name;
	int waiting, busy;
	int start;
	bool refuser;
} rows[] = {
	{ "at first", 0, 0, SPARE, false },
	{ "some are there", 5, 0, SPARE - 5, false },
	{ "enough are there", SPARE, 0, 0, false },
	{ "too many are there", SPARE + 1, 0, 0, false },
	{ "one has a client", SPARE - 1, 1, 1, false },
	{ "a burst took all", 0, SPARE, 2 * SPARE, false },
	{ "room for some", SPARE - 4, MOST - SPARE + 2, 2, false },
	{ "no room", SPARE - 4, MOST - SPARE + 4, 0, false },
	{ "the last place", 0, MOST - 1, 1, false },
	{ "no place", 0, MOST, 0, true },
	{ "less than none", 0, MOST + 1, 0, true },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *r = &rows[i];
		struct plan_pace p = { 0 };
		struct plan got = plan(&p, r->waiting, r->busy, BEGIN);
		if (got.start != r->start || got.refuser != r->refuser || got.retire != 0)
			fail_msg("%s: start %d, retire %d, refuser %d", r->name, got.start,
				got.retire, got.refuser);
	}
}

/* Each time that nobody waits there are to be twice as many more, up to a batch. */
static void
test_burst(void **state)
{
	(void)state;
	struct plan_pace p = { 0 };
	int busy = 0, rounds = 0;
	for (int start; (start = plan_make(&p, 1000, SPARE, (struct plan_counts){ 0, busy },
				 BEGIN).start) > 0; rounds++) {
		assert_true(start <= SPARE + PLAN_BATCH);
		busy += start;
	}
	assert_int_equal(busy, 1000);
	assert_true(rounds < 20);
}

/* Who waited all the time was not needed. That takes as long as a calm, and goes down by steps. */
static void
test_calm(void **state)
{
	(void)state;
	struct plan_pace p = { 0 };
	int64_t now = BEGIN;
	assert_int_equal(plan(&p, 0, SPARE, now).start, 2 * SPARE);
	assert_int_equal(plan(&p, 3 * SPARE, 0, now + 1).retire, 0);
	assert_int_equal(plan(&p, 3 * SPARE, 0, now + PLAN_CALM - 1).retire, 0);
	int waiting = 3 * SPARE, looks = 0;
	for (; waiting > SPARE; looks++) {
		struct plan got = plan(&p, waiting, 0, now);
		assert_int_equal(got.start, 0);
		waiting -= got.retire;
		assert_true(waiting == SPARE || got.next <= now + PLAN_CALM);
		now += PLAN_CALM;
		assert_true(looks < 10);
	}
	assert_int_equal(waiting, SPARE);
	while (plan(&p, SPARE, 0, now).next != CLOCK_NEVER)
		assert_true((now += PLAN_CALM) < BEGIN + 100 * PLAN_CALM);
}

/* Those that wait now and were needed a moment ago stay. */
static void
test_needed_again(void **state)
{
	(void)state;
	struct plan_pace p = { 0 };
	int64_t now = BEGIN;
	for (int i = 0; i < 10; i++, now += PLAN_CALM) {
		assert_int_equal(plan(&p, 2, 38, now - PLAN_CALM / 2).retire, 0);
		assert_int_equal(plan(&p, 40, 0, now).retire, 0);
	}
}

static void
test_pause(void **state)
{
	(void)state;
	assert_int_equal(plan_pause(0), 0);
	assert_int_equal(plan_pause(1), 100);
	for (int i = 1; i < 100; i++)
		assert_true(plan_pause(i + 1) >= plan_pause(i));
	assert_int_equal(plan_pause(1000000), 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_calm),
		cmocka_unit_test(test_needed_again),
		cmocka_unit_test(test_pause),
	};
	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}

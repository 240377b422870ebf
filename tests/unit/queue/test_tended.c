/* tended: how old mail is, by the times at which a relay was there (J12, L7). */
#include "tests/unit/spooled.h"

#include "queue/tended.h"

enum { HOUR = 3600, LONGEST = 4, NOTES = 8 };

static const int64_t arrived = 1700000000;

/* Hours behind the arrival. */
static int64_t
hours(int64_t h)
{
	return arrived + h * HOUR;
}

static int64_t
age(int64_t h)
{
	return tended_since(&sp, arrived, hours(h), LONGEST * HOUR);
}

static void
test_age(void **state)
{
	static const struct {
		int64_t at[NOTES]; /* h behind the arrival: a relay is there; the last one asks */
		int n;
		int64_t want; /* h */
	} rows[] = {
		{ { 0, 1, 2, 3 }, 4, 3 },
		{ { 0, 4, 8, 12 }, 4, 12 },            /* the longest wait is no gap */
		{ { 0, 3, 147 }, 3, 3 + LONGEST },     /* a jump, or a week without power */
		{ { 0, 3, 147, 150 }, 4, 6 + LONGEST },
		{ { 0, 100, 101, 200 }, 4, 1 + 2 * LONGEST },
		{ { 147 }, 1, 147 },                   /* nothing is known of what was before */
		{ { -144, 0, 2 }, 3, 2 },              /* before it came nobody was needed */
		{ { -10, 10 }, 2, LONGEST },
		{ { -10, 2, 3 }, 3, 3 },
		/* a clock that is wrong for a while, before or behind */
		{ { 0, 87600 }, 2, LONGEST },
		{ { 0, 87600, 1, 2 }, 4, 2 },
		{ { 0, 87600, 1, 2, 147 }, 5, 2 + LONGEST },
		{ { 0, -100000, 1, 2 }, 4, 2 },
		{ { 0, -100000, -99999, 1, 2 }, 5, 2 },
		{ { 0, 3, 147, -100000, 148 }, 5, 4 + LONGEST },
		/* it came while the clock was behind, and that is right now */
		{ { 100000, 0, 1, 100001 }, 4, 2 + LONGEST },
		{ { 100000, -1, 100001 }, 3, 1 + LONGEST },
		{ { 100000, -LONGEST, 100001 }, 3, 1 + LONGEST },
		{ { 100000, 0, 1, 100001, 100003, 100147 }, 6, 4 + 2 * LONGEST },
		{ { 100000, 0, 100000, -2, 1, 100001 }, 6, 1 + LONGEST },
		{ { 2, 0, 1, 3 }, 4, 3 }, /* by an hour or two */
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(setup(state), 0);
		for (int k = 0; k < rows[i].n - 1; k++)
			tended_note(&sp, hours(rows[i].at[k]), LONGEST * HOUR);
		int64_t got = age(rows[i].at[rows[i].n - 1]);
		if (got != rows[i].want * HOUR)
			fail_msg("row %zu: %lld s", i, (long long)got);
		assert_int_equal(age(rows[i].at[rows[i].n - 1]), got); /* asking changes nothing */
		assert_int_equal(teardown(state), 0);
	}
}

/* What was queued before any relay came is not old when one comes at last. */
static void
test_begin(void **state)
{
	(void)state;
	tended_begin(&sp, hours(0));
	tended_begin(&sp, hours(100));
	assert_int_equal(age(147), LONGEST * HOUR);
	tended_begin(&sp, hours(147));
	assert_int_equal(age(149), (LONGEST + 2) * HOUR);
}

/* A schedule of short waits: a timer that comes each five minutes is not away between. */
static void
test_short_waits(void **state)
{
	(void)state;
	tended_note(&sp, hours(0), 60);
	assert_int_equal(tended_since(&sp, arrived, hours(1), 60), HOUR);
	assert_int_equal(tended_since(&sp, arrived, hours(3), 60), 2 * HOUR);
}

/* Mail may seem younger than it is, never older, whatever stands in the file. */
static void
test_odd(void **state)
{
	(void)state;
	static const char *const rows[] = { "x", "at\n", "at -5\n", "at 99999999999999999999\n",
		"gap 5\n", "gap 9 5\nat 12", "\n\n\n" };
	char old[200];
	for (size_t i = 0; i < ROWS(rows); i++) {
		spill(sp.root, "tended", span_of(rows[i]));
		assert_in_range(age(147), 0, LONGEST * HOUR);
		assert_int_equal(age(148), (LONGEST + 1) * HOUR); /* it is mended */
	}
	/* of a longer file nothing is left behind the end */
	memset(old, 'x', sizeof(old));
	spill(sp.root, "tended", (struct span){ old, sizeof(old) });
	tended_note(&sp, hours(149), LONGEST * HOUR);
	struct span now = slurp(sp.root, "tended");
	assert_null(memchr(now.p, 'x', now.n));
	unlinkat(sp.root, "tended", 0);
	assert_int_equal(tended_note(&sp, arrived, HOUR), 0);
	unlinkat(sp.root, "tended", 0);
	assert_int_equal(mkdirat(sp.root, "tended", 0700), 0);
	assert_int_equal(age(147), LONGEST * HOUR);
	assert_int_equal(tended_note(&sp, arrived, HOUR), -EISDIR); /* S13: who comes can say so */
}

/* Of many gaps the latest are known, and the file stays small. */
static void
test_many(void **state)
{
	(void)state;
	enum { MANY = 1000, EACH = 10 };
	for (int i = 0; i < MANY; i++)
		tended_note(&sp, hours((int64_t)i * EACH), LONGEST * HOUR);
	int64_t now = (int64_t)(MANY - 1) * EACH, since = hours(now - 20 * EACH);
	assert_int_equal(tended_since(&sp, since, hours(now), LONGEST * HOUR), 20 * LONGEST * HOUR);
	assert_true(slurp(sp.root, "tended").n < 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_age),
		TEST(test_begin),
		TEST(test_short_waits),
		TEST(test_odd),
		TEST(test_many),
	};
	return cmocka_run_group_tests_name("tended", tests, NULL, NULL);
}

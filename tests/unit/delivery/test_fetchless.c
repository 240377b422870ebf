/* fetchless: when mail waits no more for a fetch that never comes to be there (R81, R83). */
#include "tests/unit/spooled.h"

#include "delivery/fetchless.h"

enum { BEGIN = 1000000, GAP = 5 * 60 * 60, MINUTE = 60 };

static struct fetchless f;
static int64_t now;

static int
arrange(void **state)
{
	now = BEGIN;
	if (setup(state) < 0)
		return -1;
	fetchless_begin(&f, sp.root, GAP);
	return 0;
}

/* One that is not there, some seconds after what was before. What is said, and what follows. */
static void
fail_after(int64_t seconds, enum fetchless_news news, bool is)
{
	now += seconds;
	assert_int_equal(fetchless_note(&f, false, now), news);
	assert_int_equal(fetchless_is(&f), is);
	assert_int_equal(fetchless_rests(&f, now), is);
}

static void
succeed_after(int64_t seconds, enum fetchless_news news)
{
	now += seconds;
	assert_int_equal(fetchless_note(&f, true, now), news);
	assert_false(fetchless_is(&f) || fetchless_rests(&f, now));
}

/* The next relay, which knows what the file says. */
static void
begin_anew(void)
{
	fetchless_begin(&f, sp.root, GAP);
}

/* As the attempts of a message are: for an hour it waits, and no longer. */
static void
test_row(void **state)
{
	(void)state;
	assert_false(fetchless_is(&f) || fetchless_rests(&f, now));
	fail_after(0, FETCHLESS_FIRST, false);
	fail_after(MINUTE, FETCHLESS_NOTHING, false);
	fail_after(5 * MINUTE, FETCHLESS_NOTHING, false);
	fail_after(FETCHLESS_AFTER - 6 * MINUTE - 1, FETCHLESS_NOTHING, false);
	fail_after(1, FETCHLESS_OVER, true);
	/* one is tried again now and then */
	assert_true(fetchless_rests(&f, now + FETCHLESS_AGAIN - 1));
	assert_false(fetchless_rests(&f, now + FETCHLESS_AGAIN));
	assert_true(fetchless_is(&f));
	fail_after(FETCHLESS_AGAIN, FETCHLESS_NOTHING, true);
	/* ... however seldom there is mail to try it with */
	fail_after(100 * GAP, FETCHLESS_NOTHING, true);
	succeed_after(FETCHLESS_AGAIN, FETCHLESS_BACK);
	succeed_after(1, FETCHLESS_NOTHING);
	fail_after(1, FETCHLESS_FIRST, false);
}

/* Twice, however far apart, is a moment and another one. */
static void
test_seldom(void **state)
{
	(void)state;
	fail_after(0, FETCHLESS_FIRST, false);
	fail_after(FETCHLESS_AFTER, FETCHLESS_NOTHING, false);
	fail_after(1, FETCHLESS_OVER, true);
}

/* What is far apart is not in a row, nor is what one that was there came between. */
static void
test_not_in_a_row(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * FETCHLESS_TIMES; i++)
		fail_after(i == 0 ? 0 : GAP + 1, i == 0 ? FETCHLESS_FIRST : FETCHLESS_NOTHING,
			false);
	fail_after(GAP, FETCHLESS_NOTHING, false);
	succeed_after(1, FETCHLESS_BACK);
	fail_after(1, FETCHLESS_FIRST, false);
	for (int i = 0; i < 2 * FETCHLESS_TIMES; i++)
		fail_after(1, FETCHLESS_NOTHING, false); /* many couriers at once */
}

/* Relays come and go; each says again how it is. */
static void
test_relays(void **state)
{
	(void)state;
	fail_after(0, FETCHLESS_FIRST, false);
	fail_after(MINUTE, FETCHLESS_NOTHING, false);
	assert_int_equal(fetchless_look(sp.root), 0);
	begin_anew();
	fail_after(FETCHLESS_AFTER - MINUTE, FETCHLESS_OVER, true);
	assert_int_equal(fetchless_look(sp.root), BEGIN);
	assert_int_equal(fetchless_look(-ENOENT), 0);
	begin_anew();
	assert_true(fetchless_is(&f) && fetchless_rests(&f, now));
	fail_after(FETCHLESS_AGAIN, FETCHLESS_OVER, true);
	begin_anew();
	succeed_after(FETCHLESS_AGAIN, FETCHLESS_NOTHING);
	assert_false(exists(sp.root, ".fetchless"));
	assert_int_equal(fetchless_look(sp.root), 0);
	begin_anew();
	assert_false(fetchless_is(&f));
	fail_after(1, FETCHLESS_FIRST, false);
}

/* Another relay was told that there is one: what this one left in the file is gone, too. */
static void
test_two_relays(void **state)
{
	(void)state;
	struct fetchless other;
	fail_after(0, FETCHLESS_FIRST, false);
	fetchless_begin(&other, sp.root, GAP);
	(void)fetchless_note(&other, true, now);
	fail_after(1, FETCHLESS_NOTHING, false);
	(void)fetchless_note(&other, true, now);
	assert_false(exists(sp.root, ".fetchless"));
}

/* J12: a clock that is set back, or ahead for a moment. */
static void
test_clock(void **state)
{
	(void)state;
	for (int i = 0; i < FETCHLESS_TIMES; i++)
		fail_after(i == 0 ? 0 : 1, i == 0 ? FETCHLESS_FIRST : FETCHLESS_NOTHING, false);
	fail_after(GAP + 1, FETCHLESS_NOTHING, false); /* ahead */
	fail_after(-GAP, FETCHLESS_NOTHING, false);    /* and back: it all begins anew */
	for (int i = 0; i < FETCHLESS_TIMES; i++)
		fail_after(1, FETCHLESS_NOTHING, false);
	fail_after(FETCHLESS_AFTER, FETCHLESS_OVER, true);
	assert_false(fetchless_rests(&f, now - 1)); /* it is tried at once then */
}

/* K13: what is odd in the file counts as nothing. */
static void
test_odd(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool counts;
	} rows[] = {
		{ "since 900000 last 990000 times 9\n", true },
		{ "", false },
		{ "\n", false },
		{ "since 900000 last 990000\n", false },
		{ "since 900000 last 990000 times 0\n", false },
		{ "since 900000 last 990000 times 1000001\n", false },
		{ "since 990000 last 900000 times 9\n", false },
		{ "since 0 last 990000 times 9\n", false },
		{ "since -1 last 990000 times 9\n", false },
		{ "last 990000 since 900000 times 9\n", false },
		{ "since x last 990000 times 9\n", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		(void)unlinkat(sp.root, ".fetchless", 0);
		spill(sp.root, ".fetchless", span_of(rows[i].text));
		begin_anew();
		assert_int_equal(fetchless_is(&f), rows[i].counts);
		assert_int_equal(fetchless_look(sp.root), rows[i].counts ? 900000 : 0);
	}
	assert_int_equal(unlinkat(sp.root, ".fetchless", 0), 0);
	assert_int_equal(symlinkat("/dev/zero", sp.root, ".fetchless"), 0);
	begin_anew();
	fail_after(0, FETCHLESS_FIRST, false);
}

/* Where nothing can be written, this process knows. */
static void
test_no_file(void **state)
{
	(void)state;
	fetchless_begin(&f, -EROFS, GAP);
	fail_after(0, FETCHLESS_FIRST, false);
	fail_after(1, FETCHLESS_NOTHING, false);
	fail_after(FETCHLESS_AFTER, FETCHLESS_OVER, true);
	succeed_after(1, FETCHLESS_BACK);
}

static void
test_missing(void **state)
{
	(void)state;
	f.missing = true;
	assert_true(fetchless_is(&f) && fetchless_rests(&f, now + GAP));
}

#undef TEST
#define TEST(t) cmocka_unit_test_setup_teardown(t, arrange, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_row),
		TEST(test_seldom),
		TEST(test_not_in_a_row),
		TEST(test_relays),
		TEST(test_two_relays),
		TEST(test_clock),
		TEST(test_odd),
		TEST(test_no_file),
		TEST(test_missing),
	};
	return cmocka_run_group_tests_name("fetchless", tests, NULL, NULL);
}

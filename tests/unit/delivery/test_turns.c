/* turns: who gets which lane, and who leaves it to others (R49, R54, S2, I12). */
#include "tests/unit/delivery/turned.h"

/* ---- who begins ------------------------------------------------------------------------------ */

/* As many couriers as there may be connections; whoever is done takes the lane that waits longest. */
static void
test_one_after_the_other(void **state)
{
	(void)state;
	int ms;
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	waits("d");
	waits("e");
	assert_true(turns(&ms) && ms > 0); /* to look after them from time to time */
	turns_done(b, 0);
	assert_true(turns_next(b));
	assert_string_equal(lane_of(b), "d");
	turns_done(a, 0);
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "e");
	turns_done(c, 0);
	assert_false(turns_next(c));
	turns_end(c);
	assert_true(turns(&ms));
	assert_int_equal(ms, -1);
	turns_done(a, wall + AGES);
	assert_false(turns_next(a));
	turns_end(a);
	turns_done(b, 0);
	assert_false(turns_next(b));
	assert_true(turns(&ms));
	assert_in_range(ms, AGES * 900, AGES * 1000); /* the time that a has to wait */
	turns_end(b);
	assert_false(turns(&ms)); /* nothing is due: it ends, and does not wait for a */
	assert_int_equal(r.turns.n, 0);
}

/* Whoever ends makes room for a lane that came at that moment. */
static void
test_end(void **state)
{
	(void)state;
	int ms;
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	turns_done(a, 0);
	assert_false(turns_next(a));
	waits("d");
	turns_end(a);
	assert_int_equal(n_started, 4);
	assert_string_equal(lane_of(started[3]), "d");
	assert_int_equal(r.turns.n, MOST);
	struct pollfd p = { .fd = r.turns.wake, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 1); /* the first thread buries it */
	assert_true(turns(&ms));
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_ptr_equal(r.turns.courier[b->turn.number], b);
	assert_ptr_equal(r.turns.courier[c->turn.number], c);
}

/* A lane that is due later begins when it is. */
static void
test_later(void **state)
{
	(void)state;
	int ms;
	turns_lane(&r, "a", wall + AGES);
	assert_int_equal(n_started, 0);
	turns_lane(&r, "b", wall - 1);
	assert_int_equal(n_started, 1);
	assert_string_equal(lane_of(started[0]), "b");
	assert_true(turns(&ms));
	assert_int_equal(n_started, 1);
}

/* No thread can be had: those that there are do the work; nobody is asked again until one ends. */
static void
test_no_thread(void **state)
{
	(void)state;
	int ms;
	struct courier *a = begins("a");
	cannot_start = 1;
	waits("b");
	waits("c");
	assert_int_equal(cannot_start, 0);
	assert_true(turns(&ms));
	assert_int_equal(n_logged, 1);
	assert_string_equal(logged, "courier");
	assert_int_equal(r.turns.n, 1);
	turns_done(a, 0);
	assert_true(turns_next(a));
	bool b = strcmp(lane_of(a), "b") == 0;
	assert_true(b || strcmp(lane_of(a), "c") == 0);
	turns_done(a, 0);
	turns_end(a);
	assert_int_equal(n_started, 2);
	assert_string_equal(lane_of(started[1]), b ? "c" : "b");
	assert_false(r.unsettled);
}

/* Not even one: it ends with mail that is due, and must not be started again at once. */
static void
test_no_thread_at_all(void **state)
{
	(void)state;
	int ms;
	cannot_start = 1;
	waits("a");
	assert_false(turns(&ms));
	assert_true(r.unsettled);
}

/* ---- one lane -------------------------------------------------------------------------------- */

static void
test_several_at_a_lane(void **state)
{
	(void)state;
	static struct tour tour = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct courier *a = begins("a");
	assert_false(turns_has_others(a));
	turns_grow(a);
	assert_int_equal(n_started, 2);
	struct courier *b = started[1];
	assert_true(turns_next(b));
	assert_ptr_equal(a->turn.lane, b->turn.lane);
	assert_true(turns_has_others(a) && turns_has_others(b));
	a->tour = b->tour = &tour;
	assert_true(turns_leave_to_others(a, &(struct found){ .next = 50, .again = true }));
	assert_null(a->turn.lane);
	assert_null(a->tour);
	assert_false(turns_has_others(b));
	assert_false(turns_leave_to_others(b, &(struct found){ .next = 70 }));
	assert_non_null(b->turn.lane);
	assert_int_equal(tour.found.next, 50);
	assert_true(tour.found.again);
	b->turn.lane->tour = &tour;
	turns_done(b, 0);
	assert_int_equal(r.turns.schedule.n, 0);
}

/* The host had enough of us: nobody comes to help. */
static void
test_shrink(void **state)
{
	(void)state;
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	turns_grow(a); /* there is nobody */
	turns_shrink(a);
	turns_done(b, 0);
	assert_false(turns_next(b));
	turns_grow(a);
	assert_true(turns_next(b));
	assert_string_equal(lane_of(b), "a");
	turns_done(c, 0);
	turns_shrink(c); /* at no lane: nothing happens */
}

static void
test_news(void **state)
{
	(void)state;
	struct courier *a = begins("a");
	assert_false(turns_take_news(a));
	waits("a");
	assert_true(turns_take_news(a));
	assert_false(turns_take_news(a));
	waits("a");
	turns_done(a, 0); /* it did not ask again */
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "a");
}

/* It comes back behind those that waited. */
static void
test_yield(void **state)
{
	(void)state;
	struct courier *a = begins("a");
	(void)begins("b");
	(void)begins("c");
	assert_false(turns_is_waited_for(a));
	waits("d");
	assert_true(turns_is_waited_for(a));
	turns_yield(a);
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "d");
	assert_true(turns_is_waited_for(a));
	turns_done(a, 0);
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "a");
	assert_false(turns_is_waited_for(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_after_the_other),
		TEST(test_end),
		TEST(test_later),
		TEST(test_no_thread),
		TEST(test_no_thread_at_all),
		TEST(test_several_at_a_lane),
		TEST(test_shrink),
		TEST(test_news),
		TEST(test_yield),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}

/* slow: whose connection does next to nothing, and who is given up for those who wait (S2, R28). */
#include "tests/unit/unit.h"

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "delivery/slow.h"
#include "lib/wait.h"

enum { MOST = 3, TIE = 1000 };

/* Between two looks at it no time passes. The linker puts this in the place of clock_ms. */
static const int64_t now = 1000000000;
int64_t __wrap_clock_ms(void);

int64_t
__wrap_clock_ms(void)
{
	return now;
}

static struct turns t;
static struct courier c[MOST], *place[MOST];
static struct schedule_lane lane; /* all are at the same: that makes no difference here */

/* All connections are in use, each by a courier that has just begun. */
static int
enter(void **state)
{
	(void)state;
	t = (struct turns){ .courier = place, .most = MOST, .n = MOST };
	schedule_init(&t.schedule, MOST);
	for (int i = 0; i < MOST; i++) {
		place[i] = &c[i];
		c[i] = (struct courier){ .turn = { .number = i, .lane = &lane,
			.told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) } };
		slow_begin(&c[i]);
	}
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i++)
		close(c[i].turn.told);
	schedule_free(&t.schedule);
	return 0;
}

/* So many lanes wait. */
static void
wait_lanes(int n)
{
	for (int i = (int)t.schedule.waiting; i < n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%d.example", i);
		assert_non_null(schedule_lane(&t.schedule, name, 0));
	}
}

/* Nobody has looked at it for long enough to judge, and it has sent so much since. */
static void
sent(struct courier *one, uint64_t octets)
{
	one->turn.seen = now - SLOW_TIME;
	one->link.stream.sent = one->turn.sent + octets;
}

static void
all_sent(uint64_t octets)
{
	for (int i = 0; i < MOST; i++)
		sent(&c[i], octets);
}

/* Looks at them; how many were given up by now, each of whom hears of it. */
static int
given_up(void)
{
	int n = 0;
	slow_give_up(&t);
	for (int i = 0; i < MOST; i++) {
		assert_int_equal(wait_is_ready(c[i].turn.told, POLLIN), c[i].turn.given_up);
		n += c[i].turn.given_up;
	}
	return n;
}

/* Slow ones may have half of the connections: beyond that the slowest is given up, for others. */
static void
test_slowest(void **state)
{
	(void)state;
	all_sent(0);
	assert_int_equal(given_up(), 0); /* nobody waits */
	wait_lanes(1);
	slow_begin(&c[1]);
	all_sent(0);
	c[1].turn.seen -= TIE; /* for longest; what was seen before does not count */
	c[0].turn.slow = c[2].turn.slow = c[0].turn.seen;
	assert_int_equal(given_up(), 1);
	assert_true(c[1].turn.given_up);
	assert_int_equal(given_up(), 1); /* one for one lane */
	wait_lanes(3);
	assert_int_equal(given_up(), 2); /* the other may be slow: it is half */
	slow_begin(&c[1]);
	assert_false(c[1].turn.given_up);
	assert_int_equal(c[1].turn.slow, 0);
}

/* Who has a message on its way, which may arrive twice, is given up after all others. */
static void
test_in_flight(void **state)
{
	(void)state;
	wait_lanes(1);
	all_sent(0);
	c[1].turn.seen -= TIE;
	c[0].turn.in_flight = c[1].turn.in_flight = true;
	assert_int_equal(given_up(), 1);
	assert_true(c[2].turn.given_up);
}

/* Whoever sends is not slow, however long it takes; and is forgiven. */
static void
test_not_slow(void **state)
{
	(void)state;
	wait_lanes(1);
	all_sent(SLOW_OCTETS);
	assert_int_equal(given_up(), 0);
	sent(&c[0], SLOW_OCTETS - 1);
	assert_int_equal(given_up(), 0);
	assert_true(c[0].turn.slow != 0);
	sent(&c[0], SLOW_OCTETS);
	sent(&c[1], 0);
	assert_int_equal(given_up(), 0);
	assert_true(c[0].turn.slow == 0 && c[1].turn.slow != 0);
}

/* Not before its time is over, though it sent nothing. */
static void
test_not_yet(void **state)
{
	(void)state;
	wait_lanes(MOST);
	for (int i = 0; i < MOST; i++)
		c[i].turn.seen = now - SLOW_TIME / 2;
	assert_int_equal(given_up(), 0);
	assert_int_equal(c[0].turn.slow, 0);
}

/* As long as a queue moves, nobody goes for those who wait in it; then those beyond half do. */
static void
test_queue_that_moves(void **state)
{
	(void)state;
	static const struct {
		size_t taken;
		int given_up;
	} rows[] = { { 2, 0 }, { 1, 1 }, { 0, 2 } };
	wait_lanes(2);
	for (size_t i = 0; i < ROWS(rows); i++) {
		all_sent(0);
		t.since = now - SLOW_TIME;
		t.taken = rows[i].taken; /* by couriers that were done with another lane */
		assert_int_equal(given_up(), rows[i].given_up);
		assert_int_equal(t.taken, 0);
	}
}

/* Who takes its leave has no lane, is waited for first, and is to do that at once. */
static void
test_leave(void **state)
{
	(void)state;
	c[0].turn.lane = NULL;
	assert_int_equal(given_up(), 0);
	wait_lanes(1);
	all_sent(0);
	assert_int_equal(given_up(), 1);
	assert_true(c[0].turn.given_up);
}

/* Who was summoned has none, either, and is on its way: it is counted on, and keeps what it has. */
static void
test_summoned(void **state)
{
	(void)state;
	c[0].turn.lane = NULL;
	c[0].turn.summoned = true;
	t.coming = 1;
	wait_lanes(2);
	all_sent(0);
	assert_int_equal(given_up(), 1); /* of the slow ones */
	assert_false(c[0].turn.given_up);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slowest),
		TEST(test_in_flight),
		TEST(test_not_slow),
		TEST(test_not_yet),
		TEST(test_queue_that_moves),
		TEST(test_leave),
		TEST(test_summoned),
	};
	return cmocka_run_group_tests_name("slow", tests, NULL, NULL);
}

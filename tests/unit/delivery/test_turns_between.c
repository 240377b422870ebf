/* turns: who is told what, and when, while couriers and the first thread meet (S2). Threads are not
 * started: the test is all of them, one after the other. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "delivery/courier.h"
#include "delivery/delivery.h"
#include "delivery/slow.h"
#include "delivery/turns.h"
#include "lib/clock.h"
#include "process/log.h"

enum { NOW = 1000000000 };

static struct relay r;
static int cannot_start;        /* what pthread_create says */
static bool joined_under_lock;
static void (*meanwhile)(void); /* what happens while a courier waits; NULL: nothing */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *courier);
int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *courier)
{
	(void)attr;
	(void)run;
	(void)courier;
	*thread = pthread_self();
	return cannot_start;
}

int __wrap_pthread_join(pthread_t thread, void **result);
int
__wrap_pthread_join(pthread_t thread, void **result)
{
	(void)thread;
	(void)result;
	/* It may have a log line to write yet: nobody else waits for that. */
	if (pthread_mutex_trylock(&r.turns.lock) == 0)
		pthread_mutex_unlock(&r.turns.lock);
	else
		joined_under_lock = true;
	return 0;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
int
__wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	(void)p;
	(void)n;
	(void)ms;
	if (meanwhile != NULL)
		meanwhile();
	return 0;
}

static int64_t wall; /* the time, and how fast it passes: s for each look at it */
static int pace;

int64_t __wrap_clock_wall(void);
int64_t
__wrap_clock_wall(void)
{
	wall += pace;
	return wall;
}

/* Of the other clock, by which couriers are slow, nothing passes. */
static const int64_t now_ms = 1000000000;
int64_t __wrap_clock_ms(void);

int64_t
__wrap_clock_ms(void)
{
	return now_ms;
}

static const struct exchanger host = { .host = "mx.example", .addr = { { 1 } }, .port = 25 };

static int
enter(void **state)
{
	(void)state;
	log_open(LOG_TO_NONE, "test");
	cannot_start = 0;
	joined_under_lock = false;
	wall = NOW;
	pace = 0;
	meanwhile = NULL;
	r = (struct relay){ .keeper = -1 };
	r.common.relay.max_connections = 2;
	r.common.relay.max_connections_per_host = 1;
	return turns_init(&r);
}

/* It has left its lane, and there is no other. */
static void
end_courier(struct courier *c)
{
	assert_false(turns_next(c));
	c->link.fd = -1;
	turns_disconnect(c, c->turn.at, false);
	turns_end(c);
}

static int
leave(void **state)
{
	int ms;
	(void)state;
	for (int i = 0; i < r.turns.most; i++) {
		struct courier *c = r.turns.courier[i];
		if (c == NULL)
			continue;
		if (c->turn.lane != NULL)
			turns_done(c, 0);
		turns_end(c);
	}
	(void)turns_turn(&r, &ms);
	turns_free(&r);
	return joined_under_lock;
}

/* The courier that was started for this lane. */
static struct courier *
courier_of(const char *lane)
{
	for (int i = 0; i < r.turns.most; i++) {
		struct courier *c = r.turns.courier[i];
		if (c != NULL && c->turn.lane != NULL && strcmp(c->turn.lane->name, lane) == 0)
			return c;
	}
	return NULL;
}

/* A courier with a connection, for which mail has come. */
static struct courier *
begin(const char *lane)
{
	turns_lane(&r, lane, 0);
	struct courier *c = courier_of(lane);
	assert_non_null(c);
	assert_true(turns_next(c));
	c->turn.at = turns_connect(c, &host);
	return c;
}

/* ---- one that waits for mail --------------------------------------------------------------- */

static void
more_mail(void)
{
	turns_lane(&r, "a.example", 0);
}

static void
test_news_are_taken_once(void **state)
{
	(void)state;
	struct courier *c = begin("a.example");
	meanwhile = more_mail;
	assert_true(turns_linger(c, 0));
	assert_false(turns_take_news(c));
	turns_done(c, 0);
	end_courier(c);
}

static void
mail_for_others_and_more(void)
{
	turns_lane(&r, "b.example", 0);
	turns_lane(&r, "a.example", 0);
}

/* What came for its own lane waits, or that of the others would wait for as long as more comes. */
static void
test_who_gives_way_does(void **state)
{
	(void)state;
	r.turns.most = 1;
	struct courier *c = begin("a.example");
	meanwhile = mail_for_others_and_more;
	assert_false(turns_linger(c, 0));
	turns_done(c, 0);
	assert_true(turns_next(c));
	assert_string_equal(c->turn.lane->name, "b.example");
	assert_int_equal(r.turns.coming, 0);
	turns_done(c, 0);
	assert_true(turns_next(c));
	assert_string_equal(c->turn.lane->name, "a.example");
	turns_done(c, 0);
	end_courier(c);
	r.turns.most = 2;
}

/* ---- one that waits without a lane ---------------------------------------------------------- */

static void
mail_for_two_others(void)
{
	int ms;
	turns_lane(&r, "b.example", 0);
	turns_lane(&r, "c.example", 0);
	assert_true(turns_turn(&r, &ms));
}

/* More lanes wait than it can take: it takes one, and is not given up for another one. */
static void
test_who_is_summoned_comes(void **state)
{
	(void)state;
	r.turns.most = 1;
	struct courier *c = begin("a.example");
	turns_done(c, 0);
	assert_false(turns_next(c));
	meanwhile = mail_for_two_others;
	assert_true(turns_rest(c, 0));
	assert_false(c->turn.given_up);
	assert_true(turns_next(c));
	assert_string_equal(c->turn.lane->name, "b.example");
	assert_int_equal(r.turns.coming, 0);
	turns_done(c, 0);
	assert_true(turns_next(c));
	assert_string_equal(c->turn.lane->name, "c.example");
	turns_done(c, 0);
	end_courier(c);
	r.turns.most = 2;
}

static void
mail_for_another(void)
{
	turns_lane(&r, "c.example", 0);
}

/* One that was given up ends, though it was summoned meanwhile: nobody counts on it for ever. */
static void
test_who_is_summoned_ends(void **state)
{
	int ms;
	(void)state;
	r.turns.most = 1;
	struct courier *c = begin("a.example");
	turns_done(c, 0);
	assert_false(turns_next(c));
	turns_lane(&r, "b.example", 0);
	assert_true(turns_turn(&r, &ms));
	assert_true(c->turn.given_up);
	assert_non_null(schedule_take(&r.turns.schedule, NOW)); /* another one has it by now */
	meanwhile = mail_for_another;
	assert_false(turns_rest(c, 0));
	assert_true(c->turn.summoned);
	turns_disconnect(c, c->turn.at, false);
	turns_end(c);
	assert_int_equal(r.turns.coming, 0);
	assert_non_null(courier_of("c.example"));
	r.turns.most = 2;
}

/* ---- lanes that wait ----------------------------------------------------------------------- */

/* One takes a lane of the host it is connected to; the lane that it leaves gets another one. */
static void
test_no_lane_is_left_behind(void **state)
{
	(void)state;
	struct courier *c = begin("a.example");
	struct courier *parked = begin("p.example");
	assert_null(parked->turn.at); /* the host has enough */
	turns_park(parked, &host);
	end_courier(parked);
	more_mail(); /* while it is at work */
	c->link.fd = 0;
	turns_done(c, 0);
	assert_true(turns_next(c));
	assert_string_equal(c->turn.lane->name, "p.example");
	assert_non_null(courier_of("a.example"));
	c->link.fd = -1;
}

/* ... and when it waits for mail and leaves that for others. */
static void
test_who_takes_leave_is_not_waited_for(void **state)
{
	int ms;
	uint64_t told = 0;
	(void)state;
	r.turns.most = 1;
	struct courier *c = begin("a.example");
	turns_done(c, 0);
	assert_false(turns_next(c)); /* and now it says QUIT, and waits */
	turns_lane(&r, "b.example", 0);
	assert_true(turns_turn(&r, &ms));
	assert_int_equal(read(c->turn.told, &told, sizeof(told)), sizeof(told));
	turns_disconnect(c, c->turn.at, false);
	turns_end(c);
	assert_non_null(courier_of("b.example"));
	r.turns.most = 2;
}

/* ---- slow ones ----------------------------------------------------------------------------- */

/* They were slow for so long, and so many lanes got one of the others meanwhile. */
static void
let_time_pass(struct courier *const c[2], size_t taken)
{
	for (int i = 0; i < 2; i++)
		c[i]->turn.seen = now_ms - SLOW_TIME;
	r.turns.since = now_ms - SLOW_TIME;
	r.turns.taken = taken;
}

static int
given_up(struct courier *const c[2])
{
	int ms;
	assert_true(turns_turn(&r, &ms));
	return c[0]->turn.given_up + c[1]->turn.given_up;
}

/* As long as a queue moves, nobody goes for those who wait in it (S2). */
static void
test_queue_that_moves(void **state)
{
	(void)state;
	struct courier *const c[2] = { begin("a.example"), begin("b.example") };
	turns_lane(&r, "c.example", 0);
	turns_lane(&r, "d.example", 0);
	assert_int_equal(given_up(c), 0); /* they have just begun */
	let_time_pass(c, 2);
	assert_int_equal(given_up(c), 0);
	let_time_pass(c, 1);
	assert_int_equal(given_up(c), 1);
	assert_int_equal(given_up(c), 1);
	let_time_pass(c, 0);
	assert_int_equal(given_up(c), 1);
	assert_true(c[0]->turn.given_up);
	for (size_t i = 0; i < 2; i++) { /* what the first one takes tells nothing of the pace */
		turns_done(c[i], 0);
		assert_true(turns_next(c[i]));
		assert_false(c[i]->turn.given_up);
		assert_int_equal(r.turns.taken, i);
	}
}

/* To begin anew would not help: it is for the timer. */
static void
test_no_courier_can_be_started(void **state)
{
	int ms;
	(void)state;
	cannot_start = EAGAIN;
	turns_lane(&r, "a.example", 0);
	assert_null(courier_of("a.example"));
	assert_false(turns_turn(&r, &ms));
	assert_true(r.unsettled);
}

/* It is one less, no more: what there is goes on, and the relay ends as others do. */
static void
test_one_courier_cannot_be_started(void **state)
{
	int ms;
	(void)state;
	struct courier *c = begin("a.example");
	cannot_start = EAGAIN;
	turns_lane(&r, "b.example", 0);
	assert_true(turns_turn(&r, &ms));
	turns_done(c, 0);
	assert_true(turns_next(c));
	assert_string_equal(c->turn.lane->name, "b.example");
	turns_done(c, 0);
	end_courier(c);
	assert_false(turns_turn(&r, &ms));
	assert_false(r.unsettled);
}

/* ---- time ---------------------------------------------------------------------------------- */

/* Whatever the clock says meanwhile, a lane that is to be due soon is not waited for for ever. */
static void
test_due_between_two_looks(void **state)
{
	(void)state;
	int ms;
	(void)begin("a.example");
	turns_lane(&r, "b.example", NOW + 2);
	assert_null(courier_of("b.example"));
	pace = 1;
	for (int i = 0; courier_of("b.example") == NULL; i++) {
		assert_true(i < 3 && turns_turn(&r, &ms));
		if (courier_of("b.example") == NULL)
			assert_in_range(ms, 0, 2000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_news_are_taken_once, enter, leave),
		cmocka_unit_test_setup_teardown(test_who_gives_way_does, enter, leave),
		cmocka_unit_test_setup_teardown(test_who_is_summoned_comes, enter, leave),
		cmocka_unit_test_setup_teardown(test_who_is_summoned_ends, enter, leave),
		cmocka_unit_test_setup_teardown(test_no_lane_is_left_behind, enter, leave),
		cmocka_unit_test_setup_teardown(test_who_takes_leave_is_not_waited_for, enter, leave),
		cmocka_unit_test_setup_teardown(test_queue_that_moves, enter, leave),
		cmocka_unit_test_setup_teardown(test_no_courier_can_be_started, enter, leave),
		cmocka_unit_test_setup_teardown(test_one_courier_cannot_be_started, enter, leave),
		cmocka_unit_test_setup_teardown(test_due_between_two_looks, enter, leave),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}

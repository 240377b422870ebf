/* turns: who waits with a connection, who gives way, and who is given up (R49, R54, S2, I12). */
#include "tests/unit/delivery/turned.h"

static const struct exchanger host_a = { .addr = { { 1 } }, .port = 25 },
	host_b = { .addr = { { 2 } }, .port = 25 };

/* It has a connection to this host, the other end of which is *far. */
static void
connects(struct courier *c, const struct exchanger *to, int *far)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	c->turn.at = turns_connect(c, to);
	assert_non_null(c->turn.at);
	c->link.fd = ends[0];
	*far = ends[1];
}

static void
disconnects(struct courier *c, int far)
{
	close(c->link.fd);
	close(far);
	c->link.fd = -1;
	turns_disconnect(c, c->turn.at, false);
	c->turn.at = NULL;
}

static bool
is_told(const struct courier *c)
{
	struct pollfd p = { .fd = c->turn.told, .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

/* ---- who waits for mail ---------------------------------------------------------------------- */

struct waiter {
	struct courier *c;
	bool (*wait)(struct courier *c, int64_t deadline);
	pthread_t thread;
	bool news;
	_Atomic bool ended;
};

static void *
linger(void *waiter)
{
	struct waiter *w = waiter;
	w->news = w->wait(w->c, clock_deadline(SECONDS));
	w->ended = true;
	return NULL;
}

/* In a thread of its own, until it is told something. */
static void
begin_to_wait(struct waiter *w, struct courier *c, bool (*wait)(struct courier *c, int64_t deadline))
{
	bool idle = false;
	w->c = c;
	w->wait = wait;
	w->ended = false;
	assert_int_equal(pthread_create(&w->thread, NULL, linger, w), 0);
	while (!idle) {
		assert_false(w->ended);
		pthread_mutex_lock(&r.turns.lock);
		idle = c->turn.idle;
		pthread_mutex_unlock(&r.turns.lock);
	}
}

static void
begin_to_linger(struct waiter *w, struct courier *c)
{
	begin_to_wait(w, c, turns_linger);
}

static bool
ends_to_linger(struct waiter *w)
{
	assert_int_equal(pthread_join(w->thread, NULL), 0);
	assert_false(w->c->turn.idle);
	assert_true(TAILQ_EMPTY(&r.turns.idle));
	if (w->c->turn.at != NULL)
		assert_int_equal(w->c->turn.at->idle, 0);
	return w->news;
}

/* More mail for its lane wakes it, and starts nobody else. */
static void
test_linger_for_news(void **state)
{
	(void)state;
	struct waiter w;
	int far;
	struct courier *a = begins("a");
	connects(a, &host_a, &far);
	begin_to_linger(&w, a);
	assert_int_equal(a->turn.at->idle, 1);
	waits("a");
	assert_true(ends_to_linger(&w));
	/* what came a moment before it began is there at once */
	waits("a");
	assert_true(turns_linger(a, clock_deadline(AGES)));
	disconnects(a, far);
}

/* The time is up; the host says something; there is no connection. */
static void
test_linger_in_vain(void **state)
{
	(void)state;
	int far;
	struct courier *a = begins("a");
	assert_false(turns_linger(a, clock_deadline(AGES)));
	connects(a, &host_a, &far);
	assert_false(turns_linger(a, clock_ms()));
	assert_int_equal(write(far, "421 bye\r\n", 9), 9);
	assert_false(turns_linger(a, clock_deadline(AGES)));
	disconnects(a, far);
}

/* While connections are left, nobody gives way; when there are none, who waits for mail does. */
static void
test_give_way(void **state)
{
	(void)state;
	struct waiter w;
	int far, ms;
	struct courier *a = begins("a");
	connects(a, &host_a, &far);
	begin_to_linger(&w, a);
	(void)begins("b");
	(void)begins("c");
	assert_true(a->turn.idle);
	waits("d");
	assert_false(ends_to_linger(&w));
	assert_int_equal(r.turns.coming, 1);
	assert_true(turns(&ms));
	assert_int_equal(ms, -1); /* d is as good as served, so nobody is slow in vain */
	assert_false(turns_is_waited_for(started[1]));
	turns_done(a, 0);
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "d");
	assert_int_equal(r.turns.coming, 0);
	waits("e");
	assert_false(turns_linger(a, clock_deadline(AGES))); /* others wait: it does not begin to */
	disconnects(a, far);
}

/* The one that waits longest gives way; one for each lane. */
static void
test_give_way_in_order(void **state)
{
	(void)state;
	struct waiter w[MOST];
	int far[MOST];
	static const char *const names[MOST] = { "a", "b", "c" };
	static const struct exchanger *const to[MOST] = { &host_a, &host_a, &host_b };
	struct courier *c[MOST];
	for (int i = 0; i < MOST; i++) {
		c[i] = begins(names[i]);
		connects(c[i], to[i], &far[i]);
	}
	for (int i = 0; i < MOST; i++)
		begin_to_linger(&w[i], c[i]);
	waits("d");
	assert_int_equal(pthread_join(w[0].thread, NULL), 0);
	assert_true(!c[0]->turn.idle && c[1]->turn.idle && c[2]->turn.idle);
	waits("e");
	assert_int_equal(pthread_join(w[1].thread, NULL), 0);
	assert_true(c[2]->turn.idle);
	assert_int_equal(r.turns.coming, 2);
	waits("c"); /* whom news reach is not there for others */
	assert_true(ends_to_linger(&w[2]));
	for (int i = 0; i < MOST; i++)
		disconnects(c[i], far[i]);
}

/* ---- one host -------------------------------------------------------------------------------- */

/* However many lanes lead there. A lane that finds no room waits, and goes by the next connection. */
static void
test_host_is_full(void **state)
{
	(void)state;
	int far[2];
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	connects(a, &host_a, &far[0]);
	connects(b, &host_a, &far[1]);
	assert_null(turns_connect(c, &host_a));
	assert_false(turns_is_waited_for(a));
	turns_park(c, &host_a);
	assert_null(c->turn.lane);
	assert_true(turns_is_waited_for(a) && turns_is_waited_for(b));
	assert_false(turns_linger(a, clock_deadline(AGES)));
	assert_false(turns_next(c)); /* it is not for anybody without a connection there */
	turns_done(b, 0);
	waits("b");
	assert_true(turns_next(b)); /* the same host first */
	assert_string_equal(lane_of(b), "c");
	assert_non_null(b->turn.offer);
	assert_int_equal(b->turn.offer->port, host_a.port);
	assert_true(turns_next(c));
	assert_string_equal(lane_of(c), "b");
	assert_false(turns_is_waited_for(a));
	disconnects(a, far[0]);
	disconnects(b, far[1]);
}

/* Who waits for mail at that host hears of it. */
static void
test_park_at_an_idle_connection(void **state)
{
	(void)state;
	struct waiter w;
	int far;
	struct courier *a = begins("a"), *b = begins("b");
	connects(a, &host_a, &far);
	begin_to_linger(&w, a);
	assert_null(turns_connect(b, &host_a)); /* there is room, but no need */
	turns_park(b, &host_a);
	assert_false(ends_to_linger(&w));
	turns_done(a, 0);
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "b");
	disconnects(a, far);
}

/*
 * Whoever gave way for a lane that another one took has none, and keeps its connection: the next lane
 * that goes there gets it.
 */
static void
test_rest(void **state)
{
	(void)state;
	struct waiter w;
	int far;
	struct courier *a = begins("a"), *b = begins("b");
	connects(a, &host_a, &far);
	turns_done(a, 0);
	assert_false(turns_next(a));
	begin_to_wait(&w, a, turns_rest);
	assert_null(turns_connect(b, &host_a));
	turns_park(b, &host_a);
	assert_true(ends_to_linger(&w));
	assert_true(turns_rest(a, clock_deadline(AGES))); /* it is still there */
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "b");
	turns_done(a, 0);
	assert_false(turns_next(a));
	assert_false(turns_rest(a, clock_ms())); /* the time is up */
	a->turn.given_up = true;
	assert_false(turns_rest(a, clock_ms()));
	disconnects(a, far);
	assert_false(turns_rest(a, clock_deadline(AGES))); /* there is nothing to keep */
}

/* Its time is that since it had work, whether it waits at its lane or without one. */
static void
test_rest_is_no_second_time(void **state)
{
	(void)state;
	int far;
	struct courier *a = begins("a");
	(void)begins("b");
	(void)begins("c");
	connects(a, &host_a, &far);
	assert_false(turns_linger(a, clock_ms()));
	turns_done(a, 0);
	assert_false(turns_next(a));
	assert_false(turns_rest(a, clock_deadline(AGES)));
	waits("d");
	assert_true(turns_next(a));
	assert_int_equal(a->turn.patience, 0); /* here is work */
	assert_false(turns_linger(a, clock_ms()));
	waits("d");
	assert_true(turns_linger(a, clock_ms()));
	assert_int_equal(a->turn.patience, 0); /* and here */
	turns_done(a, 0);
	disconnects(a, far);
}

/* A connection that was lost meanwhile is none to go on with: the lane gets its turn like any other. */
static void
test_lost_connection(void **state)
{
	(void)state;
	int far[2];
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	connects(a, &host_a, &far[0]);
	connects(b, &host_a, &far[1]);
	turns_park(c, &host_a);
	turns_done(a, 0);
	close(a->link.fd);
	a->link.fd = -1;
	assert_false(turns_next(a));
	turns_end(c);
	assert_int_equal(n_started, 3);
	turns_disconnect(a, a->turn.at, false);
	assert_int_equal(n_started, 4);
	assert_string_equal(lane_of(started[3]), "c");
	assert_non_null(started[3]->turn.offer);
	a->turn.at = NULL;
	close(far[0]);
	disconnects(b, far[1]);
}

/*
 * The last connection to a host is closed: some of its lanes get their turn, the others a moment
 * later. The first thread hears of that, and does not end before, though nobody is at work.
 */
static void
test_last_connection_ends(void **state)
{
	(void)state;
	static const char *const names[] = { "d", "e", "f" };
	int far[2], ms;
	struct pollfd wake = { .fd = r.turns.wake, .events = POLLIN };
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	connects(a, &host_a, &far[0]);
	connects(b, &host_a, &far[1]);
	turns_park(c, &host_a);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		waits(names[i]);
		assert_true(turns_next(c));
		turns_park(c, &host_a);
	}
	disconnects(a, far[0]);
	assert_true(turns_next(c)); /* in its place */
	assert_string_equal(lane_of(c), "c");
	turns_done(c, 0);
	assert_true(turns(&ms));
	assert_int_equal(poll(&wake, 1, 0), 0);
	disconnects(b, far[1]);
	assert_int_equal(poll(&wake, 1, 0), 1);
	cannot_start = INT_MAX; /* but for those that there are */
	for (int i = 0; i < PER_HOST; i++) {
		assert_true(turns_next(c));
		assert_string_equal(lane_of(c), names[i]);
		turns_done(c, 0);
	}
	assert_false(turns_next(c));
	turns_done(a, 0);
	turns_done(b, 0);
	turns_end(a);
	turns_end(b);
	turns_end(c);
	r.turns.failed = false;
	assert_true(turns(&ms));
	assert_int_equal(r.turns.n, 0);
	assert_in_range(ms, 1, 1000);
}

/* A host that refused has fewer; mail that goes well brings one back, for a lane that waits. */
static void
test_refused(void **state)
{
	(void)state;
	int far, ms;
	struct pollfd wake = { .fd = r.turns.wake, .events = POLLIN };
	struct courier *a = begins("a"), *b = begins("b"), *c = begins("c");
	connects(a, &host_a, &far);
	struct schedule_host *h = turns_connect(b, &host_a);
	turns_disconnect(b, h, true);
	assert_null(turns_connect(b, &host_a));
	turns_disconnect(b, NULL, true); /* no place, no harm */
	turns_park(b, &host_a);
	turns_park(c, &host_a);
	turns_end(c);
	assert_true(turns(&ms));
	assert_int_equal(n_started, 3);
	assert_int_equal(poll(&wake, 1, 0), 0);
	turns_done(a, 0);
	assert_int_equal(poll(&wake, 1, 0), 1);
	assert_true(turns(&ms));
	assert_int_equal(n_started, 4);
	assert_string_equal(lane_of(started[3]), "b");
	assert_true(turns_next(a));
	assert_string_equal(lane_of(a), "c");
	disconnects(a, far);
}

/* ---- who is slow (S2) ------------------------------------------------------------------------ */

/* No courier has sent anything for long enough to be slow. */
static void
let_all_be_slow(struct courier *const c[static MOST])
{
	for (int i = 0; i < MOST; i++)
		c[i]->turn.seen = clock_ms() - SLOW_TIME;
}

/* When all connections are in use and mail waits, the first thread has slow ones given up. */
static void
test_slow(void **state)
{
	(void)state;
	int ms;
	struct courier *const c[MOST] = { begins("a"), begins("b"), begins("c") };
	let_all_be_slow(c);
	assert_true(turns(&ms));
	assert_int_equal(n_logged, 0); /* nobody waits */
	waits("d");
	c[1]->turn.seen -= 1000; /* for longest */
	assert_true(turns(&ms));
	assert_true(turns(&ms));
	assert_int_equal(n_logged, 1); /* that connections ran out is said once */
	assert_string_equal(logged, "crowded");
	assert_true(c[1]->turn.given_up && is_told(c[1]));
	assert_false(c[0]->turn.given_up || c[2]->turn.given_up);
	turns_done(c[1], wall + AGES);
	assert_true(turns_next(c[1]));
	assert_string_equal(lane_of(c[1]), "d");
	assert_false(c[1]->turn.given_up || is_told(c[1])); /* it begins anew */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_linger_for_news),
		TEST(test_linger_in_vain),
		TEST(test_give_way),
		TEST(test_give_way_in_order),
		TEST(test_host_is_full),
		TEST(test_park_at_an_idle_connection),
		TEST(test_rest),
		TEST(test_rest_is_no_second_time),
		TEST(test_lost_connection),
		TEST(test_last_connection_ends),
		TEST(test_refused),
		TEST(test_slow),
	};
	return cmocka_run_group_tests_name("turns_hosts", tests, NULL, NULL);
}

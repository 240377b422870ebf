/* turns: who gets which lane, who waits, who gives way, and who is given up (R49, R54, S2, I12). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "delivery/courier.h"
#include "delivery/delivery.h"
#include "delivery/slow.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "lib/clock.h"
#include "process/log.h"

enum { MOST = 3, PER_HOST = 2, AGES = 3600, SECONDS = 120 };

static struct relay r;

/* ---- couriers without a thread: what they would do is done by the test ----------------------- */

static struct courier *started[MOST * 10];
static int n_started, cannot_start;

int __wrap_courier_start(struct courier *c);

/* The linker puts it in the place of courier_start. */
int
__wrap_courier_start(struct courier *c)
{
	if (cannot_start > 0) {
		cannot_start--;
		errno = EAGAIN;
		return -EAGAIN;
	}
	started[n_started++] = c;
	return 0;
}

/* ---- time, which does not pass: what is due in a moment is not due between two steps ----------- */

static const int64_t wall = 1000000000;
int64_t __wrap_clock_wall(void);

int64_t
__wrap_clock_wall(void)
{
	return wall;
}

/* ---- the lock is not held while somebody else is waited for ---------------------------------- */

static int n_logged, n_under_lock;
static char logged[32]; /* the last event */

static void
note_lock(void)
{
	if (pthread_mutex_trylock(&r.turns.lock) == 0)
		pthread_mutex_unlock(&r.turns.lock);
	else
		n_under_lock++; /* leave() fails, when nothing is locked any more */
}

void __wrap_log_event(int priority, const struct log_fields *f, const char *fmt, ...);
void
__wrap_log_event(int priority, const struct log_fields *f, const char *fmt, ...)
{
	(void)priority;
	(void)fmt;
	note_lock();
	snprintf(logged, sizeof(logged), "%s", f->event);
	n_logged++;
}

void __real_tour_add(struct tour *t, const struct found *found);
void __wrap_tour_add(struct tour *t, const struct found *found);
void
__wrap_tour_add(struct tour *t, const struct found *found)
{
	note_lock(); /* the disk may be waited for under that of the tour */
	__real_tour_add(t, found);
}

static const struct exchanger host_a = { .addr = { { 1 } }, .port = 25 },
	host_b = { .addr = { { 2 } }, .port = 25 };

static int
enter(void **state)
{
	(void)state;
	r = (struct relay){ .keeper = -1, .common = { .relay = { .max_connections = MOST,
		.max_connections_per_host = PER_HOST, .window_messages = 1 } } };
	n_started = cannot_start = n_logged = n_under_lock = 0;
	return turns_init(&r);
}

static int
leave(void **state)
{
	int ms;
	(void)state;
	cannot_start = INT_MAX; /* what is left waits */
	for (int i = 0; i < MOST; i++)
		if (r.turns.courier[i] != NULL)
			turns_end(r.turns.courier[i]);
	(void)turns_turn(&r, &ms); /* buries them */
	turns_free(&r);
	return n_under_lock;
}

static const char *
lane_of(const struct courier *c)
{
	return c->turn.lane != NULL ? c->turn.lane->name : "none";
}

/* New mail for this lane, for which a courier is started; who begins. */
static struct courier *
begins(const char *lane)
{
	int before = n_started;
	turns_lane(&r, lane, 0);
	assert_int_equal(n_started, before + 1);
	struct courier *c = started[before];
	assert_true(turns_next(c));
	assert_string_equal(lane_of(c), lane);
	c->work.delivery.max_connections_per_lane = MOST;
	return c;
}

/* ... for which nobody is. */
static void
waits(const char *lane)
{
	int before = n_started;
	turns_lane(&r, lane, 0);
	assert_int_equal(n_started, before);
}

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

/* The first thread looks; is there anything left to do? */
static bool
turns(int *ms)
{
	return turns_turn(&r, ms);
}

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

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
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}

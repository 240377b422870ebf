/*
 * turned: turns whose couriers have no thread, for a group of tests. The linker puts what begins
 * with __wrap_ in its place.
 */
#ifndef POSTERN_TURNED_H
#define POSTERN_TURNED_H

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

static inline void
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

static inline int
enter(void **state)
{
	(void)state;
	r = (struct relay){ .keeper = -1, .common = { .relay = { .max_connections = MOST,
		.max_connections_per_host = PER_HOST, .window_messages = 1 } } };
	n_started = cannot_start = n_logged = n_under_lock = 0;
	return turns_init(&r);
}

static inline int
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

static inline const char *
lane_of(const struct courier *c)
{
	return c->turn.lane != NULL ? c->turn.lane->name : "none";
}

/* New mail for this lane, for which a courier is started; who begins. */
static inline struct courier *
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
static inline void
waits(const char *lane)
{
	int before = n_started;
	turns_lane(&r, lane, 0);
	assert_int_equal(n_started, before);
}

/* The first thread looks; is there anything left to do? */
static inline bool
turns(int *ms)
{
	return turns_turn(&r, ms);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

#endif

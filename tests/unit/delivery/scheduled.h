/* scheduled: a schedule with lanes and hosts, for a group of tests. */
#ifndef POSTERN_SCHEDULED_H
#define POSTERN_SCHEDULED_H

#include "tests/unit/unit.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "delivery/schedule.h"

enum { NOW = 1000, PER_LANE = 3, PER_HOST = 2 };

static struct schedule s;
static const struct exchanger host_a = { .addr = { { 1 } }, .port = 25, .host = "mx.a.example" },
	other_port = { .addr = { { 1 } }, .port = 26 }, host_b = { .addr = { { 2 } }, .port = 25 };

static inline int
enter(void **state)
{
	(void)state;
	schedule_init(&s, PER_HOST);
	return 0;
}

static inline int
leave(void **state)
{
	(void)state;
	schedule_free(&s);
	return 0;
}

static inline void
add(const char *name, int64_t due)
{
	assert_non_null(schedule_lane(&s, name, due));
}

/* The next turn is that of this lane; NULL: nobody's. */
static inline struct schedule_lane *
takes(int64_t now, const char *name)
{
	struct schedule_lane *l = schedule_take(&s, now);
	if (name == NULL)
		assert_null(l);
	else
		assert_string_equal(l != NULL ? l->name : "nobody", name);
	return l;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

#endif

/* schedule: who has had enough connections, and whom one that is there is for. */
#include "tests/unit/delivery/scheduled.h"

static void
test_host_is_full(void **state)
{
	(void)state;
	struct schedule_host *first = schedule_connect(&s, NULL, &host_a),
		*second = schedule_connect(&s, NULL, &host_a);
	assert_ptr_equal(first, second);
	assert_null(schedule_connect(&s, NULL, &host_a));
	assert_non_null(schedule_connect(&s, NULL, &other_port));
	assert_non_null(schedule_connect(&s, NULL, &host_b));
	add("a", 0);
	add("b", 0);
	add("c", 0);
	for (int i = 0; i < 3; i++)
		schedule_wait_for(&s, schedule_take(&s, NOW), &host_a);
	assert_true(schedule_is_waited_for(first));
	takes(NOW, NULL);
	add("a", 0); /* it waits already */
	takes(NOW, NULL);
	/* by the connection that there is, */
	struct schedule_lane *a = schedule_take_at(&s, first);
	assert_string_equal(a->name, "a");
	schedule_done(&s, a, 0);
	/* or by one in its place */
	schedule_disconnect(&s, first, NOW);
	struct schedule_lane *b = takes(NOW, "b");
	takes(NOW, NULL);
	assert_ptr_equal(schedule_connect(&s, NULL, &host_a), first);
	schedule_done(&s, b, 0);
	assert_string_equal(schedule_take_at(&s, first)->name, "c");
	assert_null(schedule_take_at(&s, first));
	assert_false(schedule_is_waited_for(first));
}

/* A host has all its connections, and these lanes wait for it. */
static struct schedule_host *
park(const char *const *names, size_t n)
{
	struct schedule_host *h = NULL;
	for (int i = 0; i < s.per_host; i++)
		assert_non_null(h = schedule_connect(&s, NULL, &host_a));
	for (size_t i = 0; i < n; i++) {
		add(names[i], 0);
		assert_null(schedule_wait_for(&s, takes(NOW, names[i]), &host_a));
	}
	takes(NOW, NULL);
	return h;
}

/*
 * The last connection has ended: whoever goes next may not come here at all, so nobody waits for it
 * alone. As many go as it has room for; as many again a second later, if it has no connection yet.
 */
static void
test_last_connection_ends(void **state)
{
	(void)state;
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g" };
	struct schedule_host *h = park(names, ROWS(names));
	assert_false(schedule_disconnect(&s, h, NOW));
	takes(NOW, "a");
	takes(NOW, NULL);
	assert_false(schedule_is_any_left(&s));
	assert_true(schedule_disconnect(&s, h, NOW));
	assert_true(schedule_is_any_left(&s));
	takes(NOW, "b");
	takes(NOW, "c");
	takes(NOW, NULL);
	assert_int_equal(schedule_next(&s, NOW), NOW + 1);
	/* for one that came and could not stay goes one more */
	assert_ptr_equal(schedule_connect(&s, NULL, &host_a), h);
	assert_false(schedule_disconnect(&s, h, NOW));
	takes(NOW, "d");
	takes(NOW, NULL);
	assert_int_equal(schedule_next(&s, NOW + 1), 0);
	takes(NOW + 1, "e");
	takes(NOW + 1, "f");
	takes(NOW + 1, NULL);
	assert_int_equal(schedule_next(&s, NOW + 1), NOW + 2);
	takes(NOW + 2, "g");
	assert_int_equal(schedule_next(&s, NOW + 2), -1);
	assert_false(schedule_is_any_left(&s));
	assert_null(s.hosts);
}

/* It is there again: by its connections the others go. When they are closed, it begins anew. */
static void
test_host_is_there_again(void **state)
{
	(void)state;
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g" };
	struct schedule_host *h = park(names, ROWS(names));
	for (int i = 0; i < PER_HOST; i++)
		(void)schedule_disconnect(&s, h, NOW);
	takes(NOW, "a");
	takes(NOW, "b");
	takes(NOW, "c");
	assert_ptr_equal(schedule_connect(&s, NULL, &host_a), h);
	takes(NOW + 1, NULL);
	assert_false(schedule_is_any_left(&s));
	assert_int_equal(schedule_next(&s, NOW + 1), -1);
	assert_string_equal(schedule_take_at(&s, h)->name, "d");
	assert_true(schedule_disconnect(&s, h, NOW + 5));
	takes(NOW + 5, "e");
	takes(NOW + 5, "f");
	takes(NOW + 5, NULL);
	takes(NOW - 3600, "g"); /* the clock was set back */
	assert_null(s.hosts);
}

/* Whoever is due before that is not forgotten, nor is that for one who is due later. */
static void
test_left_and_later(void **state)
{
	(void)state;
	static const char *const names[] = { "a", "b", "c", "d" };
	struct schedule_host *h = park(names, ROWS(names));
	add("later", NOW + 60);
	for (int i = 0; i < PER_HOST; i++)
		(void)schedule_disconnect(&s, h, NOW);
	for (size_t i = 0; i < ROWS(names) - 1; i++)
		takes(NOW, names[i]);
	add("soon", NOW);
	assert_int_equal(schedule_next(&s, NOW - 1), NOW);
	takes(NOW, "soon");
	assert_int_equal(schedule_next(&s, NOW), NOW + 1);
	takes(NOW + 1, "d");
	assert_int_equal(schedule_next(&s, NOW + 1), NOW + 60);
}

/* A connection that ended before the lane was put there: it does not wait for nobody. */
static void
test_host_has_room_again(void **state)
{
	(void)state;
	struct schedule_host *h = schedule_connect(&s, NULL, &host_a);
	assert_ptr_equal(schedule_connect(&s, NULL, &host_a), h);
	add("a", 0);
	struct schedule_lane *a = takes(NOW, "a");
	assert_null(schedule_connect(&s, NULL, &host_a));
	schedule_disconnect(&s, h, NOW);
	schedule_disconnect(&s, h, NOW);
	schedule_wait_for(&s, a, &host_a);
	takes(NOW, "a");
	assert_null(s.hosts);
}

/* One of several couriers finds no connection: its lane has others. */
static void
test_one_courier_too_many(void **state)
{
	(void)state;
	struct schedule_host *h = schedule_connect(&s, NULL, &host_a);
	assert_ptr_equal(schedule_connect(&s, NULL, &host_a), h);
	add("a", 0);
	struct schedule_lane *a = takes(NOW, "a");
	schedule_grow(&s, a, PER_LANE);
	takes(NOW, "a");
	schedule_wait_for(&s, a, &host_a);
	assert_int_equal(a->couriers, 1);
	assert_false(schedule_is_waited_for(h));
	schedule_done(&s, a, 0);
	assert_int_equal(s.n, 0);
}

/* So many connections to the host, and a lane of this name that wants one more and waits. */
static struct schedule_host *
fill(int connections, const char *name)
{
	struct schedule_host *h = NULL;
	for (int i = 0; i < connections; i++)
		assert_non_null(h = schedule_connect(&s, NULL, &host_a));
	add(name, 0);
	struct schedule_lane *l = takes(NOW, name);
	assert_null(schedule_connect(&s, l, &host_a));
	assert_null(schedule_wait_for(&s, l, &host_a));
	return h;
}

/* A host that took no further connection gets fewer; for each lane that went well one more again,
 * until it has what any may have. */
static void
test_learned_limit(void **state)
{
	(void)state;
	struct schedule_host *h = NULL;
	s.per_host = 4;
	for (int i = 0; i < 4; i++)
		assert_non_null(h = schedule_connect(&s, NULL, &host_a));
	schedule_refused(h); /* the fourth was, */
	schedule_disconnect(&s, h, NOW);
	assert_null(schedule_connect(&s, NULL, &host_a));
	schedule_refused(h); /* and so was the third */
	schedule_disconnect(&s, h, NOW);
	assert_int_equal(h->limit, 2);
	assert_null(schedule_connect(&s, NULL, &host_a));
	for (int limit = 3; limit <= 5; limit++) {
		assert_false(schedule_went_well(&s, h)); /* nobody waits */
		assert_int_equal(h->limit, limit < 4 ? limit : 4);
	}
	assert_non_null(schedule_connect(&s, NULL, &host_a));
	assert_non_null(schedule_connect(&s, NULL, &host_a));
	assert_null(schedule_connect(&s, NULL, &host_a));
	for (int i = 0; i < 4; i++)
		schedule_disconnect(&s, h, NOW);
	assert_null(s.hosts);
}

/* However often a host refuses, it gets one. */
static void
test_one_connection_is_left(void **state)
{
	(void)state;
	struct schedule_host *h = schedule_connect(&s, NULL, &host_a);
	schedule_refused(h);
	schedule_refused(h);
	assert_int_equal(h->limit, 1);
	assert_null(schedule_connect(&s, NULL, &host_a));
	schedule_disconnect(&s, h, NOW); /* with the last one goes what is known */
	assert_non_null(h = schedule_connect(&s, NULL, &host_a));
	assert_non_null(schedule_connect(&s, NULL, &host_a));
}

/* A host that may have one more connection again gets it for a lane that waits for one. */
static void
test_room_for_one_that_waits(void **state)
{
	(void)state;
	struct schedule_host *h = fill(2, "a");
	schedule_refused(h);
	schedule_disconnect(&s, h, NOW);
	takes(NOW, "a"); /* in the place of the one that was refused */
	assert_null(schedule_connect(&s, NULL, &host_a));
	add("b", 0);
	add("c", 0);
	for (int i = 0; i < 2; i++)
		assert_null(schedule_wait_for(&s, schedule_take(&s, NOW), &host_a));
	takes(NOW, NULL);
	assert_true(schedule_went_well(&s, h));
	takes(NOW, "b");
	takes(NOW, NULL);
	assert_ptr_equal(schedule_connect(&s, NULL, &host_a), h);
	assert_false(schedule_went_well(&s, h)); /* it has what any may have */
	takes(NOW, NULL);
	assert_string_equal(schedule_take_at(&s, h)->name, "c");
}

/* While a connection waits for mail, a lane need not have one of its own; one that has couriers does,
 * for one of them waits there perhaps. */
static void
test_idle_connection(void **state)
{
	(void)state;
	struct schedule_host *h = schedule_connect(&s, NULL, &host_a);
	add("a", 0);
	struct schedule_lane *a = takes(NOW, "a");
	h->idle = 1;
	assert_null(schedule_connect(&s, a, &host_a));
	assert_non_null(schedule_connect(&s, a, &other_port));
	schedule_grow(&s, a, PER_LANE);
	takes(NOW, "a");
	assert_ptr_equal(schedule_connect(&s, a, &host_a), h);
	schedule_disconnect(&s, h, NOW);
	schedule_done(&s, a, 0);
	/* it is told that a lane waits */
	assert_ptr_equal(schedule_wait_for(&s, a, &host_a), h);
	takes(NOW, NULL);
	assert_ptr_equal(schedule_take_at(&s, h), a);
	/* unless it took another one meanwhile: then there is room for one of its own */
	h->idle = 0;
	assert_null(schedule_wait_for(&s, a, &host_a));
	assert_ptr_equal(takes(NOW, "a"), a);
	assert_ptr_equal(schedule_connect(&s, a, &host_a), h);
}

static bool
is_offered(const struct schedule_lane *l, const struct exchanger *to)
{
	return l->offer != NULL && memcmp(l->offer, to, sizeof(*to)) == 0;
}

/* Whoever takes a lane that has waited for a host finds which one, as it was found for this lane. */
static void
test_offer(void **state)
{
	(void)state;
	struct exchanger for_b = host_a;
	struct schedule_host *h = fill(2, "a");
	snprintf(for_b.host, sizeof(for_b.host), "mx.b.example");
	add("b", 0);
	assert_null(schedule_wait_for(&s, takes(NOW, "b"), &for_b));
	struct schedule_lane *a = schedule_take_at(&s, h);
	assert_true(is_offered(a, &host_a));
	assert_null(schedule_wait_for(&s, a, &for_b)); /* the last one counts */
	struct schedule_lane *b = schedule_take_at(&s, h);
	assert_string_equal(b->name, "b");
	assert_true(is_offered(b, &for_b));
	schedule_disconnect(&s, h, NOW);
	a = takes(NOW, "a");
	assert_true(is_offered(a, &for_b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_host_is_full),
		TEST(test_last_connection_ends),
		TEST(test_host_is_there_again),
		TEST(test_left_and_later),
		TEST(test_host_has_room_again),
		TEST(test_one_courier_too_many),
		TEST(test_learned_limit),
		TEST(test_one_connection_is_left),
		TEST(test_room_for_one_that_waits),
		TEST(test_idle_connection),
		TEST(test_offer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

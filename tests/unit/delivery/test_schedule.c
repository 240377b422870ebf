/* schedule: whose turn it is, and who has had enough connections. */
#include "tests/unit/unit.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "delivery/schedule.h"

enum { NOW = 1000, PER_LANE = 3, PER_HOST = 2 };

static struct schedule s;
static const struct exchanger host_a = { .addr = { { 1 } }, .port = 25, .host = "mx.a.example" },
	other_port = { .addr = { { 1 } }, .port = 26 }, host_b = { .addr = { { 2 } }, .port = 25 };

static int
enter(void **state)
{
	(void)state;
	schedule_init(&s, PER_HOST);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	schedule_free(&s);
	return 0;
}

static void
add(const char *name, int64_t due)
{
	assert_non_null(schedule_lane(&s, name, due));
}

/* The next turn is that of this lane; NULL: nobody's. */
static struct schedule_lane *
takes(int64_t now, const char *name)
{
	struct schedule_lane *l = schedule_take(&s, now);
	if (name == NULL)
		assert_null(l);
	else
		assert_string_equal(l != NULL ? l->name : "nobody", name);
	return l;
}

static void
test_in_order_of_time(void **state)
{
	(void)state;
	add("c", NOW + 30);
	add("a", NOW + 10);
	add("d", NOW + 40);
	add("b", NOW + 20);
	add("now", 0);
	assert_int_equal(schedule_next(&s, NOW), 0);
	takes(NOW, "now");
	takes(NOW, NULL);
	assert_int_equal(schedule_next(&s, NOW), NOW + 10);
	takes(NOW + 30, "a");
	takes(NOW + 30, "b");
	takes(NOW + 30, "c");
	takes(NOW + 30, NULL);
	assert_int_equal(schedule_next(&s, NOW + 30), NOW + 40);
	takes(NOW + 40, "d");
	assert_int_equal(schedule_next(&s, NOW + 40), -1);
}

/* An earlier time counts, a later one does not. */
static void
test_told_again(void **state)
{
	(void)state;
	add("a", NOW + 10);
	add("b", NOW + 20);
	add("a", NOW + 30);
	add("b", NOW + 5);
	takes(NOW + 10, "b");
	takes(NOW + 10, "a");
	add("c", NOW + 10);
	add("c", 0);
	add("c", 0);
	add("c", NOW + 1);
	takes(NOW, "c");
	takes(NOW, NULL);
	assert_int_equal(s.n, 3);
}

static void
test_done(void **state)
{
	(void)state;
	add("empty", 0);
	add("waits", 0);
	add("news", 0);
	struct schedule_lane *empty = takes(NOW, "empty"), *waits = takes(NOW, "waits"),
		*news = takes(NOW, "news");
	schedule_done(&s, empty, 0);
	schedule_done(&s, waits, NOW + 60);
	add("news", 0); /* while a courier is there */
	schedule_done(&s, news, 0);
	assert_int_equal(s.n, 2);
	takes(NOW, "news");
	takes(NOW, NULL);
	takes(NOW + 60, "waits");
	takes(NOW + 60, NULL);
}

/* Of several couriers the last one ends the turn; the earliest of their times counts. */
static void
test_several_couriers(void **state)
{
	(void)state;
	add("a", 0);
	struct schedule_lane *a = takes(NOW, "a");
	takes(NOW, NULL);
	schedule_grow(&s, a, PER_LANE);
	schedule_grow(&s, a, PER_LANE); /* not before the one that was asked for is there */
	takes(NOW, "a");
	takes(NOW, NULL);
	schedule_grow(&s, a, PER_LANE);
	takes(NOW, "a");
	schedule_grow(&s, a, PER_LANE); /* more than it may have */
	takes(NOW, NULL);
	assert_int_equal(a->couriers, 3);
	schedule_done(&s, a, NOW + 50);
	takes(NOW, NULL); /* whoever leaves found nothing more: nobody takes its place */
	schedule_done(&s, a, NOW + 20);
	schedule_done(&s, a, 0);
	takes(NOW + 19, NULL);
	a = takes(NOW + 20, "a");
	assert_int_equal(a->couriers, 1);
	schedule_done(&s, a, 0);
	assert_int_equal(s.n, 0);
}

/* Lanes without a courier come before lanes that are worth another one. */
static void
test_first_things_first(void **state)
{
	(void)state;
	add("large", 0);
	struct schedule_lane *large = takes(NOW, "large");
	schedule_grow(&s, large, PER_LANE);
	add("small", 0);
	assert_int_equal(schedule_next(&s, NOW), 0);
	takes(NOW, "small");
	assert_int_equal(schedule_next(&s, NOW), 0);
	schedule_shrink(&s, large); /* the host said 421 */
	assert_int_equal(schedule_next(&s, NOW), -1);
	takes(NOW, NULL);
	schedule_grow(&s, large, PER_LANE);
	takes(NOW, "large");
	takes(NOW, NULL);
}

static void
test_yield(void **state)
{
	(void)state;
	add("large", 0);
	struct schedule_lane *large = takes(NOW, "large");
	add("small", 0);
	schedule_yield(&s, large);
	takes(NOW, "small");
	takes(NOW, "large");
	takes(NOW, NULL);
}

/* Lanes of old, however many, and new mail take turns; each in its order (S2, G6). */
static void
test_new_mail_has_every_second_turn(void **state)
{
	(void)state;
	add("old 1", NOW - 30);
	add("old 2", NOW - 20);
	add("old 3", NOW - 10);
	takes(NOW, "old 1");
	add("new 1", 0);
	add("new 2", 0);
	takes(NOW, "new 1");
	takes(NOW, "old 2");
	struct schedule_lane *l = takes(NOW, "new 2");
	schedule_lane(&s, "new 2", 0); /* more comes meanwhile */
	schedule_done(&s, l, 0);
	takes(NOW, "old 3");
	takes(NOW, "new 2");
	takes(NOW, NULL);
}

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

/* No lane waits for a host that nobody will leave, and to which no second will come. */
static void
is_awake(const void *node, VISIT order, int depth)
{
	const struct schedule_lane *l = *(const struct schedule_lane *const *)node;
	(void)depth;
	if ((order == postorder || order == leaf) && l->place == SCHEDULE_AT_HOST)
		assert_true(l->host->connections > 0 || l->host->left);
}

/*
 * Many lanes of one host, whose connections end at once, again and again. Those that are woken find
 * that it refuses, go elsewhere, wait for it once more, or send their mail; at random. All of them get
 * there, and never are more on their way than it has room for, and as many for each second.
 */
static void
test_left_at_random(void **state)
{
	(void)state;
	enum { LANES = 500, ROUNDS = 40, LIMIT = 5 };
	unsigned seed = 7;
	schedule_init(&s, LIMIT);
	for (int64_t round = 0; round < ROUNDS; round++) {
		int64_t now = NOW;
		unsigned reaches = round % 4 ? (unsigned)rand_r(&seed) % 10 : 0; /* of ten */
		struct schedule_host *h = NULL;
		for (int i = 0; i < LIMIT; i++)
			assert_non_null(h = schedule_connect(&s, NULL, &host_a));
		for (int i = 0; i < LANES; i++) {
			char name[16];
			snprintf(name, sizeof(name), "%d", i);
			add(name, 0);
			schedule_wait_for(&s, schedule_take(&s, now), &host_a);
		}
		assert_int_equal(s.waiting, 0);
		for (int i = 0; i < LIMIT; i++) {
			(void)schedule_disconnect(&s, h, now);
			assert_true(s.waiting <= (size_t)(i < LIMIT - 1 ? i + 1 : 2 * LIMIT));
		}
		for (size_t back = 0; s.n > 0;) { /* ready again, beside those that were woken */
			struct schedule_lane *l = schedule_take(&s, now);
			if (l == NULL) { /* then there is a time, and at that time there is one */
				int64_t next = schedule_next(&s, now);
				assert_in_range(next, now + 1, now + 2);
				now = next;
				back = 0;
				continue;
			}
			bool comes = (unsigned)rand_r(&seed) % 10 < reaches;
			h = comes ? schedule_connect(&s, NULL, &host_a) : NULL;
			if (h != NULL && rand_r(&seed) % 2) /* its mail, and that of some others */
				for (struct schedule_lane *m; rand_r(&seed) % 8 &&
					(m = schedule_take_at(&s, h)) != NULL;)
					schedule_done(&s, m, 0);
			if (h != NULL)
				(void)schedule_disconnect(&s, h, now);
			bool stays = rand_r(&seed) % 8 == 0;
			back += stays;
			if (!stays)
				schedule_done(&s, l, 0);
			else if (rand_r(&seed) % 2)
				schedule_yield(&s, l);
			else
				(void)schedule_wait_for(&s, l, &host_a);
			assert_true(s.waiting <= 2 * LIMIT + back);
			twalk(s.lanes, is_awake);
		}
		assert_null(s.hosts);
	}
}

/* Couriers that are at work: the lane and the host of each. */
enum { BUSY = 50 };
static struct { struct schedule_lane *lane; struct schedule_host *host; } busy[BUSY];
static size_t n_busy;
static unsigned seed;

static int
one_of(int n)
{
	return rand_r(&seed) % n;
}

/* A courier begins with the lane whose turn it is, if its host has room. */
static void
begin_one(int64_t now, bool grows)
{
	struct schedule_lane *l = schedule_take(&s, now);
	if (l == NULL)
		return;
	assert_in_range(l->couriers, 1, PER_LANE);
	struct exchanger to = { .addr = { { (uint8_t)(l->name[0] % 7) } } };
	struct schedule_host *h = schedule_connect(&s, l, &to);
	if (h == NULL) {
		schedule_wait_for(&s, l, &to);
		return;
	}
	assert_in_range(h->connections, 1, PER_HOST);
	busy[n_busy].lane = l;
	busy[n_busy++].host = h;
	if (grows)
		schedule_grow(&s, l, PER_LANE);
}

/* One is done with its lane, and goes on with one that waits for its host, or ends. */
static void
end_one(size_t i, int64_t now)
{
	int64_t next = one_of(2) ? now + one_of(50) : 0;
	if (one_of(4) == 0)
		schedule_yield(&s, busy[i].lane);
	else
		schedule_done(&s, busy[i].lane, next);
	if (one_of(4) == 0)
		schedule_refused(busy[i].host);
	else
		(void)schedule_went_well(&s, busy[i].host);
	busy[i].lane = schedule_take_at(&s, busy[i].host);
	if (busy[i].lane != NULL)
		return;
	schedule_disconnect(&s, busy[i].host, NOW);
	busy[i] = busy[--n_busy];
}

/* All that is left gets its turn. */
static void
end_all(int64_t from)
{
	for (int64_t end = from; n_busy > 0 || schedule_next(&s, end) >= 0; end++) {
		struct schedule_lane *l = schedule_take(&s, end);
		if (l != NULL) {
			schedule_done(&s, l, 0);
			continue;
		}
		if (n_busy == 0)
			continue;
		n_busy--;
		schedule_done(&s, busy[n_busy].lane, 0);
		while ((l = schedule_take_at(&s, busy[n_busy].host)) != NULL)
			schedule_done(&s, l, 0);
		schedule_disconnect(&s, busy[n_busy].host, NOW);
	}
}

/* Many lanes and hosts in any order: no lane is lost, none has two places, no limit is passed. */
static void
test_at_random(void **state)
{
	(void)state;
	enum { LANES = 300, STEPS = 200000, OFTEN = 32 };
	n_busy = 0;
	seed = 1;
	for (int64_t step = 0, now = NOW; step < STEPS; step++) {
		int what = one_of(8);
		char name[16];
		now += what == 0;
		if (step % OFTEN == 0)
			twalk(s.lanes, is_awake);
		if (what < 3) {
			snprintf(name, sizeof(name), "%d", one_of(LANES));
			add(name, what == 0 ? now + one_of(100) : 0);
		} else if (what < 6 && n_busy < BUSY) {
			begin_one(now, what == 3);
		} else if (n_busy > 0) {
			end_one((size_t)one_of((int)n_busy), now);
		}
	}
	end_all(NOW + STEPS);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.later.n, 0);
	assert_null(s.lanes);
	assert_null(s.hosts);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_order_of_time),
		TEST(test_told_again),
		TEST(test_done),
		TEST(test_several_couriers),
		TEST(test_first_things_first),
		TEST(test_yield),
		TEST(test_new_mail_has_every_second_turn),
		TEST(test_host_is_full),
		TEST(test_last_connection_ends),
		TEST(test_host_is_there_again),
		TEST(test_left_and_later),
		TEST(test_left_at_random),
		TEST(test_host_has_room_again),
		TEST(test_one_courier_too_many),
		TEST(test_learned_limit),
		TEST(test_one_connection_is_left),
		TEST(test_room_for_one_that_waits),
		TEST(test_idle_connection),
		TEST(test_offer),
		TEST(test_at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

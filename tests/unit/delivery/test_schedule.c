/* schedule: whose turn it is. */
#include "tests/unit/delivery/scheduled.h"

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
		TEST(test_left_at_random),
		TEST(test_at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* suspects: which messages are tried alone, from several threads (I14). */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "delivery/suspects.h"

static struct suspects s;

static int
enter(void **state)
{
	(void)state;
	suspects_init(&s);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	free(s.v);
	return 0;
}

/* A message is known by its lane and its id: one of several domains is in several lanes. */
static void
test_suspects(void **state)
{
	(void)state;
	assert_false(suspects_any(&s) || suspects_has(&s, "a.example", "1"));
	assert_true(suspects_add(&s, "a.example", "1"));
	assert_false(suspects_add(&s, "a.example", "1"));
	assert_true(suspects_add(&s, "b.example", "1"));
	assert_true(suspects_add(&s, "a.example", "2"));
	suspects_remove(&s, "b.example", "2"); /* there is none */
	suspects_remove(&s, "a.example", "1");
	assert_false(suspects_has(&s, "a.example", "1"));
	assert_true(suspects_has(&s, "b.example", "1") && suspects_has(&s, "a.example", "2"));
	suspects_remove(&s, "a.example", "2");
	suspects_remove(&s, "b.example", "1");
	assert_false(suspects_any(&s));
	assert_true(suspects_add(&s, "a.example", "1")); /* again */
}

/* There is an end to them. */
static void
test_most(void **state)
{
	(void)state;
	char id[ID_SIZE];
	for (int i = 0; i <= SUSPECTS_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		assert_int_equal(suspects_add(&s, "a.example", id), i < SUSPECTS_MAX);
	}
	suspects_remove(&s, "a.example", "7");
	assert_true(suspects_add(&s, "a.example", id));
	assert_int_equal(s.n, SUSPECTS_MAX);
}

enum { THREADS = 4, EACH = 200 };

static void *
suspect(void *lane)
{
	char id[ID_SIZE];
	for (int i = 0; i < EACH; i++) {
		snprintf(id, sizeof(id), "%d", i);
		if (!suspects_add(&s, lane, id) || !suspects_has(&s, lane, id))
			return NULL;
		if (i % 2 > 0)
			suspects_remove(&s, lane, id);
	}
	return lane;
}

static void
test_threads(void **state)
{
	(void)state;
	static char lanes[THREADS][10];
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++) {
		snprintf(lanes[i], sizeof(lanes[i]), "%d.example", i);
		assert_int_equal(pthread_create(&thread[i], NULL, suspect, lanes[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *done;
		assert_int_equal(pthread_join(thread[i], &done), 0);
		assert_ptr_equal(done, lanes[i]);
	}
	assert_int_equal(s.n, THREADS * EACH / 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_suspects),
		TEST(test_most),
		TEST(test_threads),
	};
	return cmocka_run_group_tests_name("suspects", tests, NULL, NULL);
}

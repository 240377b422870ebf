/* resolvers: one for each look-up at a time, and no more of them than that takes. */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "delivery/resolvers.h"

enum { THREADS = 4, EACH = 500 };

static struct resolvers *r;

static int
enter(void **state)
{
	(void)state;
	static const struct conf_servers none;
	r = resolvers_open(&none, "/etc/hosts", "us.example");
	return r == NULL;
}

static int
leave(void **state)
{
	(void)state;
	resolvers_close(r);
	return 0;
}

/* What was given back is taken again. */
static void
test_kept(void **state)
{
	(void)state;
	struct resolver *a = resolvers_take(r), *b = resolvers_take(r);
	assert_true(a != NULL && b != NULL && a != b);
	resolvers_give_back(r, a);
	assert_ptr_equal(resolvers_take(r), a);
	resolvers_give_back(r, b);
	resolvers_give_back(r, a);
	resolvers_give_back(r, NULL); /* there was no memory */
	struct resolver *c = resolvers_take(r), *d = resolvers_take(r);
	assert_true((c == a && d == b) || (c == b && d == a));
	resolvers_give_back(r, c);
	resolvers_give_back(r, d);
}

/* Those in use now, by whatever thread. */
static struct resolver *used[THREADS];

static void *
look_up(void *place)
{
	struct resolver **mine = place;
	for (int i = 0; i < EACH; i++) {
		struct resolver *one = resolvers_take(r);
		if (one == NULL)
			return NULL;
		__atomic_store_n(mine, one, __ATOMIC_SEQ_CST);
		for (int k = 0; k < THREADS; k++)
			if (&used[k] != mine && __atomic_load_n(&used[k], __ATOMIC_SEQ_CST) == one)
				return NULL;
		__atomic_store_n(mine, NULL, __ATOMIC_SEQ_CST);
		resolvers_give_back(r, one);
	}
	return mine;
}

/* Nobody has one that another one has. */
static void
test_threads(void **state)
{
	(void)state;
	pthread_t thread[THREADS];
	struct resolver *all[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, look_up, &used[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		void *done;
		assert_int_equal(pthread_join(thread[i], &done), 0);
		assert_ptr_equal(done, &used[i]);
	}
	for (int i = 0; i < THREADS; i++) { /* each once */
		all[i] = resolvers_take(r);
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(all[i], all[k]);
	}
	for (int i = 0; i < THREADS; i++)
		resolvers_give_back(r, all[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kept),
		TEST(test_threads),
	};
	return cmocka_run_group_tests_name("resolvers", tests, NULL, NULL);
}

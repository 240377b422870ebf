/* sources: whose clients count for one network, and who has a place beside those that are there. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/sources.h"

static uint64_t
network(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_of(text), &a), 0);
	return sources_network(&a);
}

static void
test_network(void **state)
{
	static const struct netaddr nowhere;
	(void)state;
	assert_int_equal(network("192.0.2.1"), network("::ffff:192.0.2.1"));
	assert_int_not_equal(network("192.0.2.1"), network("192.0.2.2"));
	assert_int_not_equal(network("192.0.2.1"), network("193.0.2.1"));
	assert_int_equal(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
	assert_int_not_equal(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
	assert_int_not_equal(network("2001:db8:1:2::1"), network("3001:db8:1:2::1"));
	assert_int_not_equal(network("::1"), SOURCES_NOBODY);
	assert_int_not_equal(sources_network(&nowhere), SOURCES_NOBODY);
}

/* Three workers; two of one network are let in, and the third when one of them has gone. */
static void
test_most(void **state)
{
	struct sources all;
	struct source w[4];
	uint64_t one = network("192.0.2.1"), other = network("192.0.2.2");
	(void)state;
	assert_int_equal(sources_open(&all, 4), 0);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct source){ .all = all, .place = i };
		sources_set(&all, i, SOURCES_NOBODY);
	}
	assert_true(sources_take(&w[0], one, 2));
	assert_true(sources_take(&w[3], one, 2));
	assert_true(sources_take(&w[3], one, 2)); /* the same client */
	assert_false(sources_take(&w[1], one, 2));
	assert_int_equal(sources_get(&all, 1), SOURCES_NOBODY); /* it does not count */
	assert_true(sources_take(&w[1], other, 2));
	sources_leave(&w[1]);
	assert_true(sources_take(&w[1], one, 0)); /* any number; and such ones are not counted */
	assert_false(sources_take(&w[1], one, 2));
	sources_leave(&w[3]);
	assert_true(sources_take(&w[1], one, 2));
	assert_false(sources_take(&w[2], one, 2));
	sources_set(&all, 1, SOURCES_NOBODY); /* it was killed */
	assert_true(sources_take(&w[2], one, 2));
}

/* What a worker writes all others see, and the pool; one that was adopted counts, too. */
static void
test_shared(void **state)
{
	struct sources all;
	uint64_t one = network("192.0.2.1");
	int status;
	(void)state;
	assert_int_equal(sources_open(&all, 2), 0);
	sources_set(&all, 0, SOURCES_NOBODY);
	pid_t pid = fork();
	if (pid == 0) {
		const struct source own = { .all = all, .place = 0 };
		_exit(sources_take(&own, one, 1) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(sources_get(&all, 0), one);
	sources_set(&all, 0, SOURCES_NOBODY);
	sources_set(&all, 1, one);
	const struct source own = { .all = all, .place = 0 };
	assert_false(sources_take(&own, one, 1));
}

/* One that was taken over says that there are more places than there are: nobody looks there. */
static void
test_bounds(void **state)
{
	struct sources all;
	(void)state;
	assert_int_equal(sources_open(&all, 4), 0);
	*(int *)(void *)all.table = INT32_MAX;
	const struct source own = { .all = all, .place = 3 };
	assert_true(sources_take(&own, network("192.0.2.1"), 1));
}

static void
test_no_pool(void **state)
{
	const struct source own = { 0 };
	(void)state;
	assert_true(sources_take(&own, network("192.0.2.1"), 1));
	sources_leave(&own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_no_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

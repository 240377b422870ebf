/* wait: until something is ready, the time is over, a stop was asked for, or the thread is told. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "lib/clock.h"
#include "lib/wait.h"

enum { SOON = 20, LONG = 60000 }; /* ms; nothing here waits until the second is over */

static int full[2], empty[2], told; /* pipes with something in them and with nothing; an eventfd */

static int
enter(void **state)
{
	(void)state;
	told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return pipe2(full, O_CLOEXEC) < 0 || pipe2(empty, O_CLOEXEC) < 0 || told < 0 ||
		write(full[1], "x", 1) != 1;
}

static int
leave(void **state)
{
	(void)state;
	wait_until_told(-1);
	for (int i = 0; i < 2; i++) {
		close(full[i]);
		close(empty[i]);
	}
	return close(told);
}

#define WAITS(f) cmocka_unit_test_setup_teardown(f, enter, leave)

/* The same with nobody to tell anything, and with somebody who is silent. */
static void
test_ready(void **state)
{
	(void)state;
	const int whom[] = { -1, told };
	volatile int stop = 0;
	for (size_t i = 0; i < ROWS(whom); i++) {
		wait_until_told(whom[i]);
		assert_int_equal(wait_told_by(), whom[i]);
		assert_int_equal(wait_which(full[0], POLLIN, clock_ms() + LONG, &stop), POLLIN);
		assert_int_equal(wait_which(empty[1], POLLOUT, clock_ms() + LONG, NULL), POLLOUT);
		assert_int_equal(wait_for(full[0], POLLIN, clock_ms() + LONG, &stop), 0);
		assert_true(wait_is_ready(full[0], POLLIN));
		assert_false(wait_is_ready(empty[0], POLLIN));
		int64_t deadline = clock_ms() + SOON;
		assert_int_equal(wait_for(empty[0], POLLIN, deadline, &stop), -ETIMEDOUT);
		assert_true(clock_ms() >= deadline);
		stop = 1;
		assert_int_equal(wait_for(full[0], POLLIN, clock_ms() + LONG, &stop), -ECANCELED);
		stop = 0;
	}
}

/* It is as if the time were over: for what is ready, too, and until what was told is taken back. */
static void
test_told(void **state)
{
	(void)state;
	volatile int stop = 1;
	int64_t deadline = clock_ms() + LONG;
	wait_until_told(told);
	wait_tell(told);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(wait_for(empty[0], POLLIN, deadline, NULL), -ETIMEDOUT);
		assert_int_equal(wait_which(full[0], POLLIN, deadline, NULL), -ETIMEDOUT);
		assert_int_equal(wait_which(full[1], POLLOUT, CLOCK_NEVER, NULL), -ETIMEDOUT);
		assert_int_equal(wait_for(empty[0], POLLIN, deadline, &stop), -ECANCELED);
	}
	assert_true(clock_ms() < deadline);
	wait_until_told(-1);
	assert_int_equal(wait_which(full[0], POLLIN, deadline, NULL), POLLIN);
	wait_until_told(told);
	assert_int_equal(wait_which(full[0], POLLIN, deadline, NULL), -ETIMEDOUT);
	wait_forget(told);
	assert_int_equal(wait_which(full[0], POLLIN, deadline, NULL), POLLIN);
}

struct other {
	int before, waited, told_by;
	bool until_told;
};

static void *
wait_elsewhere(void *arg)
{
	struct other *o = arg;
	o->told_by = wait_told_by();
	o->before = wait_which(full[0], POLLIN, clock_ms() + LONG, NULL);
	if (o->until_told) {
		wait_until_told(told);
		o->waited = wait_for(empty[0], POLLIN, CLOCK_NEVER, NULL);
	}
	return NULL;
}

/* Each thread is told by its own, and by nobody at first. */
static void
test_threads(void **state)
{
	(void)state;
	pthread_t thread;
	struct other o = { .until_told = false };
	wait_until_told(told);
	wait_tell(told);
	assert_int_equal(pthread_create(&thread, NULL, wait_elsewhere, &o), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(o.told_by, -1);
	assert_int_equal(o.before, POLLIN);

	/* One that waits for ever is woken, whether it waits yet or not. */
	wait_forget(told);
	wait_until_told(-1);
	o.until_told = true;
	assert_int_equal(pthread_create(&thread, NULL, wait_elsewhere, &o), 0);
	wait_tell(told);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(o.waited, -ETIMEDOUT);
	assert_int_equal(wait_told_by(), -1);
	assert_int_equal(wait_which(full[0], POLLIN, clock_ms() + LONG, NULL), POLLIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WAITS(test_ready),
		WAITS(test_told),
		WAITS(test_threads),
	};
	return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}

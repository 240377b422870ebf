/*
 * lock: one owner or many readers, positions that do not meet, and no lock outlives its file (I15,
 * I16).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "lib/lock.h"

enum { OPEN = 4 };

static int fd[OPEN]; /* the same file, opened four times */

static int
set_up(void **state)
{
	(void)state;
	char name[] = "/tmp/postern-lock-XXXXXX";
	fd[0] = mkstemp(name);
	for (int i = 1; i < OPEN; i++)
		fd[i] = open(name, O_RDWR | O_CLOEXEC);
	unlink(name);
	return fd[OPEN - 1] < 0 ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < OPEN; i++)
		close(fd[i]);
	return 0;
}

static void
test_owner(void **state)
{
	(void)state;
	assert_int_equal(lock_exclusive(fd[0], 0, LOCK_WHOLE), 0);
	assert_int_equal(lock_exclusive(fd[0], 0, LOCK_WHOLE), 0); /* it has it already */
	assert_int_equal(lock_exclusive(fd[1], 0, LOCK_WHOLE), -EAGAIN);
	assert_int_equal(lock_exclusive(fd[1], INT64_C(1) << 62, 1), -EAGAIN);
	assert_int_equal(lock_shared(fd[1], 0, 1), -EAGAIN);
	lock_release(fd[1], 0, LOCK_WHOLE); /* not its own */
	assert_int_equal(lock_exclusive(fd[1], 0, 1), -EAGAIN);
	lock_release(fd[0], 0, LOCK_WHOLE);
	assert_int_equal(lock_exclusive(fd[1], 0, 1), 0);
}

static void
test_readers(void **state)
{
	(void)state;
	assert_int_equal(lock_shared(fd[0], 0, LOCK_WHOLE), 0);
	assert_int_equal(lock_shared(fd[1], 0, LOCK_WHOLE), 0);
	assert_int_equal(lock_exclusive(fd[2], 5, 1), -EAGAIN);
	lock_release(fd[0], 0, LOCK_WHOLE);
	assert_int_equal(lock_exclusive(fd[2], 5, 1), -EAGAIN);
	lock_release(fd[1], 0, LOCK_WHOLE);
	assert_int_equal(lock_exclusive(fd[2], 5, 1), 0);
	assert_int_equal(lock_shared(fd[0], 6, 1), 0);
	assert_int_equal(lock_shared(fd[0], 4, 2), -EAGAIN);
}

static void
test_any(void **state)
{
	(void)state;
	assert_int_equal(lock_any(fd[0], 100, 2), 0);
	assert_int_equal(lock_any(fd[1], 100, 2), 1);
	assert_int_equal(lock_any(fd[2], 100, 2), -EAGAIN);
	assert_int_equal(lock_any(fd[2], 100, 0), -EAGAIN);
	assert_int_equal(lock_any(fd[2], 102, 1), 0);
	close(fd[0]); /* as a kill would */
	fd[0] = dup(fd[3]);
	assert_int_equal(lock_any(fd[3], 100, 2), 0);
	assert_int_equal(lock_any(-1, 0, 1), -EBADF);
}

static void
test_taken(void **state)
{
	(void)state;
	assert_int_equal(lock_taken(fd[0], 0, LOCK_WHOLE), 0);
	assert_int_equal(lock_exclusive(fd[0], 7, 1), 0);
	assert_int_equal(lock_taken(fd[0], 0, LOCK_WHOLE), 0); /* by itself */
	assert_int_equal(lock_taken(fd[1], 0, LOCK_WHOLE), 1);
	assert_int_equal(lock_taken(fd[1], 7, 1), 1);
	assert_int_equal(lock_taken(fd[1], 0, 7), 0);
	assert_int_equal(lock_taken(fd[1], 8, LOCK_WHOLE), 0);
	assert_int_equal(lock_exclusive(fd[1], 7, 1), -EAGAIN); /* to ask takes nothing */
	assert_int_equal(lock_taken(-1, 0, 1), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_any, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}

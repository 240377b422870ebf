/*
 * lock: one owner or many readers, positions that do not meet, and no lock outlives its file (I15,
 * I16).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* Closes one of them, and opens it anew. */
static void
let_go(int i)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[i]);
	int again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again >= 0);
	close(fd[i]);
	fd[i] = again;
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
	let_go(1); /* not its own */
	assert_int_equal(lock_exclusive(fd[1], 0, 1), -EAGAIN);
	let_go(0);
	assert_int_equal(lock_exclusive(fd[1], 0, 1), 0);
}

static void
test_readers(void **state)
{
	(void)state;
	assert_int_equal(lock_shared(fd[0], 0, LOCK_WHOLE), 0);
	assert_int_equal(lock_shared(fd[1], 0, LOCK_WHOLE), 0);
	assert_int_equal(lock_exclusive(fd[2], 5, 1), -EAGAIN);
	let_go(0);
	assert_int_equal(lock_exclusive(fd[2], 5, 1), -EAGAIN);
	let_go(1);
	assert_int_equal(lock_exclusive(fd[2], 5, 1), 0);
	assert_int_equal(lock_shared(fd[0], 6, 1), 0);
	assert_int_equal(lock_shared(fd[0], 4, 2), -EAGAIN);
}

/* As a kill would, the end of who has it gives it back; another name of the open file keeps it. */
static void
test_closed(void **state)
{
	(void)state;
	int same = dup(fd[0]);
	assert_int_equal(lock_exclusive(fd[0], 100, 2), 0);
	assert_int_equal(lock_exclusive(same, 100, 2), 0);
	assert_int_equal(lock_exclusive(fd[1], 101, 1), -EAGAIN);
	assert_int_equal(lock_exclusive(fd[1], 102, 1), 0);
	let_go(0);
	assert_int_equal(lock_exclusive(fd[2], 100, 2), -EAGAIN);
	close(same);
	assert_int_equal(lock_exclusive(fd[2], 100, 2), 0);
	assert_int_equal(lock_exclusive(-1, 0, 1), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}

/* helper: programs that answer in their own way. A child plays the monitor and its programs. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "session/helper.h"

enum { ASKED = 2000, PATIENCE = 120 };

static int monitor = -1;
static pid_t child;

/* Each time "OK", and gone: whether the question came before that or not. */
static void
answer_all(int requests)
{
	struct request r;
	int fds[REQUEST_FDS], n;
	while (request_receive(requests, &r, fds, &n) > 0) {
		(void)!write(fds[0], "OK\n", 3);
		close(fds[0]);
	}
	_exit(EXIT_SUCCESS);
}

static int
setup(void **state)
{
	int pair[2];
	(void)state;
	if (request_pair(pair) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		close(pair[1]);
		answer_all(pair[0]);
	}
	close(pair[0]);
	monitor = pair[1];
	return child < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(monitor);
	return waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* A program need not read the question to know the answer. */
static void
test_check_unread(void **state)
{
	(void)state;
	char text[CHECK_TEXT];
	for (int i = 0; i < ASKED; i++)
		assert_int_equal(helper_check(monitor, REQUEST_CHECK_SENDER, span_of("sender x\n"),
					 clock_deadline(PATIENCE), NULL, text), CHECK_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_unread),
	};
	return cmocka_run_group_tests_name("helper", tests, setup, teardown);
}

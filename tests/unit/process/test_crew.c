/*
 * crew: workers that end before they had a client are not started again without a pause; a crash is
 * a fault of their own, which to be killed is not.
 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/crew.h"

static struct conf conf;

/* Ends as it is told: by a status, or (negative) by a signal. */
static int
work(void *ctx, int monitor, enum pool_role role, const struct source *own)
{
	const int *end = ctx;
	(void)own;
	(void)monitor;
	(void)role;
	if (*end < 0) {
		signal(-*end, SIG_DFL); /* cmocka has handlers */
		raise(-*end);
	}
	return *end;
}

/* A worker that ends so; `begun` clients it had, and is in this state then. Is that a failure? */
static bool
fails(int end, enum pool_role role, int64_t begun, enum worker_state state)
{
	struct crew c = { .conf = &conf, .work = work, .ctx = &end };
	int status;
	assert_int_equal(crew_open(&c, 0), 0);
	assert_true(crew_start(&c, role));
	struct worker *w = &c.workers[0];
	pid_t pid = w->pid;
	w->begun = begun;
	crew_become(&c, w, state);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(crew_bury(&c, pid, status));
	assert_false(crew_bury(&c, pid, status));
	assert_int_equal(crew_alive(&c), 0);
	assert_int_equal(c.crashes, end == -SIGSEGV || end == -SIGABRT);
	bool failed = c.failures == 1 && c.pause > 0;
	assert_true(failed || (c.failures == 0 && c.pause == 0));
	crew_close(&c);
	return failed;
}

static void
test_failures(void **state)
{
	(void)state;
	assert_true(fails(1, POOL_WORKER, 0, WAITING));
	assert_true(fails(0, POOL_WORKER, 0, WAITING)); /* well, and without a reason */
	assert_true(fails(-SIGKILL, POOL_WORKER, 0, WAITING));
	assert_true(fails(-SIGSEGV, POOL_WORKER, 0, WAITING));
	assert_true(fails(0, POOL_REFUSER, 0, REFUSING));
	assert_false(fails(0, POOL_WORKER, 0, LEAVING)); /* it was told to */
	assert_false(fails(0, POOL_WORKER, 1, WAITING)); /* it has done its part */
	assert_false(fails(-SIGKILL, POOL_WORKER, 1, BUSY));
	assert_false(fails(-SIGABRT, POOL_WORKER, 1, BUSY));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures),
	};
	conf.busy.sessions = 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

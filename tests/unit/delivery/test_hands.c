/* hands: a courier that dies by a fault of its own is known by its number. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/hands.h"

enum { COURIERS = 3, ANOTHER = 1, AT_FAULT = 2 };

static struct hands *hands;
static int fault;

static void *
rest(void *unused)
{
	hands_sign(hands, ANOTHER);
	pause();
	return unused;
}

static void *
die(void *unused)
{
	static volatile char *volatile nowhere;
	hands_sign(hands, AT_FAULT);
	if (fault == SIGSEGV)
		*nowhere = 0;
	if (fault == SIGABRT)
		abort();
	for (;;) /* a fault comes again when it was handled */
		raise(fault);
	return unused;
}

/* As a courier is: with all signals blocked (courier.c). */
static void
start(void *(*run)(void *))
{
	pthread_t thread;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		_exit(EXIT_FAILURE);
}

/* Who is to blame, after one of two threads has died so. */
static int
blamed_for(int number)
{
	static const struct rlimit no_core = { 0, 0 };
	int status;
	fault = number;
	hands->died_by = -1;
	pid_t pid = fork();
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		start(rest);
		start(die);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), number);
	return hands->died_by;
}

static void
test_faults(void **state)
{
	(void)state;
#ifdef POSTERN_INSTRUMENTED
	skip(); /* the checkers have handlers of their own */
#endif
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	hands = hands_new(COURIERS, 1);
	assert_non_null(hands);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_int_equal(blamed_for(faults[i]), AT_FAULT);
	assert_int_equal(blamed_for(SIGKILL), -1);
	hands_free(hands);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* hands: who had what in hand, told by memory in which anything may stand (M12). */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "delivery/hands.h"

enum { COURIERS = 3, PLACES = 2, ANOTHER = 1, AT_FAULT = 2 };

#define LANE  "d.example"
#define FIRST "0123456789abcdefghjk"
#define OTHER "1123456789abcdefghjk"

static struct hands *h;
static int fault;

static int
enter(void **state)
{
	(void)state;
	h = hands_new(COURIERS, PLACES);
	return h == NULL;
}

static int
leave(void **state)
{
	(void)state;
	hands_free(h);
	return 0;
}

static int
count(void)
{
	int n = 0;
	for (struct hands_suspect s = { .number = 0 }; hands_next(h, &s);)
		n++;
	return n;
}

static void
test_what_is_in_hand(void **state)
{
	struct hands_suspect s = { .number = 0 };
	(void)state;
	assert_int_equal(count(), 0);
	hands_take(h, 2, 0, LANE, FIRST);
	hands_take(h, 2, 1, LANE, OTHER);
	hands_put_down(h, 2, 0);
	hands_take(h, 0, 1, LANE, FIRST);
	assert_int_equal(count(), 2);
	h->shared->died_by = 2;
	assert_int_equal(count(), 1);
	assert_true(hands_next(h, &s));
	assert_string_equal(s.id, OTHER);
	assert_string_equal(s.lane, LANE);
	hands_clear(h);
	assert_int_equal(h->shared->died_by, -1);
	assert_int_equal(count(), 0);
}

/* Who died may have been in another's power: all that it could write to says nonsense. */
static void
test_nonsense(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	(void)state;
	for (int octet = 0; octet <= 0xff; octet++) {
		memset(h->shared, octet, page); /* it has that at least */
		assert_int_equal(count(), 0);
		h->shared->died_by = -1;
		assert_int_equal(count(), 0);
		hands_clear(h);
		hands_take(h, COURIERS - 1, PLACES - 1, LANE, FIRST);
		assert_int_equal(count(), 1);
	}
}

/* ---- a courier that dies by a fault of its own is known by its number ---------------------- */

static void *
rest(void *unused)
{
	hands_sign(h, ANOTHER);
	pause();
	return unused;
}

static void *
die(void *unused)
{
	static volatile char *volatile nowhere;
	hands_sign(h, AT_FAULT);
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
	h->shared->died_by = -1;
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
	return h->shared->died_by;
}

static void
test_faults(void **state)
{
	(void)state;
#ifdef POSTERN_INSTRUMENTED
	skip(); /* the checkers have handlers of their own */
#endif
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		assert_int_equal(blamed_for(faults[i]), AT_FAULT);
	assert_int_equal(blamed_for(SIGKILL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_in_hand, enter, leave),
		cmocka_unit_test_setup_teardown(test_nonsense, enter, leave),
		cmocka_unit_test_setup_teardown(test_faults, enter, leave),
	};
	return cmocka_run_group_tests_name("hands", tests, NULL, NULL);
}

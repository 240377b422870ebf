/* hands: who had what in hand, told by memory in which anything may stand (M12). */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "delivery/hands.h"

enum { COURIERS = 3, PLACES = 2, SECONDS = 30 };

#define LANE  "d.example"
#define FIRST "0123456789abcdefghjk"
#define OTHER "1123456789abcdefghjk"

static struct hands *h;

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

/* ---- a process that dies ------------------------------------------------------------------- */

static void
touch_nothing(void)
{
	volatile char *volatile nothing = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*nothing = 'x';
}

static void
be_killed(void)
{
	raise(SIGKILL);
}

struct death {
	void (*die)(void);
	int signal;
	int suspected; /* so many messages */
};

/* A courier: it has a message in hand, and waits; but the one in the middle dies. */
struct one {
	int number;
	void (*die)(void);
	pthread_barrier_t *ready;
};

static void *
work(void *context)
{
	const struct one *one = context;
	hands_sign(h, one->number);
	hands_take(h, one->number, 0, LANE, FIRST);
	pthread_barrier_wait(one->ready);
	if (one->number == 1)
		one->die();
	pause();
	return NULL;
}

static void
run_and_die(void (*die)(void))
{
	static struct one all[COURIERS];
	static pthread_barrier_t ready;
	pthread_t thread[COURIERS];
	alarm(SECONDS); /* whoever does not die ends all the same */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	pthread_barrier_init(&ready, NULL, COURIERS);
	for (int i = 0; i < COURIERS; i++) {
		all[i] = (struct one){ i, die, &ready };
		if (pthread_create(&thread[i], NULL, work, &all[i]) != 0)
			_exit(1);
	}
	pause();
	_exit(1);
}

/* Whose fault it was is known, unless nobody could tell: then all are suspected. */
static void
test_death(void **state)
{
	(void)state;
	static const struct death rows[] = {
		{ touch_nothing, SIGSEGV, 1 },
		{ abort, SIGABRT, 1 },
		{ be_killed, SIGKILL, COURIERS },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		int status;
		hands_clear(h);
		pid_t pid = fork();
		if (pid == 0)
			run_and_die(rows[i].die);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), rows[i].signal);
		assert_int_equal(h->shared->died_by, rows[i].suspected == 1 ? 1 : -1);
		assert_int_equal(count(), rows[i].suspected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_in_hand, enter, leave),
		cmocka_unit_test_setup_teardown(test_nonsense, enter, leave),
		cmocka_unit_test_setup_teardown(test_death, enter, leave),
	};
	return cmocka_run_group_tests_name("hands", tests, NULL, NULL);
}

/* hands: what is known of who had what in hand when a relay has died (I14, M12). */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "delivery/hands.h"

enum { COURIERS = 3, SECONDS = 30 };

static const char *const ids[COURIERS] = { "00000000000000000001", "00000000000000000002",
	"00000000000000000003" };

static struct hands *h;

static int
enter(void **state)
{
	(void)state;
	h = hands_new(COURIERS);
	return h == NULL;
}

static int
leave(void **state)
{
	(void)state;
	hands_free(h);
	return 0;
}

/* Those that are suspected: "12", by their numbers. */
static void
suspected(const char *want)
{
	char got[COURIERS + 1] = "";
	size_t n = 0;
	for (int i = 0; i < COURIERS; i++) {
		struct hand hand;
		if (!hands_is_suspect(h, i, &hand))
			continue;
		got[n++] = (char)('0' + i);
		assert_string_equal(hand.id, ids[i]);
		assert_string_equal(hand.lane, "d.example");
	}
	assert_string_equal(got, want);
}

static void
test_in_hand(void **state)
{
	(void)state;
	suspected("");
	for (int i = 0; i < COURIERS; i++)
		hands_take(h, i, "d.example", ids[i]);
	suspected("012");
	hands_put_down(h, 1);
	suspected("02");
	hands_put_down(h, 1);
	h->died_by = 1; /* who had nothing in hand */
	suspected("");
	h->died_by = 2;
	suspected("2");
	hands_clear(h);
	suspected("");
	for (int i = 0; i < COURIERS; i++)
		hands_take(h, i, "d.example", ids[i]);
	suspected("012"); /* and who died is forgotten */
}

/* What a process left that went wrong may be anything. */
static void
test_odd(void **state)
{
	(void)state;
	struct hand hand;
	hands_take(h, 0, "d.example", "../../../etc/passwd.");
	hands_take(h, 1, "../d.example", ids[1]);
	memset(&h->v[2], 'a', sizeof(h->v[2])); /* neither ends */
	suspected("");
	assert_false(hands_is_suspect(h, 2, &hand));
	assert_int_equal(hand.id[sizeof(hand.id) - 1], '\0');
	assert_int_equal(hand.lane[sizeof(hand.lane) - 1], '\0');
}

/* The longest name there is. */
static void
test_long_name(void **state)
{
	(void)state;
	struct hand hand;
	char name[LANE_NAME_SIZE];
	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	name[sizeof(name) - 1] = '\0';
	while (!lane_name_valid(span_of(name)))
		name[strlen(name) - 1] = '\0';
	assert_true(strlen(name) > 200);
	hands_take(h, 0, name, ids[0]);
	assert_true(hands_is_suspect(h, 0, &hand));
	assert_string_equal(hand.lane, name);
}

/* ---- a process that dies ------------------------------------------------------------------- */

static void
touch_nothing(void)
{
	volatile char *volatile nowhere = NULL;
	*nowhere = 'x';
}

static void
be_killed(void)
{
	raise(SIGKILL);
}

struct death {
	void (*die)(void);
	int signal;
	const char *suspected;
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
	hands_take(h, one->number, "d.example", ids[one->number]);
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
		{ touch_nothing, SIGSEGV, "1" },
		{ abort, SIGABRT, "1" },
		{ be_killed, SIGKILL, "012" },
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
		suspected(rows[i].suspected);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_hand),
		TEST(test_odd),
		TEST(test_long_name),
#ifndef POSTERN_INSTRUMENTED /* where faults belong to the checker */
		TEST(test_death),
#endif
	};
	return cmocka_run_group_tests_name("hands", tests, NULL, NULL);
}

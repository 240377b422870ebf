/* quota: counts of a network, in a table that many use and nobody owns (I2, J18, K13). */
#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/quota.h"

static void *table; /* as it is mapped by all */

enum { MANY = 20000, WINDOW = 600 };

/* No window ends but when the test says so. The linker puts this in the place of clock_wall. */
static int64_t now = 1000000000;
int64_t __wrap_clock_wall(void);

int64_t
__wrap_clock_wall(void)
{
	return now;
}


static int
setup(void **state)
{
	(void)state;
	table = mmap(NULL, QUOTA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return table == MAP_FAILED ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return munmap(table, QUOTA_SIZE);
}

/* Network number i, in a table that was opened. */
static void
client(struct quota *q, unsigned i, int64_t window)
{
	struct netaddr a;
	char text[20];
	snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
	assert_int_equal(netaddr_parse(span_of(text), &a), 0);
	quota_client(q, &a, window);
}

static void
test_counts(void **state)
{
	(void)state;
	struct quota q, same, none = { 0 };
	assert_int_equal(quota_add(&none, QUOTA_ERRORS, 1), 0);
	quota_begin(&q, table);
	assert_int_equal(quota_add(&q, QUOTA_ERRORS, 1), 0); /* of nobody */
	client(&q, MANY + 1, WINDOW);
	quota_begin(&same, table);
	client(&same, MANY + 1, WINDOW);
	assert_int_equal(quota_add(&q, QUOTA_ERRORS, 2), 2);
	assert_int_equal(quota_add(&same, QUOTA_ERRORS, 1), 3);
	assert_int_equal(quota_count(&q, QUOTA_ERRORS), 3);
	assert_int_equal(quota_count(&q, QUOTA_MESSAGES), 0);
}

/* S10: what is taken is counted at once, up to the limit; what is given back is free again. */
static void
test_take(void **state)
{
	(void)state;
	struct quota one, two, none = { 0 };
	struct quota_held first = { 0 }, second = { 0 };
	quota_begin(&one, table);
	quota_begin(&two, table);
	client(&one, MANY + 3, WINDOW);
	client(&two, MANY + 3, WINDOW);
	assert_true(quota_take(&none, QUOTA_MESSAGES, 1, &first)); /* nothing is counted */
	assert_int_equal(first.n, 0);
	assert_true(quota_take(&one, QUOTA_MESSAGES, 3, &first));
	assert_true(quota_take(&one, QUOTA_MESSAGES, 3, &first));
	assert_true(quota_take(&two, QUOTA_MESSAGES, 3, &second));
	assert_false(quota_take(&two, QUOTA_MESSAGES, 3, &second));
	assert_int_equal(second.n, 1);
	quota_give_back(&one, QUOTA_MESSAGES, &first);
	quota_give_back(&one, QUOTA_MESSAGES, &first); /* there is nothing left to give */
	assert_int_equal(quota_count(&one, QUOTA_MESSAGES), 1);
	assert_true(quota_take(&one, QUOTA_MESSAGES, 0, &first));
	assert_int_equal(quota_count(&one, QUOTA_MESSAGES), 2);
	first.n = 1000; /* more than there is: another network had the place */
	quota_give_back(&one, QUOTA_MESSAGES, &first);
	assert_int_equal(quota_count(&one, QUOTA_MESSAGES), 0);
}

/* S10: what was taken in a window that is over is not taken from the one that came after it. */
static void
test_take_of_another_window(void **state)
{
	(void)state;
	struct quota q;
	struct quota_held held = { 0 };
	quota_begin(&q, table);
	client(&q, MANY + 4, WINDOW);
	assert_true(quota_take(&q, QUOTA_MESSAGES, 0, &held));
	held.window--;
	quota_give_back(&q, QUOTA_MESSAGES, &held);
	assert_int_equal(quota_count(&q, QUOTA_MESSAGES), 1);
	held = (struct quota_held){ .n = 5, .window = 1 };
	assert_true(quota_take(&q, QUOTA_MESSAGES, 0, &held));
	assert_int_equal(held.n, 1); /* the five are over */
}

/* S10: of many that ask at once no more are told yes than there is room for. */
static void
test_take_together(void **state)
{
	(void)state;
	enum { PROCESSES = 8, TRIES = 2000, LIMIT = 1000 };
	struct quota q;
	pid_t pid[PROCESSES];
	int told_yes = 0;
	quota_begin(&q, table);
	client(&q, MANY + 5, WINDOW);
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			struct quota_held held = { 0 };
			for (int k = 0; k < TRIES; k++)
				(void)quota_take(&q, QUOTA_MESSAGES, LIMIT, &held);
			_exit((int)(held.n * 255 / LIMIT));
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		told_yes += WEXITSTATUS(status);
	}
	assert_int_equal(quota_count(&q, QUOTA_MESSAGES), LIMIT);
	assert_true(told_yes <= 255);
}

/* The mark of every place, whoever has it: that one is being given away. */
static void
mark_all(uint32_t mark)
{
	enum { SLOT = QUOTA_SIZE / QUOTA_NETWORKS, BEHIND = 8 + 4 * QUOTA_KINDS };
	for (char *at = (char *)table + BEHIND; at < (char *)table + QUOTA_SIZE; at += SLOT)
		memcpy(at, &mark, sizeof(mark));
}

/* What somebody else does while this process waits for the place to be given. */
static void (*meanwhile)(void);
static int waits;
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask);
int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask);

int
__wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask)
{
	waits++;
	if (meanwhile != NULL)
		meanwhile();
	return __real_ppoll(fds, n, time, mask);
}

static void
give_it_to_the_same_network(void)
{
	struct quota q;
	mark_all(0);
	quota_begin(&q, table);
	client(&q, MANY + 6, WINDOW);
	assert_int_equal(quota_add(&q, QUOTA_MESSAGES, 5), 5);
}

/* S10: two of a network that come at once have one place, and what the first counted stays. */
static void
test_given_once(void **state)
{
	(void)state;
	struct quota q;
	quota_begin(&q, table);
	client(&q, MANY + 6, WINDOW);
	mark_all(1);
	waits = 0;
	meanwhile = give_it_to_the_same_network;
	assert_int_equal(quota_add(&q, QUOTA_MESSAGES, 1), 6);
	assert_int_equal(waits, 1);
	/* whoever was killed at it holds up one client, for a moment */
	client(&q, MANY + 7, WINDOW);
	mark_all(1);
	meanwhile = NULL;
	assert_int_equal(quota_add(&q, QUOTA_MESSAGES, 1), 1);
	int held_up = waits;
	assert_true(held_up > 1 && held_up <= 1000);
	assert_int_equal(quota_add(&q, QUOTA_MESSAGES, 1), 2);
	assert_int_equal(waits, held_up);
	mark_all(0);
}

/* A /64 is one customer, and so is an IPv4 address (I2). */
static void
test_networks(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "2001:db8:0:1::1", "2001:db8:0:1::1", true },
		{ "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true },
		{ "2001:db8:0:1::1", "2001:db8:0:2::1", false },
		{ "2001:db8:0:1::1", "2001:db9:0:1::1", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "192.0.3.1", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct quota q;
		struct netaddr a, b;
		/* Windows of its own for each row: what was counted before is not seen. */
		int64_t window = 1000000 + (int64_t)i;
		quota_begin(&q, table);
		assert_int_equal(netaddr_parse(span_of(rows[i].a), &a), 0);
		assert_int_equal(netaddr_parse(span_of(rows[i].b), &b), 0);
		quota_client(&q, &a, window);
		int64_t n = quota_add(&q, QUOTA_ERRORS, 1);
		quota_client(&q, &b, window);
		if ((quota_add(&q, QUOTA_ERRORS, 1) == n + 1) != rows[i].same)
			fail_msg("%s, %s", rows[i].a, rows[i].b);
	}
}

/* A network whose place was taken is not counted for the one that has it now. */
static void
test_place_lost(void **state)
{
	(void)state;
	struct quota old, q;
	quota_begin(&old, table);
	quota_begin(&q, table);
	client(&old, MANY, WINDOW);
	quota_add(&old, QUOTA_ERRORS, 1);
	for (unsigned i = 0; i < MANY; i++) {
		client(&q, i, WINDOW);
		quota_add(&q, QUOTA_ERRORS, 2);
	}
	quota_add(&old, QUOTA_ERRORS, 1000);
	for (unsigned i = MANY; i-- > 0;) {
		client(&q, i, WINDOW);
		assert_true(quota_count(&q, QUOTA_ERRORS) <= 2);
	}
}

/* A connection that lasts is counted in the window of the moment. */
static void
test_window(void **state)
{
	(void)state;
	struct quota q;
	quota_begin(&q, table);
	client(&q, MANY + 2, WINDOW);
	quota_add(&q, QUOTA_MESSAGES, 5);
	now += WINDOW - now % WINDOW - 1; /* to its last second */
	assert_int_equal(quota_count(&q, QUOTA_MESSAGES), 5);
	now++;
	assert_int_equal(quota_count(&q, QUOTA_MESSAGES), 0);
	assert_int_equal(quota_add(&q, QUOTA_MESSAGES, 1), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_place_lost),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_take_of_another_window),
		cmocka_unit_test(test_take_together),
		cmocka_unit_test(test_given_once),
		cmocka_unit_test(test_networks),
	};
	return cmocka_run_group_tests_name("quota", tests, setup, teardown);
}

/* idle: who waits for mail with its connection open, and what ends that (S2). */
#include "tests/unit/unit.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "delivery/idle.h"
#include "lib/clock.h"
#include "lib/wait.h"

enum { N = 3, LONG = 60000 }; /* ms; nothing here waits until it is over */

static struct turns t;
static struct courier c[N];
static struct schedule_host host[2];
static struct schedule_lane lane[N];
static int far[N];

/* The first two are at one host, the last is at another; each waits at a lane of its own. */
static int
enter(void **state)
{
	(void)state;
	t = (struct turns){ .most = N };
	TAILQ_INIT(&t.idle);
	for (int i = 0; i < N; i++) {
		int ends[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
			return -1;
		c[i] = (struct courier){ .link.fd = ends[0], .turn = { .lane = &lane[i],
			.at = &host[i / 2], .told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.patience = clock_ms() + LONG } };
		far[i] = ends[1];
		idle_begin(&t, &c[i]);
	}
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++) {
		idle_end(&t, &c[i]);
		close(c[i].link.fd);
		close(c[i].turn.told);
		close(far[i]);
	}
	assert_true(TAILQ_EMPTY(&t.idle));
	assert_int_equal(host[0].idle + host[1].idle, 0);
	return 0;
}

/* By its lane, or the one that waits longest at a host. */
static void
test_find(void **state)
{
	(void)state;
	struct schedule_lane other = { 0 };
	struct schedule_host nobodys = { 0 };
	assert_ptr_equal(TAILQ_FIRST(&t.idle), &c[0]);
	assert_ptr_equal(idle_find(&t, &lane[1], NULL), &c[1]);
	assert_ptr_equal(idle_find(&t, NULL, &host[0]), &c[0]);
	assert_ptr_equal(idle_find(&t, NULL, &host[1]), &c[2]);
	assert_null(idle_find(&t, &other, NULL));
	assert_null(idle_find(&t, NULL, &nobodys));
}

/* It is told once, and is there for nobody else then. */
static void
test_tell(void **state)
{
	(void)state;
	assert_int_equal(host[0].idle, 2);
	idle_tell(&t, &c[0], TURN_GIVE_WAY);
	assert_int_equal(c[0].turn.word, TURN_GIVE_WAY);
	assert_true(wait_is_ready(c[0].turn.told, POLLIN));
	assert_false(c[0].turn.idle);
	assert_int_equal(host[0].idle, 1);
	assert_ptr_equal(idle_find(&t, NULL, &host[0]), &c[1]);
	idle_end(&t, &c[0]); /* it has ended */
	assert_int_equal(host[0].idle, 1);
	assert_false(wait_is_ready(c[1].turn.told, POLLIN));
}

/* What ends the wait: a word, the host, the time. */
static void
test_wait(void **state)
{
	(void)state;
	int64_t end = c[0].turn.patience;
	idle_tell(&t, &c[0], TURN_NEWS);
	idle_wait(&c[0]);
	assert_int_equal(write(far[1], "421 bye\r\n", 9), 9);
	idle_wait(&c[1]);
	assert_true(clock_ms() < end);
	c[2].turn.patience = clock_ms();
	idle_wait(&c[2]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_find), TEST(test_tell), TEST(test_wait) };
	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}

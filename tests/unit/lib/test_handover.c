/* handover: open files get there with their packet, and no others, whatever was sent (K1). */
#include "tests/unit/openfds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/handover.h"

enum { MANY = 8 };

static int pair[2];

static int
enter(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int
leave(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	return 0;
}

/* In their order, close-on-exec, and the same files. */
static void
test_arrive(void **state)
{
	(void)state;
	for (int n = 0; n <= HANDOVER_FDS; n++) {
		int before = open_fds(), ends[2], fds[HANDOVER_FDS];
		char text[8] = "", c = 0;
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(handover_send(pair[0], "hello", 6, ends, n), 0);
		assert_int_equal(handover_receive(pair[1], text, sizeof(text), 0, fds), 6);
		assert_string_equal(text, "hello");
		assert_int_equal(open_fds(), before + 2 + n);
		for (int i = 0; i < HANDOVER_FDS; i++)
			if (i < n)
				assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
			else
				assert_int_equal(fds[i], -1);
		if (n == 2) {
			assert_int_equal(write(fds[1], "x", 1), 1);
			assert_int_equal(read(fds[0], &c, 1), 1);
			assert_int_equal(c, 'x');
		}
		for (int i = 0; i < n; i++)
			close(fds[i]);
		close(ends[0]);
		close(ends[1]);
		assert_int_equal(open_fds(), before);
	}
}

/* As it was sent, so that what is too long can be told from what fits. */
static void
test_length(void **state)
{
	(void)state;
	static const char sent[64] = "0123456789";
	char got[4];
	for (size_t n = 1; n < sizeof(sent); n++) {
		assert_int_equal(handover_send(pair[0], sent, n, NULL, 0), 0);
		assert_int_equal(handover_receive(pair[1], got, sizeof(got), 0, NULL), n);
		assert_memory_equal(got, sent, n < sizeof(got) ? n : sizeof(got));
	}
}

/* Nothing that was sent along is open here. */
static void
test_none_is_taken(void **state)
{
	(void)state;
	char c = 0;
	int before = open_fds();
	assert_int_equal(handover_send(pair[0], "x", 1, pair, 2), 0);
	assert_int_equal(handover_receive(pair[1], &c, 1, 0, NULL), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(open_fds(), before);
}

/* A packet of somebody who does not go by what is here. */
static void
send_odd(size_t n, int fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * MANY)];
	} control = { .room = "" };
	struct iovec iov = { (char[]){ 'x' }, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fds) };
	control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fds) };
	for (int i = 0; i < fds; i++)
		memcpy(CMSG_DATA(&control.head) + sizeof(int) * (size_t)i, &pair[0], sizeof(int));
	assert_int_equal(sendmsg(pair[0], &msg, 0), (ssize_t)n);
}

static void
test_too_many(void **state)
{
	(void)state;
	char c;
	int fds[HANDOVER_FDS], before = open_fds();
	for (int n = HANDOVER_FDS + 1; n <= MANY; n++) {
		send_odd(1, n);
		assert_int_equal(handover_receive(pair[1], &c, 1, 0, fds), 1);
		assert_int_equal(open_fds(), before + HANDOVER_FDS); /* all of which are told */
		for (int i = 0; i < HANDOVER_FDS; i++)
			assert_int_equal(close(fds[i]), 0);
	}
}

/* It looks like the end, behind which nobody closes anything. */
static void
test_empty(void **state)
{
	(void)state;
	char c;
	int before = open_fds();
	for (int n = 1; n <= MANY; n++) {
		int fds[HANDOVER_FDS] = { 0, 0 };
		send_odd(0, n);
		assert_int_equal(handover_receive(pair[1], &c, 1, 0, fds), 0);
		assert_true(fds[0] == -1 && fds[1] == -1);
		assert_int_equal(open_fds(), before);
	}
}

static void
test_end(void **state)
{
	(void)state;
	char c;
	int fds[HANDOVER_FDS];
	assert_int_equal(handover_receive(pair[1], &c, 1, MSG_DONTWAIT, fds), -EAGAIN);
	assert_int_equal(handover_send(pair[0], "x", 1, pair, 1), 0);
	close(pair[0]);
	pair[0] = -1;
	assert_int_equal(handover_receive(pair[1], &c, 1, 0, fds), 1);
	close(fds[0]);
	assert_int_equal(handover_receive(pair[1], &c, 1, 0, fds), 0);
	assert_int_equal(handover_send(pair[1], "x", 1, NULL, 0), -EPIPE);
}

#define PAIRED(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(test_arrive),
		PAIRED(test_length),
		PAIRED(test_none_is_taken),
		PAIRED(test_too_many),
		PAIRED(test_empty),
		PAIRED(test_end),
	};
	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}

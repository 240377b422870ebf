/* request: what a session asks of its monitor arrives with its descriptors, or not at all. */
#include "tests/unit/openfds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "process/request.h"

static int pair[2];

static int
enter(void **state)
{
	(void)state;
	return request_pair(pair);
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
test_fds_arrive(void **state)
{
	(void)state;
	for (int n = 0; n <= REQUEST_FDS; n++) {
		struct request sent = { .kind = REQUEST_TLS, .lane = "d.example" }, got;
		int before = open_fds(), ends[2], fds[REQUEST_FDS] = { -1, -1 }, k = -1;
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(request_send(pair[0], &sent, ends, n), 0);
		assert_int_equal(request_receive(pair[1], &got, fds, &k), 1);
		assert_int_equal(k, n);
		assert_int_equal(got.kind, REQUEST_TLS);
		assert_string_equal(got.lane, "d.example");
		assert_int_equal(open_fds(), before + 2 + n);
		for (int i = 0; i < n; i++)
			assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		if (n == 2) {
			char c = 0;
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

static void
test_in_order(void **state)
{
	(void)state;
	struct request got;
	int fds[REQUEST_FDS], n;
	for (int i = 0; i < 5; i++) {
		struct request r = { .kind = REQUEST_RELAY };
		snprintf(r.lane, sizeof(r.lane), "d%d.example", i);
		assert_int_equal(request_send(pair[0], &r, NULL, 0), 0);
	}
	for (int i = 0; i < 5; i++) {
		char want[32];
		snprintf(want, sizeof(want), "d%d.example", i);
		assert_int_equal(request_receive(pair[1], &got, fds, &n), 1);
		assert_string_equal(got.lane, want);
	}
}

/* A lane name without its end gets one. */
static void
test_name_without_end(void **state)
{
	(void)state;
	struct request r = { .kind = REQUEST_RELAY }, got;
	int fds[REQUEST_FDS], n;
	memset(r.lane, 'x', sizeof(r.lane));
	assert_int_equal(request_send(pair[0], &r, NULL, 0), 0);
	assert_int_equal(request_receive(pair[1], &got, fds, &n), 1);
	assert_int_equal(strlen(got.lane), sizeof(got.lane) - 1);
}

/* Sends n octets with as many descriptors as there is room for. */
static void
send_garbage(const void *p, size_t n, int fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * 8)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fds > 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fds) };
		for (int i = 0; i < fds; i++)
			memcpy(CMSG_DATA(c) + sizeof(int) * (size_t)i, &pair[0], sizeof(int));
	}
	assert_int_equal(sendmsg(pair[0], &msg, 0), (ssize_t)n);
}

/* What is no request is refused, its descriptors are closed, and the next one is heard. */
static void
test_garbage(void **state)
{
	(void)state;
	static const size_t sizes[] = { 1, 4, sizeof(struct request) - 1, sizeof(struct request) + 1,
		4096 };
	static const char garbage[4096];
	struct request r = { .kind = REQUEST_AUTH }, got;
	int fds[REQUEST_FDS], n, before = open_fds();
	for (size_t i = 0; i < ROWS(sizes); i++) {
		for (int k = 0; k <= REQUEST_FDS; k++) {
			send_garbage(garbage, sizes[i], k);
			assert_int_equal(request_receive(pair[1], &got, fds, &n), -EBADMSG);
			assert_int_equal(n, 0);
			assert_int_equal(open_fds(), before);
		}
	}
	assert_int_equal(request_send(pair[0], &r, NULL, 0), 0);
	assert_int_equal(request_receive(pair[1], &got, fds, &n), 1);
	assert_int_equal(got.kind, REQUEST_AUTH);
}

/* More descriptors than there is a place for are not let in. */
static void
test_too_many_fds(void **state)
{
	(void)state;
	struct request r = { .kind = REQUEST_TLS }, got;
	int fds[REQUEST_FDS], n, before = open_fds();
	send_garbage(&r, sizeof(r), 8);
	(void)request_receive(pair[1], &got, fds, &n);
	assert_in_range(n, 0, REQUEST_FDS);
	assert_int_equal(open_fds(), before + n);
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

/* What looks like the end leaves nothing open here either. */
static void
test_empty(void **state)
{
	(void)state;
	struct request got;
	int fds[REQUEST_FDS], n, before = open_fds();
	send_garbage("", 0, REQUEST_FDS);
	assert_int_equal(request_receive(pair[1], &got, fds, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
}

static void
test_end(void **state)
{
	(void)state;
	struct request r = { .kind = REQUEST_RELAY }, got;
	int fds[REQUEST_FDS], n;
	assert_int_equal(request_send(pair[0], &r, NULL, 0), 0);
	close(pair[0]);
	pair[0] = -1;
	assert_int_equal(request_receive(pair[1], &got, fds, &n), 1);
	assert_int_equal(request_receive(pair[1], &got, fds, &n), 0);
	assert_int_equal(request_send(pair[1], &r, NULL, 0), -EPIPE);
}

#define PAIRED(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PAIRED(test_fds_arrive),
		PAIRED(test_in_order),
		PAIRED(test_name_without_end),
		PAIRED(test_garbage),
		PAIRED(test_too_many_fds),
		PAIRED(test_empty),
		PAIRED(test_end),
	};
	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}

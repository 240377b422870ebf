/* post: who starts what posts a report (R86). */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/fetching.h"
#include "tlsreport/post.h"

enum { POSTS = 8, MAKER_STATUS = 7 };

/* The linker puts this in the place of the one that execs: a child that has ended already. */
pid_t __wrap_fetching_start(const struct launcher *l, const int fds[static 2]);

static int started;

pid_t
__wrap_fetching_start(const struct launcher *l, const int fds[static 2])
{
	siginfo_t i;
	(void)l;
	(void)fds;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &i, WEXITED | WNOWAIT), 0);
	started++;
	return pid;
}

/* One connection is handed over; what comes back holds a socket. */
static void
hand_over(int socket, int connection)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char octet = 'F';
	struct iovec iov = { .iov_base = &octet, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(c), &connection, sizeof(connection));
	int fd = -1;
	m.msg_controllen = sizeof(control.room);
	if (sendmsg(socket, &m, MSG_NOSIGNAL) != 1 || recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1)
		_exit(1);
	if ((c = CMSG_FIRSTHDR(&m)) == NULL)
		_exit(1);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	close(fd);
}

/* However many are posted, no more than the last one of those that posted is left. */
static void
test_none_is_left(void **state)
{
	(void)state;
	int ends[2], status, left = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid_t maker = fork();
	if (maker == 0) {
		close(ends[0]);
		for (int i = 0; i < POSTS; i++)
			hand_over(ends[1], ends[1]);
		_exit(MAKER_STATUS);
	}
	close(ends[1]);
	post_start_all(ends[0], maker, NULL);
	close(ends[0]);
	assert_int_equal(started, POSTS);
	/* the maker is the caller's */
	assert_int_equal(waitpid(maker, &status, 0), maker);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), MAKER_STATUS);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		left++;
	assert_true(left <= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_none_is_left) };
	return cmocka_run_group_tests_name("post", tests, NULL, NULL);
}

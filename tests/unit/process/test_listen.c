/* listen: which sockets were handed over, and which are none of ours. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "process/listen.h"

/* What stands at the first places. */
enum thing { END, LISTENS, CONNECTED, A_FILE };

static const struct row {
	const char *name;
	enum thing things[4];
	const char *fds;
	bool other_process;
	int want;
} rows[] = {
	{ "none", { END }, NULL, false, 0 },
	{ "one", { LISTENS }, "1", false, 1 },
	{ "two", { LISTENS, LISTENS }, "2", false, 2 },
	{ "fewer than there are", { LISTENS, LISTENS }, "1", false, 1 },
	{ "for another process", { LISTENS }, "1", true, 0 },
	{ "nothing is said of it", { LISTENS }, NULL, false, 0 },
	{ "no number", { LISTENS }, "x", false, 0 },
	{ "less than none", { LISTENS }, "-1", false, 0 },
	{ "the connection, as with Accept=yes", { CONNECTED }, "1", false, 0 },
	{ "a file", { A_FILE }, "1", false, 0 },
	{ "one of two does not listen", { LISTENS, CONNECTED }, "2", false, -EINVAL },
	{ "more than there are", { LISTENS }, "2", false, -EINVAL },
	{ "more than there can be", { LISTENS }, "33", false, -EINVAL },
};

static int
make(enum thing thing)
{
	int pair[2];
	if (thing == A_FILE)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (thing == CONNECTED && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)
		return pair[0];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return fd >= 0 && listen(fd, 1) == 0 ? fd : -1;
}

/* In a process of its own, whose descriptors it sets. */
static int
ask(const struct row *r)
{
	char pid[24];
	int made[4], n = 0;
	for (; r->things[n] != END; n++)
		made[n] = fcntl(make(r->things[n]), F_DUPFD, 50);
	for (int fd = LISTEN_FIRST; fd < 50; fd++)
		close(fd);
	for (int i = 0; i < n; i++)
		dup2(made[i], LISTEN_FIRST + i);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid() + r->other_process);
	setenv("LISTEN_PID", pid, 1);
	if (r->fds != NULL)
		setenv("LISTEN_FDS", r->fds, 1);
	else
		unsetenv("LISTEN_FDS");
	return listen_inherited();
}

static void
test_inherited(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(ask(&rows[i]) == rows[i].want ? 0 : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("%s", rows[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_inherited) };
	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}

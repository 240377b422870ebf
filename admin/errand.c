#include "admin/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

enum { CANNOT_EXEC = 127, CHUNK = 4096 };

static _Noreturn void
become(const char *const argv[], enum errand_ear ear, int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(ear == ERRAND_OUTPUT ? fd : null, STDOUT_FILENO);
	(void)dup2(ear == ERRAND_ERRORS ? fd : null, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(CANNOT_EXEC);
}

/* Until it says no more. 0, or -ETIMEDOUT. */
static int
listen_to(int fd, int64_t deadline, struct buf *said)
{
	char chunk[CHUNK];
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = poll(&p, 1, clock_left(deadline));
		if (r == 0)
			return -ETIMEDOUT;
		ssize_t n = r < 0 ? -1 : read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		buf_add(said, (struct span){ chunk, (size_t)n });
	}
}

int
errand_run(const char *const argv[], enum errand_ear ear, int64_t seconds, struct buf *said)
{
	int pair[2], status = 0;
	fflush(stdout);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		become(argv, ear, pair[1]);
	close(pair[1]);
	int r = pid < 0 ? -errno : listen_to(pair[0], clock_deadline(seconds), said);
	close(pair[0]);
	if (pid < 0)
		return r;
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	if (!WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status) == CANNOT_EXEC ? -ENOENT : WEXITSTATUS(status);
}

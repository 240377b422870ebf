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

/* What a program has as its own; -1: nothing. */
struct ends {
	int input, output, errors;
};

static _Noreturn void
become(const char *const argv[], const struct ends *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)dup2(e->input >= 0 ? e->input : null, STDIN_FILENO);
	(void)dup2(e->output >= 0 ? e->output : null, STDOUT_FILENO);
	if (e->errors != STDERR_FILENO)
		(void)dup2(e->errors >= 0 ? e->errors : null, STDERR_FILENO);
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

/* Its end, after it was heard until `r`. */
static int
reap(pid_t pid, int r)
{
	int status = 0;
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

int
errand_run(const char *const argv[], enum errand_ear ear, int64_t seconds, struct buf *said)
{
	int pair[2];
	fflush(stdout);
	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		become(argv, &(struct ends){ -1, ear == ERRAND_OUTPUT ? pair[1] : -1,
			ear == ERRAND_ERRORS ? pair[1] : -1 });
	int r = pid < 0 ? -errno : 0;
	close(pair[1]);
	if (pid > 0)
		r = reap(pid, listen_to(pair[0], clock_deadline(seconds), said));
	close(pair[0]);
	return r;
}

int
errand_talk(const char *const argv[], struct span input, int64_t seconds, struct buf *said)
{
	int in[2], out[2];
	fflush(stdout);
	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return -errno;
	}
	pid_t pid = fork();
	if (pid == 0)
		become(argv, &(struct ends){ in[0], out[1], STDERR_FILENO });
	int r = pid < 0 ? -errno : 0;
	close(in[0]);
	close(out[1]);
	if (pid > 0 && write(in[1], input.p, input.n) != (ssize_t)input.n)
		r = -EPIPE;
	close(in[1]);
	if (pid > 0)
		r = reap(pid, r < 0 ? r : listen_to(out[0], clock_deadline(seconds), said));
	close(out[0]);
	return r;
}

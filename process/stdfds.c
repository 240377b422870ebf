#include "process/stdfds.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/span.h"

static bool had_no_output; /* when the program started */

static int
open_nothing(int flags)
{
	int fd = open("/dev/null", O_RDWR | flags);
	return fd >= 0 ? fd : open("/", O_RDONLY | O_DIRECTORY | flags);
}

int
stdfds_nothing(void)
{
	return open_nothing(O_CLOEXEC);
}

void
stdfds_fill(void)
{
	struct pollfd p[] = { { STDIN_FILENO, 0, 0 }, { STDOUT_FILENO, 0, 0 },
		{ STDERR_FILENO, 0, 0 } };
	int fd;
	/* One question for all three, without waiting. */
	if (poll(p, 3, 0) >= 0 && ((p[0].revents | p[1].revents | p[2].revents) & POLLNVAL) == 0)
		return;
	do
		fd = open_nothing(0);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	had_no_output = (p[STDOUT_FILENO].revents & POLLNVAL) != 0;
}

void
stdfds_lose_output(void)
{
	int fd = had_no_output ? open("/dev/null", O_RDONLY) : -1;
	if (fd < 0)
		return;
	(void)dup2(fd, STDOUT_FILENO);
	close(fd);
}

/* Closes those that /proc names. False: there is no /proc. */
static bool
close_listed(int first)
{
	auto_dir dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return false;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		int64_t fd = span_number(span_of(e->d_name));
		if (fd >= first && fd <= INT_MAX && fd != dirfd(dir))
			close((int)fd);
	}
	return true;
}

void
stdfds_close_from(int first)
{
	enum { MOST = 1 << 20 }; /* more than that no process may have open, says Linux by itself */
	struct rlimit limit;
	if (syscall(SYS_close_range, first, ~0U, 0) == 0 || close_listed(first))
		return;
	bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < MOST;
	for (int fd = first, end = known ? (int)limit.rlim_max : MOST; fd < end; fd++)
		close(fd);
}

/* A connection of the Internet, whatever standard input and output are: a script may be between. */
static bool
is_connection(int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	return getsockname(fd, (struct sockaddr *)&ss, &n) == 0 &&
		(ss.ss_family == AF_INET || ss.ss_family == AF_INET6);
}

/* Files and terminals are no clients, though several descriptors may share them. */
static bool
is_client(int fd)
{
	struct stat mine, theirs;
	if (fstat(fd, &mine) < 0)
		return true;
	if (S_ISREG(mine.st_mode) || S_ISCHR(mine.st_mode))
		return false;
	if (is_connection(fd))
		return true;
	for (int peer = STDIN_FILENO; peer <= STDOUT_FILENO; peer++)
		if (fstat(peer, &theirs) == 0 && mine.st_dev == theirs.st_dev &&
			mine.st_ino == theirs.st_ino)
			return true;
	return false;
}

void
stdfds_hide_client(void)
{
	if (!is_client(STDERR_FILENO))
		return;
	int null = stdfds_nothing();
	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		close(STDERR_FILENO);
	if (null >= 0)
		close(null);
}

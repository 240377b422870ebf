#include "process/stdfds.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void
stdfds_fill(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void
stdfds_close_others(void)
{
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
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
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		close(STDERR_FILENO);
	if (null >= 0)
		close(null);
}

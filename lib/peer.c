#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
peer_of(int fd, struct peer *out)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	struct peer p = { .local = true };
	snprintf(p.text, sizeof(p.text), "local");
	if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0) {
		p.socket = true;
		if (netaddr_from((struct sockaddr *)&ss, &p.addr) == 0) {
			p.local = false;
			netaddr_literal(&p.addr, p.text);
		}
	} else if (errno != ENOTSOCK) {
		return -errno;
	}
	*out = p;
	return 0;
}

bool
peer_owns(int fd)
{
	struct stat mine, theirs;
	if (fstat(fd, &mine) < 0 || S_ISSOCK(mine.st_mode))
		return true;
	for (int peer = STDIN_FILENO; peer <= STDOUT_FILENO; peer++)
		if (fstat(peer, &theirs) == 0 && mine.st_dev == theirs.st_dev &&
			mine.st_ino == theirs.st_ino && !S_ISREG(mine.st_mode) &&
			!S_ISCHR(mine.st_mode))
			return true;
	return false;
}

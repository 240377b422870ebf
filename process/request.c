#include "process/request.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int
request_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0 ? -errno : 0;
}

int
request_send(int fd, const struct request *r, const int *fds, int n)
{
	return handover_send(fd, r, sizeof(*r), fds, n);
}

int
request_receive(int fd, struct request *r, int fds[static REQUEST_FDS], int *n)
{
	ssize_t got = handover_receive(fd, r, sizeof(*r), 0, fds);
	*n = 0;
	if (got <= 0)
		return (int)got;
	while (*n < REQUEST_FDS && fds[*n] >= 0)
		++*n;
	r->lane[sizeof(r->lane) - 1] = '\0';
	if (got == (ssize_t)sizeof(*r))
		return 1;
	for (int i = 0; i < *n; i++)
		close(fds[i]);
	*n = 0;
	return -EBADMSG;
}

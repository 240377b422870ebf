#include "process/request.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr head; /* for its alignment */
	char room[CMSG_SPACE(sizeof(int) * REQUEST_FDS)];
};

int
request_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0 ? -errno : 0;
}

int
request_send(int fd, const struct request *r, const int *fds, int n)
{
	union control control = { 0 };
	struct iovec iov = { (void *)r, sizeof(*r) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n > 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * (size_t)n);
		struct cmsghdr *c = &control.head; /* the first one */
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * (size_t)n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n);
	}
	ssize_t w;
	do
		w = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (w < 0 && errno == EINTR);
	return w < 0 ? -errno : 0;
}

int
request_receive(int fd, struct request *r, int fds[static REQUEST_FDS], int *n)
{
	union control control;
	struct iovec iov = { r, sizeof(*r) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	ssize_t got;
	*n = 0;
	do
		/* the length that was sent */
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg); /* all descriptors come in one */
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)*n);
	}
	r->lane[sizeof(r->lane) - 1] = '\0';
	if (got == (ssize_t)sizeof(*r))
		return 1;
	for (int i = 0; i < *n; i++)
		close(fds[i]);
	*n = 0;
	return -EBADMSG;
}

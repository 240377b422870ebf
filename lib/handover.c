#include "lib/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr head; /* for its alignment */
	char room[CMSG_SPACE(sizeof(int) * HANDOVER_FDS)];
};

/* The kernel lets as many in as there is room for. */
_Static_assert(CMSG_SPACE(sizeof(int) * HANDOVER_FDS) == CMSG_LEN(sizeof(int) * HANDOVER_FDS),
	"there is room for one more than the caller hears of");

int
handover_send(int socket, const void *p, size_t n, const int *fds, int count)
{
	union control control = { .room = "" };
	struct iovec iov = { (void *)p, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (count > 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * (size_t)count);
		struct cmsghdr *c = &control.head; /* the first one */
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * (size_t)count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
	}
	ssize_t w;
	do
		w = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (w < 0 && errno == EINTR);
	return w < 0 ? -errno : 0;
}

/* None is kept of a packet without an octet, which looks like the end. */
static void
close_all(int fds[static HANDOVER_FDS])
{
	for (int i = 0; i < HANDOVER_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

ssize_t
handover_receive(int socket, void *p, size_t n, int flags, int *fds)
{
	union control control;
	struct iovec iov = { p, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;
	if (fds != NULL) {
		for (int i = 0; i < HANDOVER_FDS; i++)
			fds[i] = -1;
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
	}
	do
		/* the length that was sent */
		got = recvmsg(socket, &msg, flags | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	/* all come in one */
	const struct cmsghdr *c = fds != NULL ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	if (got == 0 && fds != NULL)
		close_all(fds);
	return got;
}

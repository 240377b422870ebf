#include "delivery/signing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
signing_start(const struct launcher *l, struct buf *why)
{
	const char *path = l->conf->who.sign_path;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		buf_printf(why, "cannot start %s: %s", path, strerror(errno));
		return -1;
	}
	pid_t pid = launch_helper(l, "sign", path, &ends[1], 1);
	close(ends[1]);
	if (pid >= 0)
		return ends[0];
	close(ends[0]);
	buf_printf(why, "cannot start %s: %s", path, strerror((int)-pid));
	return -1;
}

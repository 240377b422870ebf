#include "lib/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int
lock_set(int fd, short type, int64_t pos, int64_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = pos, .l_len = len };
	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

int
lock_exclusive(int fd, int64_t pos, int64_t len)
{
	return lock_set(fd, F_WRLCK, pos, len);
}

int
lock_shared(int fd, int64_t pos, int64_t len)
{
	return lock_set(fd, F_RDLCK, pos, len);
}

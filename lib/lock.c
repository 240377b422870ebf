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

void
lock_release(int fd, int64_t pos, int64_t len)
{
	(void)lock_set(fd, F_UNLCK, pos, len);
}

int
lock_any(int fd, int64_t pos, int n)
{
	for (int i = 0; i < n; i++) {
		int r = lock_exclusive(fd, pos + i, 1);
		if (r == 0)
			return i;
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}

int
lock_taken(int fd, int64_t pos, int64_t len)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = pos, .l_len = len };
	if (fcntl(fd, F_OFD_GETLK, &l) < 0)
		return -errno;
	return l.l_type != F_UNLCK;
}

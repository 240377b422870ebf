#include "process/counts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { PATH_SIZE = 1024 }; /* of the longest path */

/*
 * Gives the file its room from there on: a page that has none behind it cannot be written, and the
 * process ends. Where the file system cannot do that, an octet in each page does: the last one,
 * which nobody counts in, for others may have begun. 0 or -errno.
 */
static int
make_room(int fd, off_t from)
{
	enum { PAGE = 4096 };
	_Static_assert(COUNTS_SIZE % PAGE == 0, "the last octet is that of a page");
	int err = posix_fallocate(fd, 0, (off_t)COUNTS_SIZE);
	if (err != EOPNOTSUPP && err != ENOSYS && err != EPERM)
		return -err;
	for (off_t at = from - from % PAGE + PAGE - 1; at < (off_t)COUNTS_SIZE; at += PAGE)
		if (pwrite(fd, "", 1, at) < 0)
			return -errno;
	return 0;
}

/* Sees to it that it is ours, and as long as it is. 0 or -errno. */
static int
make_fit(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return -EPERM;
	if (st.st_size > (off_t)COUNTS_SIZE && ftruncate(fd, (off_t)COUNTS_SIZE) < 0)
		return -errno;
	return st.st_size < (off_t)COUNTS_SIZE ? make_room(fd, st.st_size) : 0;
}

int
counts_map(const char *directory, struct quota *quota)
{
	char path[PATH_SIZE];
	size_t size = quota != NULL ? COUNTS_SIZE : COUNTERS_SIZE;
	if (snprintf(path, sizeof(path), "%s/" COUNTS_FILE, directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	auto_fd fd = openat(AT_FDCWD, path,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	int r = make_fit(fd);
	if (r < 0)
		return r;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	counters_begin(map);
	if (quota != NULL)
		quota_begin(quota, (char *)map + COUNTERS_SIZE);
	return 0;
}

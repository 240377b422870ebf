#include "lib/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

DIR *
dir_open(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d == NULL && fd >= 0) {
		int err = errno;
		close(fd);
		errno = err;
	}
	return d;
}

const char *
dir_next(DIR *dir)
{
	errno = 0;
	const struct dirent *e = readdir(dir);
	return e != NULL ? e->d_name : NULL;
}

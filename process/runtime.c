#include "process/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
runtime_make(const char *path, uid_t uid, gid_t gid)
{
	if (mkdir(path, S_IRWXU) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	int err = errno;
	rmdir(path);
	return -err;
}

int
runtime_check(const char *path)
{
	char inside[PATH_MAX]; /* of what is no directory, nothing is */
	int n = snprintf(inside, sizeof(inside), "%s/.", path);
	if (n < 0 || n >= (int)sizeof(inside))
		return -ENAMETOOLONG;
	return access(inside, W_OK | X_OK) < 0 ? -errno : 0;
}

/* shut: for unit tests of tlsreport/: a name that cannot be opened, as where descriptors are out. */
#ifndef POSTERN_SHUT_H
#define POSTERN_SHUT_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

static const char *shut; /* NULL: all can be */

int __wrap_openat(int dir, const char *path, int flags, ...);
int __real_openat(int dir, const char *path, int flags, ...);

int
__wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	unsigned mode = (flags & O_CREAT) != 0 ? va_arg(args, unsigned) : 0;
	va_end(args);
	if (shut != NULL && strcmp(path, shut) == 0) {
		errno = EMFILE;
		return -1;
	}
	return __real_openat(dir, path, flags, mode);
}

#endif

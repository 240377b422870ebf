#include "lib/dir.h"

#include <errno.h>
#include <stddef.h>

const char *
dir_next(DIR *dir)
{
	errno = 0;
	const struct dirent *e = readdir(dir);
	return e != NULL ? e->d_name : NULL;
}

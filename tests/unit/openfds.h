/* openfds: how many files are open, so that what was handed over and is not used can be missed. */
#ifndef POSTERN_OPENFDS_H
#define POSTERN_OPENFDS_H

#include "tests/unit/unit.h"

#include <dirent.h>

static inline int
open_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

#endif

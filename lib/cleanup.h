/* cleanup: resources that free themselves when their variable goes out of scope. */
#ifndef POSTERN_CLEANUP_H
#define POSTERN_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"

static inline void
cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
cleanup_dir(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

static inline void
cleanup_file(FILE **f)
{
	if (*f != NULL)
		fclose(*f);
}

static inline void
cleanup_memory(void *p)
{
	free(*(void **)p);
}

#define auto_memory __attribute__((cleanup(cleanup_memory)))
#define auto_fd   __attribute__((cleanup(cleanup_fd))) int
#define auto_dir  __attribute__((cleanup(cleanup_dir))) DIR *
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *
#define auto_buf  __attribute__((cleanup(buf_free))) struct buf

#endif

/* spooled: a spool of its own for a test, as setup and teardown. */
#ifndef POSTERN_SPOOLED_H
#define POSTERN_SPOOLED_H

#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/spool.h"

static char top[64]; /* where it is */
static struct spool sp = { -1, -1, -1, -1 };
static struct draft d; /* large */

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int
setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/postern-spool-XXXXXX");
	return mkdtemp(top) == NULL || spool_open(&sp, top) < 0 ? -1 : 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	draft_drop(&d);
	spool_close(&sp);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif

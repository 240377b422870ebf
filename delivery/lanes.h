/*
 * lanes: all of them, one by one.
 */
#ifndef POSTERN_LANES_H
#define POSTERN_LANES_H

#include <dirent.h>

#include "queue/spool.h"

/* The directory of all lanes, to be closed; NULL: it cannot be read, which was said. */
DIR *lanes_open(const struct spool *s);

/* The next name in it; NULL at the end, and where it cannot be read on, which was said. */
const char *lanes_next(DIR *lanes);

#endif

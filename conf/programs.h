/* programs: where the other programs are, if nothing else was said. */
#ifndef POSTERN_PROGRAMS_H
#define POSTERN_PROGRAMS_H

#include "conf/conf.h"

/* Fills in the paths that are not set. 0; -ENOENT: it is not known where this one is; -ENOMEM. */
int programs_complete(struct conf *c);

#endif

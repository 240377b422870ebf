/* self: this program itself. */
#ifndef POSTERN_SELF_H
#define POSTERN_SELF_H

#include <limits.h>

/* Where it lies: as /proc says, or in a chroot without one as it was started. 0 or -errno. */
int self_path(char out[static PATH_MAX]);

#endif

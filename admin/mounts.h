/* mounts: on which file system a path lies, and whether what is written there stays. */
#ifndef POSTERN_MOUNTS_H
#define POSTERN_MOUNTS_H

#include <stdbool.h>

#include "lib/span.h"

struct mount {
	struct span point, type, options; /* options of the mount, and of what is mounted */
	struct span more;
};

/*
 * Finds the mount of an absolute path without links in the text of /proc/self/mountinfo. False: it
 * is not there. The parts are those of the text.
 */
bool mounts_find(struct span text, struct span path, struct mount *out);

enum mounts_worth {
	MOUNTS_DURABLE,
	MOUNTS_UNKNOWN,  /* it depends: on a server, a program, a device */
	MOUNTS_VOLATILE, /* what is written there does not outlive a boot, or a loss of power */
};

/* And why, if it is not durable: words for "it is ...". */
enum mounts_worth mounts_judge(const struct mount *m, const char **why);

#endif

/*
 * syscalls: which system calls a role has, and with which arguments: a table of instructions each.
 */
#ifndef POSTERN_SYSCALLS_H
#define POSTERN_SYSCALLS_H

#include <linux/filter.h>
#include <stddef.h>

#include "process/role.h"

enum {
	SYSCALLS_MAX = 252, /* instructions of the longest, both parts together */
	SYSCALLS_HEAD = 4,  /* ... before the first row of each */
};

struct syscalls {
	const struct sock_filter *own; /* begins with the check of the architecture */
	size_t n;
	const struct sock_filter *also; /* what stands behind that, of another role's */
	size_t n_also;                  /* may be 0 */
};

/*
 * TO_MONITOR (filter.h) is to be put in. `own` is NULL: no filter was written for this
 * architecture.
 */
struct syscalls syscalls_of(enum sandbox_role role);

#endif

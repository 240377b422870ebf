/* self: this program itself, as it was started. What the kernel said then costs no system call. */
#ifndef POSTERN_SELF_H
#define POSTERN_SELF_H

#include <limits.h>
#include <stdbool.h>

/* Where it lies: as /proc says, or in a chroot without one as it was started. 0 or -errno. */
int self_path(char out[static PATH_MAX]);

/*
 * Was it started with the rights of somebody else than whoever started it, who made its
 * environment? A program that is set-id calls sendmail so. It stays true when these rights are
 * given up. (AT_SECURE says more than that: also of a service that SELinux gives its domain, whose
 * environment is its manager's.)
 */
bool self_is_set_id(void);

/* Was it started with root's rights? Who was not does not get them later. */
bool self_began_as_root(void);

#endif

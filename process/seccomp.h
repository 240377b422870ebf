/*
 * seccomp: the system calls of a role (syscalls.h), and no others from now on.
 *
 * What depends on this process is put in: the number of the socket to its monitor; of a worker,
 * what it has open.
 */
#ifndef POSTERN_SECCOMP_H
#define POSTERN_SECCOMP_H

#include "process/role.h"

/*
 * After PR_SET_NO_NEW_PRIVS. `monitor`: the socket to it, or -1. 0; -ENOSYS: no filter was written
 * for this architecture; -EMFILE: a worker has too much open; or -errno.
 */
int seccomp_enter(enum sandbox_role role, int monitor);

#endif

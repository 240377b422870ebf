/*
 * sandbox: a process gives up what it does not need, for good: capabilities, the file system
 * (landlock.h), system calls (seccomp.h).
 *
 * What the kernel, or the container around it, does not offer is left out: the return value tells,
 * and the caller logs it once.
 */
#ifndef POSTERN_SANDBOX_H
#define POSTERN_SANDBOX_H

#include "process/role.h"

struct spool;

/* What is done, in this order. */
enum sandbox_step {
	SANDBOX_DUMPABLE,     /* nobody traces it, there is no core */
	SANDBOX_PRIVILEGES,   /* no exec gives any */
	SANDBOX_CAPABILITIES, /* none */
	SANDBOX_LANDLOCK,     /* no file system but the spool */
	SANDBOX_SECCOMP,      /* only the system calls of the role */
	SANDBOX_STEPS,
};

/*
 * Before sandbox_enter: what else a relay may do, to make files in this directory and to give them
 * other names. It stays open.
 */
void sandbox_allow_files(int dir);

/* How an operator calls it. */
const char *sandbox_step_name(enum sandbox_step step);

/*
 * Locks the calling process in: its file system is the spool (NULL: none), and of that a session
 * has only to make files in tmp/ and to give them names in lanes: it can neither read nor change
 * what others have queued. Descriptors of its own it can send over the socket `monitor` alone (-1:
 * over none). What this kernel does not have: 0, or the bits 1 << step; all other steps hold. Or
 * -errno, and then it must not go on.
 */
int sandbox_enter(enum sandbox_role role, const struct spool *spool, int monitor);

#endif

/*
 * sandbox: a process gives up what it does not need, for good.
 *
 * What the kernel does not offer is left out: the return value tells, and the caller logs it once.
 */
#ifndef POSTERN_SANDBOX_H
#define POSTERN_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

/* Ids of a user in /etc/passwd. 0; -ENOENT: there is none; or -errno. */
int sandbox_find_user(const char *user, uid_t *uid, gid_t *gid);

/*
 * Started as root: becomes `user` with all its groups gone. Otherwise nothing to do. 0; -ENOENT:
 * no such user; -EPERM: the user is root; or -errno.
 */
int sandbox_drop_root(const char *user);

enum sandbox_role {
	SANDBOX_SESSION, /* reads a client: no new sockets, no exec, no other process */
	SANDBOX_RELAY,   /* talks to servers: sockets, but no exec */
	SANDBOX_HELPER,  /* tls, auth: the descriptors it has, and nothing else */
};

/*
 * Locks the calling process in: no new privileges, no capabilities, not dumpable, no core, file
 * system limited to the directory `spool` (-1: none of it), system calls to those of the role. 0;
 * -ENOSYS when the kernel lacks Landlock (everything else holds); or -errno, and then it must not
 * go on.
 */
int sandbox_enter(enum sandbox_role role, int spool);

#endif

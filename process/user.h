/* user: whom a program of root becomes. */
#ifndef POSTERN_USER_H
#define POSTERN_USER_H

#include <sys/types.h>

/* Ids of a user in /etc/passwd. 0; -ENOENT: there is none; or -errno. */
int user_find(const char *user, uid_t *uid, gid_t *gid);

/*
 * Started as root: becomes `user` with all its groups gone. Otherwise nothing to do. 0; -ENOENT:
 * no such user; -EPERM: the user is root; or -errno.
 */
int user_become(const char *user);

#endif

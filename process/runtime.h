/*
 * runtime: the directory of what may be lost at a boot: counts (counts.h), keys of tickets.
 *
 * Without it mail goes on, but no limit of a client's network is in force, so the operator has to
 * hear of it. Where tmpfiles.d is not (xinetd, containers) the first process that may makes it.
 */
#ifndef POSTERN_RUNTIME_H
#define POSTERN_RUNTIME_H

#include <sys/types.h>

/* Makes it for this user, where it is missing. 0 or -errno. */
int runtime_make(const char *path, uid_t uid, gid_t gid);

/* Can it be used? 0 or -errno. */
int runtime_check(const char *path);

/* What is off while it cannot, for a log line. */
#define RUNTIME_MISSED "nothing is counted and limit_ keys not in force, TLS is not resumed"

#endif

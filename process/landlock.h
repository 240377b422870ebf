/*
 * landlock: which files a role has, and, as far as this kernel can deny them, which TCP ports, and
 * what of other processes.
 *
 * All that is not named is denied: what a newer kernel can deny besides is a row of ruleset_of.
 */
#ifndef POSTERN_LANDLOCK_H
#define POSTERN_LANDLOCK_H

#include "process/role.h"

struct spool;

/*
 * For this process, for good, after PR_SET_NO_NEW_PRIVS. Of the spool (NULL: of none) a session has
 * to make files in tmp/ and to give them names in lanes, all others have all of it; a relay also
 * makes files in the directory `files` (-1: none) and gives them other names. 0; -ENOSYS: this
 * kernel has it not, or not enough of it; or -errno.
 */
int landlock_enter(enum sandbox_role role, const struct spool *spool, int files);

#endif

#include "process/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* fgetpwent reads the file itself: a static program has no name service switch. */
int
user_find(const char *user, uid_t *uid, gid_t *gid)
{
	auto_file f = fopen("/etc/passwd", "re");
	if (f == NULL)
		return -errno;
	for (struct passwd *p; (p = fgetpwent(f)) != NULL;) {
		if (strcmp(p->pw_name, user) == 0) {
			*uid = p->pw_uid;
			*gid = p->pw_gid;
			return 0;
		}
	}
	return -ENOENT;
}

int
user_become(const char *user)
{
	uid_t uid = 0;
	gid_t gid = 0;
	if (geteuid() != 0)
		return 0;
	int r = user_find(user, &uid, &gid);
	if (r < 0)
		return r;
	if (uid == 0)
		return -EPERM;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

#include "lib/self.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

int
self_path(char out[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	const char *started = (const char *)getauxval(AT_EXECFN);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 || (started != NULL && realpath(started, out) != NULL) ? 0 : -ENOENT;
}

bool
self_is_set_id(void)
{
	return getauxval(AT_UID) != getauxval(AT_EUID) || getauxval(AT_GID) != getauxval(AT_EGID);
}

bool
self_began_as_root(void)
{
	return getauxval(AT_EUID) == 0;
}

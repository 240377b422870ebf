/* diary.h in a build without systemd (make SYSTEMD=0): there is no journal to read. */
#include "admin/diary.h"

struct diary *
diary_open(const char *path, const char **why)
{
	(void)path;
	*why = "this was built without systemd";
	return NULL;
}

void
diary_close(struct diary *d)
{
	(void)d;
}

void
diary_believe(struct diary *d, uid_t uid)
{
	(void)d, (void)uid;
}

bool
diary_has_any(struct diary *d)
{
	(void)d;
	return false;
}

void
diary_find(struct diary *d, const char *field, struct span value, struct stories *out)
{
	(void)d, (void)field, (void)value, (void)out;
}

void
diary_doubt(struct diary *d, const char *field, struct span value, char uid[static DIARY_UID])
{
	(void)d, (void)field, (void)value;
	uid[0] = '\0';
}

void
diary_tell(struct diary *d, struct stories *s)
{
	(void)d, (void)s;
}

void
diary_tell_lanes(struct diary *d, struct story *s)
{
	(void)d, (void)s;
}

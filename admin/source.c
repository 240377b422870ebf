#include "admin/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/user.h"

static const char *const usual[] = { "/var/log/mail.log", "/var/log/maillog",
	"/var/log/postern.log" };
enum { USUAL = sizeof(usual) / sizeof(usual[0]) };

static FILE *
open_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (fd >= 0 && f == NULL)
		close(fd);
	return f;
}

/*
 * Whose entries are those of our programs: root's, as whom they may be started, those of the user
 * that the configuration names, and of the owner of the queue: nobody else writes there, whatever
 * the user is called, and whether he has a name at all. --uid is for a journal of another host.
 */
static int
believe(struct admin *a, struct diary *d)
{
	struct stat spool;
	uid_t uid;
	gid_t gid;
	const char *given = admin_option(a, "uid");
	int64_t other = given != NULL ? span_number(span_of(given)) : 0;
	if (other < 0 || other > UINT32_MAX)
		return admin_misused(a, "--uid %s: not the number of a user", given);
	diary_believe(d, 0);
	diary_believe(d, (uid_t)other);
	if (user_find(a->conf.who.user, &uid, &gid) == 0)
		diary_believe(d, uid);
	if (stat(a->conf.who.spool, &spool) == 0)
		diary_believe(d, spool.st_uid);
	return ADMIN_DONE;
}

int
source_open(struct admin *a, struct source *s)
{
	const char *log = admin_option(a, "log"), *path = admin_option(a, "journal"), *why = "";
	*s = (struct source){ .name = log != NULL ? log : path != NULL ? path : "the journal" };
	if (log == NULL)
		s->diary = diary_open(path, &why);
	if (s->diary != NULL && believe(a, s->diary) != ADMIN_DONE)
		return ADMIN_USAGE;
	if (s->diary != NULL && (path != NULL || diary_has_any(s->diary)))
		return ADMIN_DONE;
	diary_close(s->diary);
	s->diary = NULL;
	if (path != NULL) {
		admin_trouble(a, "--journal %s: %s", path, why);
		return ADMIN_LATER;
	}
	if (log != NULL)
		s->text = open_text(log);
	for (size_t i = 0; log == NULL && s->text == NULL && i < USUAL; i++)
		s->text = open_text(s->name = usual[i]);
	if (s->text != NULL)
		return ADMIN_DONE;
	if (log != NULL)
		admin_trouble(a, "--log %s: %s", log, strerror(errno));
	else
		admin_trouble(a, "neither the journal%s%s nor %s can be read by this user; root "
			"may, and the groups systemd-journal and adm; or name a log with --log",
			why[0] != '\0' ? ": " : "", why, usual[0]);
	return ADMIN_LATER;
}

void
source_close(struct source *s)
{
	diary_close(s->diary);
	if (s->text != NULL)
		fclose(s->text);
}

void
source_tell(struct source *s, struct stories *all)
{
	if (s->diary != NULL)
		diary_tell(s->diary, all);
	for (int i = 0; s->diary != NULL && i < all->n; i++)
		diary_tell_lanes(s->diary, &all->v[i]);
	if (s->text != NULL)
		textlog_tell(s->text, all);
}

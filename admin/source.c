#include "admin/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

int
source_open(struct admin *a, struct source *s)
{
	const char *log = admin_option(a, "log"), *path = admin_option(a, "journal"), *why = "";
	*s = (struct source){ .name = log != NULL ? log : path != NULL ? path : "the journal" };
	if (log == NULL)
		s->diary = diary_open(path, &why);
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

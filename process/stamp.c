#include "process/stamp.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRAM }; /* it is the first one */

static struct stamp
look(const char *path, enum stamp_kind kind)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return (struct stamp){ .there = false };
	struct stamp s = { .there = true, .device = st.st_dev, .inode = st.st_ino };
	if (kind == STAMP_FILE) {
		s.size = st.st_size;
		s.changed = st.st_ctim; /* which nobody can set back */
	}
	return s;
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
	return a->there == b->there && a->device == b->device && a->inode == b->inode &&
		a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
		a->changed.tv_nsec == b->changed.tv_nsec;
}

bool
stamp_add(struct stamps *s, const char *path, enum stamp_kind kind)
{
	if (path == NULL)
		return true;
	if (s->n == STAMPS || strlen(path) >= sizeof(s->of[0].path))
		return false;
	snprintf(s->of[s->n].path, sizeof(s->of[0].path), "%s", path);
	s->of[s->n].kind = kind;
	s->of[s->n].was = look(path, kind);
	s->n++;
	return true;
}

void
stamp_add_program(struct stamps *s)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	/* It was replaced since it was started: that is a change. */
	char *gone = strstr(path, " (deleted)");
	if (gone != NULL)
		*gone = '\0';
	if (stamp_add(s, path, STAMP_FILE) && gone != NULL)
		s->of[s->n - 1].was = (struct stamp){ .there = false };
}

const char *
stamp_program(const struct stamps *s)
{
	return s->n > 0 && s->of[PROGRAM].path[0] != '\0' ? s->of[PROGRAM].path : NULL;
}

const char *
stamp_changed(const struct stamps *s)
{
	for (int i = 0; i < s->n; i++) {
		struct stamp now = look(s->of[i].path, s->of[i].kind);
		if (!is_same(&now, &s->of[i].was))
			return s->of[i].path;
	}
	return NULL;
}

void
stamp_renew(struct stamps *s)
{
	for (int i = 0; i < s->n; i++)
		s->of[i].was = look(s->of[i].path, s->of[i].kind);
}

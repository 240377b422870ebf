#include "queue/held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "queue/history.h"

#define HELD "held"

enum {
	HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	RACES = 10, /* with relays that remove a lane when it is empty */
};

int
held_open_all(const struct spool *s)
{
	int fd = openat(s->root, HELD, HOW);
	return fd < 0 ? -errno : fd;
}

static int
open_in(struct lane *held, int all, int dir, const char *name)
{
	if (all < 0 || dir < 0)
		return all < 0 ? all : dir;
	*held = LANE_CLOSED;
	snprintf(held->name, sizeof(held->name), "%s", name);
	held->dir = dir;
	return 0;
}

int
held_open(struct lane *held, const struct spool *s, const char *name)
{
	auto_fd all = held_open_all(s);
	int dir = all < 0 ? all : openat(all, name, HOW);
	return open_in(held, all, all >= 0 && dir < 0 ? -errno : dir, name);
}

int
held_open_for_writing(struct lane *held, const struct spool *s, const char *name)
{
	auto_fd all = spool_open_made(s->root, HELD);
	return open_in(held, all, all < 0 ? all : spool_open_made(all, name), name);
}

/* The log has both names while the message moves: it is with the message whenever we die. */
static int
move(const struct lane *from, const struct lane *to, const char *id)
{
	int r = history_share(from, to, id);
	if (r == 0 && renameat(from->dir, id, to->dir, id) < 0)
		r = errno == ESTALE ? -ENOENT : -errno;
	if (r == 0)
		(void)history_remove(from, id);
	else if (faccessat(to->dir, id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		(void)history_remove(to, id);
	return r;
}

int
held_take(const struct lane *from, const struct lane *held, const char *id)
{
	return move(from, held, id);
}

/* Its name is on disk before @lock proves it (queue/lane.h). */
static int
open_lane(struct lane *to, const struct spool *s, const char *name)
{
	bool proven = false;
	if (to->dir >= 0)
		return 0;
	int dir = lane_for_writing(s, name, &proven);
	if (dir >= 0 && !proven && fsync(s->lanes) < 0) {
		int err = -errno;
		close(dir);
		return err;
	}
	if (dir < 0)
		return dir;
	(void)lane_prove(dir);
	*to = LANE_CLOSED;
	snprintf(to->name, sizeof(to->name), "%s", name);
	to->dir = dir;
	return 0;
}

int
held_let_go(const struct lane *held, struct lane *to, const struct spool *s, const char *id)
{
	int r = history_make_due(held, id);
	if (r < 0)
		return r;
	r = -ENOENT;
	for (int race = 0; race < RACES && r == -ENOENT; race++) {
		r = open_lane(to, s, held->name);
		if (r == 0)
			r = move(held, to, id);
		if (r == -ENOENT && faccessat(held->dir, id, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			break;
		if (r == -ENOENT) /* a relay has removed the lane */
			lane_close(to);
	}
	return r;
}

int
held_sync(const struct lane *to, const struct lane *from)
{
	return fsync(to->dir) < 0 || fsync(from->dir) < 0 ? -errno : 0;
}

void
held_tidy(const struct spool *s, const char *name)
{
	auto_fd all = held_open_all(s);
	if (all >= 0)
		unlinkat(all, name, AT_REMOVEDIR);
}

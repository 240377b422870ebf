/*
 * The spool: opening it, and how a message gets in.
 *
 * The promise is one sentence: after draft_commit returned 0, the message survives the death of
 * every process and the loss of power. It rests on the order in draft_commit. Naming the message
 * before syncing it lets one journal commit carry the file and its names; the price is that after
 * a crash a name may stand on an incomplete file. So the file's last line tells its length and sum,
 * and a reader that finds them wrong, with no writer holding the lock, sets the file aside: it was
 * never acknowledged.
 *
 * Nothing here repairs: a step that fails takes the message back out, names first, and reports why.
 */
#include "queue/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "queue/lane.h"
#include "lib/lock.h"
#include "queue/message.h"

static int
spool_subdir(int root, const char *name)
{
	if (mkdirat(root, name, S_IRWXU) == 0 && fsync(root) < 0)
		return -errno;
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
spool_open(struct spool *s, const char *path)
{
	struct spool open_spool = SPOOL_CLOSED;
	struct stat st;
	int err = 0;

	open_spool.root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (open_spool.root < 0 || fstat(open_spool.root, &st) < 0)
		err = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		err = -EPERM;
	if (err == 0)
		err = open_spool.lanes = spool_subdir(open_spool.root, "lane");
	if (err >= 0)
		err = open_spool.tmp = spool_subdir(open_spool.root, "tmp");
	if (err >= 0)
		err = open_spool.aside = spool_subdir(open_spool.root, "aside");
	if (err < 0) {
		spool_close(&open_spool);
		return err;
	}
	*s = open_spool;
	return 0;
}

void
spool_close(struct spool *s)
{
	cleanup_fd(&s->root);
	cleanup_fd(&s->lanes);
	cleanup_fd(&s->tmp);
	cleanup_fd(&s->aside);
	*s = SPOOL_CLOSED;
}

enum { LINGER_BASE = 1 << 20 }; /* above all slots of relays at work */

/* One of n locks of `slots`, from a position on. */
static int
take_slot(const struct spool *s, int64_t pos, int n)
{
	int fd = openat(s->root, "slots", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	int r = lock_any(fd, pos, n);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int
spool_slot(const struct spool *s, int n)
{
	return take_slot(s, 0, n);
}

int
spool_linger(const struct spool *s, int n)
{
	return take_slot(s, LINGER_BASE, n);
}

void
spool_crowd(const struct spool *s)
{
	cleanup_fd(&(int){ openat(s->root, "crowd", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR) });
}

bool
spool_crowd_take(const struct spool *s)
{
	return unlinkat(s->root, "crowd", 0) == 0;
}

bool
spool_has_room(const struct spool *s, int64_t octets, int64_t reserve)
{
	struct statvfs st;
	if (fstatvfs(s->tmp, &st) < 0)
		return true;
	bool files = st.f_files == 0 || st.f_favail > 0; /* some file systems do not count them */
	return files && (int64_t)st.f_bavail >= (octets + reserve) / (int64_t)st.f_frsize;
}

static void
spool_sweep_one(const struct spool *s, const char *name)
{
	auto_fd fd = openat(s->tmp, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	int64_t age = clock_wall() - (int64_t)st.st_mtime;
	if (age > SPOOL_TMP_AGE && lock_exclusive(fd, 0, LOCK_WHOLE) == 0)
		unlinkat(s->tmp, name, 0);
}

void
spool_sweep(const struct spool *s)
{
	int fd = openat(s->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	auto_dir dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			spool_sweep_one(s, e->d_name);
}

int
draft_begin(struct draft *d, const struct spool *s, const struct envelope *e)
{
	d->spool = s;
	d->fd = -1;
	d->err = 0;
	d->head_written = false;
	d->recipients = d->lanes = 0;
	d->length = 0;
	d->crc = 0;
	d->fill = 0;
	int err = id_new(d->id);
	if (err < 0)
		return err;
	d->head.max = DRAFT_HEAD;
	buf_reset(&d->head);
	buf_printf(&d->head, MESSAGE_MAGIC "\nId: %s\nArrived: %lld\nFrom: ", d->id,
		(long long)clock_wall());
	buf_add(&d->head, e->sender);
	buf_puts(&d->head, "\n");
	envelope_write(&d->head, e);
	return d->head.err;
}

/* The lane's place in d->lane, or -E2BIG. */
static int
draft_lane(struct draft *d, const char *lane)
{
	for (int i = 0; i < d->lanes; i++)
		if (strcmp(d->lane[i], lane) == 0)
			return i;
	if (d->lanes == DRAFT_LANES)
		return -E2BIG;
	snprintf(d->lane[d->lanes], sizeof(d->lane[0]), "%s", lane);
	return d->lanes++;
}

int
draft_recipient(struct draft *d, const char *lane, struct span address,
	const struct terms *terms)
{
	size_t before = d->head.n;
	int lanes = d->lanes;
	int r = draft_lane(d, lane);
	if (r < 0)
		return r;
	buf_printf(&d->head, "To: %s ", lane);
	buf_add(&d->head, address);
	buf_puts(&d->head, "\n");
	envelope_write_terms(&d->head, terms);
	if (d->head.err < 0) {
		r = d->head.err;
		d->head.err = 0;
		d->head.n = before;
		d->lanes = lanes;
		return r;
	}
	d->recipients++;
	return 0;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Writes out what is gathered; the first time it makes the file and locks it for its writer. */
static int
draft_flush(struct draft *d)
{
	if (d->fd < 0) {
		d->fd = openat(d->spool->tmp, d->id,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
		if (d->fd < 0)
			return -errno;
		int r = lock_exclusive(d->fd, 0, LOCK_WHOLE);
		if (r < 0)
			return r;
	}
	int r = write_all(d->fd, d->buffer, d->fill);
	d->fill = 0;
	return r;
}

static void
draft_gather(struct draft *d, struct span s)
{
	while (d->err == 0 && s.n > 0) {
		if (d->fill == sizeof(d->buffer)) {
			d->err = draft_flush(d);
			continue;
		}
		size_t room = sizeof(d->buffer) - d->fill;
		size_t n = s.n < room ? s.n : room;
		memcpy(d->buffer + d->fill, s.p, n);
		d->fill += n;
		s = span_skip(s, n);
	}
}

static void
draft_head(struct draft *d)
{
	if (d->head_written)
		return;
	d->head_written = true;
	d->head.max = DRAFT_HEAD + 1; /* however full of recipients, the empty line fits */
	buf_puts(&d->head, "\n");
	if (d->err == 0)
		d->err = d->head.err;
	d->crc = crc32c(0, d->head.p, d->head.n);
	draft_gather(d, buf_span(&d->head));
}

void
draft_body(struct draft *d, struct span bytes)
{
	draft_head(d);
	d->length += bytes.n;
	d->crc = crc32c(d->crc, bytes.p, bytes.n);
	draft_gather(d, bytes);
}

/* A lane of a draft that is being committed. */
struct target {
	int dir;
	bool proven; /* its own name is known to be on disk */
};

/*
 * Gives the message its name in lane i; the last lane takes the temporary name away. A lane that
 * is removed just now by a relay that emptied it (ENOENT) is made again, a few times.
 */
static int
draft_name(struct draft *d, int i, struct target *t)
{
	enum { LANE_RACES = 10 };
	for (int race = 0; race < LANE_RACES; race++) {
		t->dir = lane_for_writing(d->spool, d->lane[i], &t->proven);
		if (t->dir == -ENOENT)
			continue;
		if (t->dir < 0)
			return t->dir;
		int r = i + 1 < d->lanes ? linkat(d->spool->tmp, d->id, t->dir, d->id, 0)
					 : renameat(d->spool->tmp, d->id, t->dir, d->id);
		if (r == 0)
			return 0;
		int err = errno;
		close(t->dir);
		t->dir = -1;
		if (err != ENOENT)
			return -err;
	}
	return -ENOENT;
}

/* Syncs the file, the names of new lanes, and its name in each lane. One journal commit has it all. */
static int
draft_sync(struct draft *d, const struct target *t)
{
	bool proven = true;
	/* BREAK_... are set only by builds that must lose mail (docs/CONTRIBUTING.md). */
#ifdef BREAK_NO_LANE_FSYNC
	return 0;
#endif
#ifndef BREAK_NO_FILE_FSYNC
	if (fsync(d->fd) < 0)
		return -errno;
#endif
	for (int i = 0; i < d->lanes; i++)
		proven = proven && t[i].proven;
	if (!proven && fsync(d->spool->lanes) < 0)
		return -errno;
	for (int i = 0; i < d->lanes; i++)
		if (fsync(t[i].dir) < 0)
			return -errno;
	return 0;
}

/* The message is safe: new lanes get their proof, and what waits is due. */
static void
draft_publish(struct draft *d, const struct target *t)
{
	for (int i = 0; i < d->lanes; i++) {
		auto_fd lock = t[i].proven ? -1 : lane_prove(t[i].dir);
		(void)lock; /* without it the next one who comes syncs again */
		lane_announce(t[i].dir);
	}
}

/* Takes the names out again, and new lanes if nobody else has put mail into them. */
static void
draft_unname(struct draft *d, const struct target *t)
{
	for (int i = 0; i < d->lanes; i++) {
		if (t[i].dir >= 0)
			unlinkat(t[i].dir, d->id, 0);
		if (!t[i].proven)
			unlinkat(d->spool->lanes, d->lane[i], AT_REMOVEDIR);
	}
}

int
draft_commit(struct draft *d)
{
	struct target target[DRAFT_LANES];
	for (int i = 0; i < DRAFT_LANES; i++)
		target[i] = (struct target){ .dir = -1, .proven = true };

	draft_head(d);
	char end[MESSAGE_END_SIZE + 1];
	message_end(end, d->length, d->crc, d->id);
	draft_gather(d, (struct span){ end, MESSAGE_END_SIZE });
	if (d->err == 0)
		d->err = draft_flush(d);
#ifdef BREAK_NO_LANE_FSYNC /* all of the file is on disk, and then it gets names that are not */
	(void)fsync(d->fd);
#endif
	for (int i = 0; i < d->lanes && d->err == 0; i++)
		d->err = draft_name(d, i, &target[i]);
	if (d->err == 0)
		d->err = draft_sync(d, target);
	int err = d->err;
	if (err < 0) {
		draft_unname(d, target); /* while the lock still keeps relays away */
		draft_drop(d);
	} else {
		close(d->fd); /* first: a relay that is told of a message must be able to open it */
		d->fd = -1;
		draft_publish(d, target);
	}
	for (int i = 0; i < d->lanes; i++)
		cleanup_fd(&target[i].dir);
	return err;
}

void
draft_drop(struct draft *d)
{
	if (d->spool != NULL && d->fd >= 0) {
		unlinkat(d->spool->tmp, d->id, 0);
		close(d->fd);
	}
	d->fd = -1;
	d->spool = NULL;
	buf_reset(&d->head);
}

/*
 * Nothing here repairs: what cannot be opened is reported, and what is left over in tmp/ is old
 * enough to be nobody's before it goes.
 */
#include "queue/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/lock.h"

static int
spool_subdir(int root, const char *name)
{
	if (mkdirat(root, name, S_IRWXU) == 0 && fsync(root) < 0)
		return -errno;
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The file of slots. fd or -errno. */
static int
open_slots(int root)
{
	int fd = openat(root, "slots", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
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
	if (err >= 0 && faccessat(open_spool.root, "slots", F_OK, 0) < 0) {
		auto_fd slots = open_slots(open_spool.root);
		(void)slots; /* made while there is room, for relays that find none */
	}
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
	int fd = open_slots(s->root);
	if (fd < 0)
		return fd;
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
	/* Some file systems do not count files. */
	bool files = st.f_files == 0 || st.f_favail >= SPOOL_SPARE_FILES;
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

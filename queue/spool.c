/*
 * Nothing here repairs: what cannot be opened is reported, and what is left over in tmp/ is old
 * enough to be nobody's before it goes.
 */
#include "queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "lib/id.h"
#include "lib/lock.h"

int
spool_open_made(int parent, const char *name)
{
	enum { HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	int fd = openat(parent, name, HOW);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	if (mkdirat(parent, name, S_IRWXU) == 0 ? fsync(parent) < 0 : errno != EEXIST)
		return -errno;
	fd = openat(parent, name, HOW);
	return fd < 0 ? -errno : fd;
}

/* The root of the spool. As spool_open_made; its parent is looked at only if it is missing. */
static int
open_root(const char *path)
{
	char above[PATH_MAX];
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	size_t n = strlen(path);
	if (n >= sizeof(above))
		return -ENAMETOOLONG;
	memcpy(above, path, n + 1);
	while (n > 0 && above[n - 1] == '/')
		above[--n] = '\0';
	char *slash = strrchr(above, '/');
	if (slash == NULL)
		return -ENOENT;
	*slash = '\0';
	auto_fd parent = open(slash > above ? above : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return parent < 0 ? -errno : spool_open_made(parent, slash + 1);
}

int
spool_open(struct spool *s, const char *path)
{
	struct spool open_spool = SPOOL_CLOSED;
	struct stat st;
	int err = 0;

	err = open_spool.root = open_root(path);
	if (err >= 0)
		err = fstat(open_spool.root, &st) < 0 ? -errno : 0;
	if (err == 0 && (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0))
		err = -EPERM;
	if (err == 0)
		err = open_spool.lanes = spool_open_made(open_spool.root, "lane");
	if (err >= 0)
		err = open_spool.tmp = spool_open_made(open_spool.root, "tmp");
	if (err < 0) {
		spool_close(&open_spool);
		return err;
	}
	*s = open_spool;
	return 0;
}

int
spool_look(struct spool *s, const char *path)
{
	enum { HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	*s = SPOOL_CLOSED;
	s->root = openat(AT_FDCWD, path, HOW);
	if (s->root >= 0)
		s->lanes = openat(s->root, "lane", HOW);
	if (s->root < 0 || (s->lanes < 0 && errno != ENOENT)) {
		int err = -errno;
		spool_close(s);
		return err;
	}
	s->tmp = openat(s->root, "tmp", HOW);
	return 0;
}

void
spool_close(struct spool *s)
{
	cleanup_fd(&s->root);
	cleanup_fd(&s->lanes);
	cleanup_fd(&s->tmp);
	*s = SPOOL_CLOSED;
}

/* ---- what is wrong, in words ---------------------------------------------------------------- */

/*
 * What a directory of the spool has that explains `err`, and what to do. `name` is what the line
 * calls it. False: nothing, and nothing was said.
 */
static bool
explain_directory(const char *name, const char *path, int err, struct buf *why)
{
	struct stat st;
	long me = (long)geteuid();
	bool kept = err == -EACCES || err == -EPERM;
	if (lstat(path, &st) < 0)
		return false;
	if (err == -ENOTDIR && !S_ISDIR(st.st_mode))
		buf_printf(why, "%s is not a directory; \"mv %s %s.old\"", name, path, path);
	else if (kept && st.st_uid != geteuid())
		buf_printf(why, "%s belongs to user %ld and not to %ld, who runs this; \"chown -R "
			"%ld %s\"", name, (long)st.st_uid, me, me, path);
	else if (kept && (st.st_mode & S_IRWXU) != S_IRWXU)
		buf_printf(why, "%s has mode %04o, which does not let its owner; \"chmod 700 %s\"",
			name, (unsigned)st.st_mode & 07777, path);
	else
		return false;
	return true;
}

bool
spool_explain_part(const char *path, int err, struct buf *why)
{
	/* aside/ is made when a file goes there: what stands in its place is in the way then. */
	static const char *const parts[] = { "lane", "tmp", "aside" };
	char part[PATH_MAX];
	if (explain_directory("it", path, err, why))
		return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int n = snprintf(part, sizeof(part), "%s/%s", path, parts[i]);
		if (n < (int)sizeof(part) && explain_directory(part, part, err, why))
			return true;
	}
	return false;
}

/* A directory above the spool, the first one where the way ends. False: none. */
static bool
explain_way(const char *path, struct buf *why)
{
	char above[PATH_MAX];
	struct stat st;
	for (size_t i = 1; path[0] != '\0' && path[i] != '\0' && i < sizeof(above); i++) {
		if (path[i] != '/')
			continue;
		memcpy(above, path, i);
		above[i] = '\0';
		if (stat(above, &st) < 0)
			return false;
		if (!S_ISDIR(st.st_mode)) {
			buf_printf(why, "%s is not a directory; set spool to another one", above);
			return true;
		}
		if (faccessat(AT_FDCWD, above, X_OK, 0) < 0) {
			buf_printf(why, "user %ld, who runs this, may not search %s (mode %04o, of "
				"user %ld); \"chmod o+x %s\", or set spool to another directory",
				(long)geteuid(), above, (unsigned)st.st_mode & 07777,
				(long)st.st_uid, above);
			return true;
		}
	}
	return false;
}

static void
explain_missing(const char *path, int err, struct buf *why)
{
	int missing = errno;
	if ((missing == EACCES || missing == ENOTDIR) && explain_way(path, why))
		return;
	buf_printf(why, "%s, and it cannot be made: %s; \"install -d -m 700 -o %ld %s\" makes it",
		strerror(missing), strerror(-err), (long)geteuid(), path);
}

void
spool_explain(const char *path, int err, struct buf *why)
{
	char link[PATH_MAX];
	struct stat st;
	long me = (long)geteuid();
	buf_printf(why, "spool %s: ", path);
	if (lstat(path, &st) < 0) {
		explain_missing(path, err, why);
	} else if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(path, link, sizeof(link));
		buf_printf(why, "it is a symbolic link; set spool to what it leads to (%.*s)",
			n > 0 ? (int)n : 0, link);
	} else if (!S_ISDIR(st.st_mode)) {
		buf_puts(why, "it is not a directory");
	} else if (st.st_uid != geteuid()) {
		buf_printf(why, "it belongs to user %ld and not to %ld, who runs this; \"chown %ld "
			"%s\", or set spool to a directory in it, which is made if that may be",
			(long)st.st_uid, me, me, path);
	} else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		buf_printf(why,
			"others than its owner may write to it (mode %04o); \"chmod 700 %s\", or "
			"set spool to a directory in it, which is made if that may be",
			(unsigned)st.st_mode & 07777, path);
	} else if (!spool_explain_part(path, err, why)) {
		buf_puts(why, strerror(-err));
	}
}

int
spool_explain_lanes(const struct spool *s, const char *path, struct buf *why)
{
	enum { ALL = R_OK | W_OK | X_OK };
	char lane[PATH_MAX];
	struct stat st;
	int found = 0;
	auto_dir dir = dir_open(s->lanes);
	for (const char *name; dir != NULL && (name = dir_next(dir)) != NULL;) {
		if (name[0] == '.' || fstatat(s->lanes, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISDIR(st.st_mode) || faccessat(s->lanes, name, ALL, 0) == 0 ||
			errno != EACCES || found++ > 0)
			continue;
		int n = snprintf(lane, sizeof(lane), "%s/lane/%s", path, name);
		if (n >= (int)sizeof(lane) || !explain_directory(lane, lane, -EACCES, why))
			buf_printf(why, "%s: %s", name, strerror(EACCES));
	}
	return found;
}

/* ---- can it be used? ------------------------------------------------------------------------ */

/* All that a message needs of its file system: some that are shared, or by FUSE, lack a part. */
static int
try_file(const struct spool *s, int fd, const char *name, const char *second, const char **wrong)
{
	if (write(fd, name, strlen(name)) != (ssize_t)strlen(name) || fsync(fd) < 0)
		return -errno;
	*wrong = "its file system has no locks for open files";
	int r = lock_exclusive(fd, 0, LOCK_WHOLE);
	if (r < 0)
		return r;
	*wrong = "a file cannot have two names there, as a message for two domains has";
	return linkat(s->tmp, name, s->tmp, second, 0) < 0 ? -errno : 0;
}

/* May a file go there? It need not be there yet. */
static int
try_aside(const struct spool *s)
{
	auto_fd aside = openat(s->root, "aside", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (aside < 0)
		return errno == ENOENT ? 0 : -errno;
	return faccessat(aside, ".", W_OK | X_OK, 0) < 0 ? -errno : 0;
}

int
spool_try(const struct spool *s, const char **wrong)
{
	static const char written[] = "it cannot be written";
	char name[ID_SIZE], second[ID_SIZE];
	*wrong = written;
	int r = id_new(name);
	if (r == 0)
		r = id_new(second);
	if (r < 0)
		return r;
	auto_fd fd =
		openat(s->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	r = try_file(s, fd, name, second, wrong);
	unlinkat(s->tmp, name, 0);
	unlinkat(s->tmp, second, 0);
	if (r < 0)
		return r;
	*wrong = written;
	if (faccessat(s->lanes, ".", W_OK | X_OK, 0) < 0 ||
		faccessat(s->root, ".", W_OK | X_OK, 0) < 0)
		return -errno;
	return try_aside(s);
}

static bool
is_empty(int parent)
{
	auto_dir dir = dir_open(parent);
	if (dir == NULL)
		return false;
	for (const char *name; (name = dir_next(dir)) != NULL;)
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			return false;
	return errno == 0;
}

bool
spool_is_empty(const struct spool *s)
{
	return is_empty(s->lanes) && is_empty(s->tmp);
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
	auto_dir dir = dir_open(s->tmp);
	for (const char *name; dir != NULL && (name = dir_next(dir)) != NULL;)
		if (name[0] != '.')
			spool_sweep_one(s, name);
}

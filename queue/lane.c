/*
 * Lanes: directories of the spool, their locks and times.
 *
 * A lane exists while there is mail in it. Making and removing race with each other by design and
 * are settled without a lock above them: whoever links into a directory that is being removed gets
 * ENOENT and makes it again; the relay that removes a lane holds its lock, and if mail came in,
 * looks again as if it had just started. A lane with anything else in it stays (L18). A lock counts
 * only on an @lock that still has its name.
 */
#include "queue/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "lib/limits.h"
#include "lib/lock.h"

enum {
	LANE_SHOWN = 1000, /* octets of @lock that show how many are at the lane; it has none */
	LANE_KEPT = LIMIT_REST, /* s until a lane that could not be removed is looked at again */
};

/* Where others write to the same file system, what is gone may be "stale" instead. */
static int
lane_dir(const struct spool *s, const char *name)
{
	int fd = openat(s->lanes, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ESTALE ? -ENOENT : -errno;
}

static int
lane_lock_file(int dir, int flags)
{
	int fd = openat(dir, LANE_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, S_IRUSR | S_IWUSR);
	return fd < 0 ? -errno : fd;
}

/* Made without being opened: a session may do no more in a lane. */
int
lane_prove(int dir)
{
	int r = mknodat(dir, LANE_LOCK, S_IFREG | S_IRUSR | S_IWUSR, 0);
	return r == 0 || errno == EEXIST ? 0 : -errno;
}

int
lane_for_writing(const struct spool *s, const char *name, bool *proven)
{
	int dir = lane_dir(s, name);
	if (dir == -ENOENT) {
		if (mkdirat(s->lanes, name, S_IRWXU) < 0 && errno != EEXIST)
			return -errno;
		dir = lane_dir(s, name);
	}
	if (dir >= 0)
		*proven = faccessat(dir, LANE_LOCK, F_OK, 0) == 0;
	return dir;
}

void
lane_announce(int dir)
{
	struct stat st;
	if (fstatat(dir, LANE_RETRY, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == 0)
		unlinkat(dir, LANE_RETRY, 0);
}

int
lane_open(struct lane *l, const struct spool *s, const char *name)
{
	int dir = lane_dir(s, name);
	if (dir < 0)
		return dir;
	int lock = lane_lock_file(dir, 0);
	if (lock == -ENOENT) /* its writer is about to, or died before it could */
		lock = fsync(s->lanes) < 0 ? -errno : lane_lock_file(dir, O_CREAT);
	if (lock < 0) {
		close(dir);
		/* It is @lock that is a link, and the lane is there. */
		return lock == -ELOOP ? -EEXIST : lock;
	}
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->dir = dir;
	l->lock = lock;
	return 0;
}

int
lane_look(struct lane *l, const struct spool *s, const char *name)
{
	int dir = lane_dir(s, name);
	if (dir < 0)
		return dir;
	*l = (struct lane){ .dir = dir, .lock = -1 };
	snprintf(l->name, sizeof(l->name), "%s", name);
	return 0;
}

void
lane_close(struct lane *l)
{
	cleanup_fd(&l->dir);
	cleanup_fd(&l->lock);
	l->dir = l->lock = -1;
}

/*
 * Is the open @lock the one that has the name? Its link count would not tell: some file systems
 * keep a removed file that is open under another name.
 */
static bool
has_name(const struct lane *l)
{
	struct stat open_file, named;
	return fstat(l->lock, &open_file) == 0 &&
		fstatat(l->dir, LANE_LOCK, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

int
lane_take(struct lane *l)
{
	int r = lock_exclusive(l->lock, 0, LOCK_WHOLE);
	return r < 0 ? r : has_name(l) ? 0 : -ESTALE;
}

void
lane_show(const struct lane *l, int before, int n)
{
	for (; before < n; before++)
		(void)lock_shared(l->lock, LANE_SHOWN + before, 1);
	for (; before > n; before--)
		(void)lock_exclusive(l->lock, LANE_SHOWN + before - 1, 1);
}

int
lane_shown(const struct lane *l)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LANE_SHOWN,
		.l_len = 1 };
	auto_fd fd = openat(l->dir, LANE_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &f) < 0 || f.l_type == F_UNLCK)
		return -1;
	return f.l_type == F_RDLCK ? (int)f.l_len : 0;
}

void
lane_state(const struct lane *l, struct lane_state *out)
{
	*out = (struct lane_state){ 0 };
	auto_fd fd = openat(l->dir, LANE_RETRY, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	out->next = st.st_mtime;
	char text[32];
	ssize_t n = read(fd, text, sizeof(text));
	if (n <= 0)
		return;
	out->down = true;
	int64_t attempts = span_number(span_digits((struct span){ text, (size_t)n }));
	out->attempts = attempts >= 0 && attempts < INT32_MAX ? (int)attempts : 1;
}

bool
lane_is_due(const struct lane_state *st, int64_t now, int64_t longest)
{
	return st->next <= now || st->next > now + longest;
}

/* What only has the name of one, such as a file or a link, is none, and is never due. */
static bool
is_lane(const struct spool *s, const char *name)
{
	struct stat st;
	int r = fstatat(s->lanes, name, &st, AT_SYMLINK_NOFOLLOW);
	return r == 0 ? S_ISDIR(st.st_mode) : errno != ENOENT;
}

bool
lane_looks_due(const struct spool *s, const char *name, int64_t now, int64_t longest,
	int64_t *next)
{
	char path[LANE_NAME_SIZE + sizeof(LANE_RETRY) + 1];
	struct stat st;
	snprintf(path, sizeof(path), "%s/" LANE_RETRY, name);
	*next = 0;
	if (fstatat(s->lanes, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return is_lane(s, name);
	struct lane_state state = { .next = st.st_mtime };
	*next = state.next;
	return lane_is_due(&state, now, longest) && is_lane(s, name);
}

int
lane_set_time(int fd, int64_t next)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)next } };
	return futimens(fd, t) < 0 ? -errno : 0;
}

/*
 * @retry, to be written to. What cannot be written though it stands in this place, such as a file
 * that root has touched, goes: nothing in it is worth that the lane stands still. fd or -errno.
 */
static int
retry_file(const struct lane *l, int flags)
{
	enum { HOW = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC };
	int fd = openat(l->dir, LANE_RETRY, HOW | flags, S_IRUSR | S_IWUSR);
	if (fd < 0 && (errno == EACCES || errno == ELOOP || errno == EISDIR || errno == ENXIO) &&
		unlinkat(l->dir, LANE_RETRY, errno == EISDIR ? AT_REMOVEDIR : 0) == 0)
		fd = openat(l->dir, LANE_RETRY, HOW | flags, S_IRUSR | S_IWUSR);
	return fd < 0 ? -errno : fd;
}

int
lane_set_down(const struct lane *l, int attempts, int64_t next, const char *reason)
{
	auto_fd fd = retry_file(l, O_TRUNC);
	if (fd < 0)
		return fd;
	int err = dprintf(fd, "%d failed attempts: %s\n", attempts, reason) < 0 ? -errno : 0;
	int r = lane_set_time(fd, next); /* for which there is room where there is none for words */
	return err < 0 ? err : r;
}

static const struct timespec long_ago[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };

void
lane_wait_no_more(const struct lane *l)
{
	utimensat(l->dir, LANE_RETRY, long_ago, AT_SYMLINK_NOFOLLOW);
	lane_announce(l->dir); /* last: a relay that is at work here looks again */
}

int
lane_make_due(const struct lane *l)
{
	auto_dir dir = dir_open(l->dir);
	int err = dir == NULL ? -errno : 0;
	for (const char *name; dir != NULL && (name = dir_next(dir)) != NULL;) {
		size_t n = strlen(name);
		if (n > 4 && strcmp(name + n - 4, ".log") == 0 &&
			utimensat(l->dir, name, long_ago, AT_SYMLINK_NOFOLLOW) < 0 &&
			errno != ENOENT)
			err = -errno;
	}
	lane_wait_no_more(l);
	return err;
}

void
lane_set_up(const struct lane *l)
{
	unlinkat(l->dir, LANE_RETRY, 0);
}

int
lane_settle(const struct lane *l)
{
	auto_fd fd = retry_file(l, 0);
	return fd < 0 ? fd : 0;
}

/* Is there a name in the lane for which this is true? It may be, where that cannot be read. */
static bool
any_name(const struct lane *l, bool (*is)(const char *name))
{
	auto_dir dir = dir_open(l->dir);
	for (const char *name; dir != NULL && (name = dir_next(dir)) != NULL;)
		if (is(name))
			return true;
	return dir == NULL || errno != 0;
}

static bool
is_mail(const char *name)
{
	return id_valid(span_of(name));
}

static bool
is_stray(const char *name)
{
	static const char *const ours[] = { ".", "..", LANE_LOCK, LANE_RETRY };
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(name, ours[i]) == 0)
			return false;
	return !is_mail(name);
}

/*
 * A lane that could not be removed stays, and nothing in it is due for long; unless mail came in
 * before that was written: then -EAGAIN. Mail that comes after it takes the time away. Other
 * -errno: that cannot be written.
 */
static int
lane_keep(const struct lane *l)
{
	auto_fd retry = retry_file(l, 0);
	(void)lane_prove(l->dir); /* its name is on disk: the next writer need not sync it */
	int err = retry < 0 ? retry : lane_set_time(retry, clock_wall() + LANE_KEPT);
	if (!any_name(l, is_mail))
		return err;
	lane_announce(l->dir);
	return -EAGAIN;
}

/*
 * Takes the empty lane away. 0, or -EAGAIN when mail came in. Where a removed file is seen as long
 * as it is open, as by FUSE and NFS, the directory is empty only when @lock is closed; nobody works
 * in it then, for a lock counts only on an @lock that has its name. What does not go for another
 * reason, as where something is mounted, or lane/ may not be written to, is kept as well: it would
 * look due, to be removed again, for ever (L18).
 */
static int
lane_remove(struct lane *l, const struct spool *s)
{
	unlinkat(l->dir, LANE_RETRY, 0);
	unlinkat(l->dir, LANE_LOCK, 0);
	int r = unlinkat(s->lanes, l->name, AT_REMOVEDIR);
	cleanup_fd(&l->lock);
	l->lock = -1;
	if (r < 0 && (errno == ENOTEMPTY || errno == EEXIST))
		r = unlinkat(s->lanes, l->name, AT_REMOVEDIR);
	r = r < 0 && errno != ENOENT ? lane_keep(l) : 0;
	lane_close(l);
	return r;
}

int
lane_leave(struct lane *l, const struct spool *s, int64_t next)
{
	if (next == 0 && !any_name(l, is_stray))
		return lane_remove(l, s);
	if (next == 0)
		next = clock_wall() + LANE_KEPT;

	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)next } };
	int r = utimensat(l->dir, LANE_RETRY, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	cleanup_fd(&l->lock);
	l->lock = -1;
	if (r == 0 && faccessat(l->dir, LANE_RETRY, F_OK, 0) < 0)
		r = -errno;
	lane_close(l);
	return r == -ENOENT || r == -ESTALE ? -EAGAIN : r;
}

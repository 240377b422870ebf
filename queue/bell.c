#include "queue/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/lock.h"

enum { NAME = LANE_NAME_SIZE }; /* octets of the longest name, with its line end */

#define RELAYS "relay"

static const char bell_name[] = "bell", lock_name[] = "lock", mark_name[] = "missed";

/* A directory, made if need be. An fd or -errno. */
static int
open_or_make(int parent, const char *name)
{
	enum { HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	int fd = openat(parent, name, HOW);
	if (fd < 0 && errno == ENOENT &&
		(mkdirat(parent, name, S_IRWXU) == 0 || errno == EEXIST))
		fd = openat(parent, name, HOW);
	return fd < 0 ? -errno : fd;
}

int
bell_open_dir(const struct spool *s, const char *host, const char *login)
{
	auto_fd relays = open_or_make(s->root, RELAYS);
	if (relays < 0)
		return relays;
	auto_fd ours = open_or_make(relays, host);
	return ours < 0 ? ours : open_or_make(ours, login);
}

static bool
is_fifo(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

int
bell_ring(int dir, const char *lane)
{
	char name[NAME + 1];
	int n = snprintf(name, sizeof(name), "%s\n", lane);
	if (n >= (int)sizeof(name))
		return -EINVAL;
	auto_fd fd = openat(dir, bell_name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == EISDIR ? -ENXIO : -errno;
	if (!is_fifo(fd))
		return -ENXIO;
	/* Whole or not at all: it is shorter than PIPE_BUF. */
	if (write(fd, name, (size_t)n) == n || errno == EAGAIN)
		return 0;
	return errno == EPIPE ? -ENXIO : -errno;
}

static int
open_lock(int dir)
{
	int fd = openat(dir, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	return fd < 0 ? -errno : fd;
}

int
bell_lock(int dir)
{
	int fd = open_lock(dir);
	if (fd < 0)
		return fd;
	int r = lock_exclusive(fd, 0, LOCK_WHOLE);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

/*
 * A pipe has pages, and a name that does not fit into what is left of the last one begins another.
 * So each but the last is full but for less than a name.
 */
static size_t
least_when_full(int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int capacity = fcntl(fd, F_GETPIPE_SZ);
	size_t pages = capacity > 0 ? (size_t)capacity / page : 1;
	return pages * (page - NAME);
}

int
bell_make(int dir)
{
	struct stat st;
	if (fstatat(dir, bell_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISFIFO(st.st_mode))
			return 0;
		(void)unlinkat(dir, bell_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
	}
	return mkfifoat(dir, bell_name, S_IRUSR | S_IWUSR) < 0 && errno != EEXIST ? -errno : 0;
}

/* mknod(2) says EPERM for a file system; those that ask somebody else hand on what he says. */
bool
bell_is_impossible(int err)
{
	return err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS || err == -EINVAL;
}

int
bell_prepare(const struct spool *s, const char *host, const char *login)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), RELAYS "/%s/%s/%s", host, login, bell_name);
	if (faccessat(s->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) /* it is made last */
		return 0;
	auto_fd dir = bell_open_dir(s, host, login);
	if (dir < 0)
		return dir;
	auto_fd lock = open_lock(dir);
	return lock < 0 ? lock : bell_make(dir);
}

int
bell_leave_mark(int dir)
{
	auto_fd fd = openat(dir, mark_name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	return fd < 0 ? -errno : 0;
}

bool
bell_take_mark(int dir)
{
	return unlinkat(dir, mark_name, 0) == 0;
}

int
bell_listen(struct bell *b, int dir)
{
	int fd = openat(dir, bell_name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int own = openat(dir, bell_name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (own < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	b->fd = fd;
	b->own = own;
	b->most = least_when_full(fd);
	b->heard = b->n = b->at = 0;
	return 0;
}

void
bell_be_deaf(struct bell *b)
{
	b->fd = b->own = -1;
	b->most = SIZE_MAX;
	b->heard = b->n = b->at = 0;
}

/* The next line of what was read. False: there is none that is whole. */
static bool
take_line(struct bell *b, struct span *line)
{
	const char *from = b->buffer + b->at;
	const char *end = memchr(from, '\n', b->n - b->at);
	if (end == NULL)
		return false;
	*line = span_from(from, end);
	b->at += line->n + 1;
	return true;
}

/* More octets behind those that are left. False: there are none now. */
static bool
fill(struct bell *b)
{
	b->n -= b->at;
	memmove(b->buffer, b->buffer + b->at, b->n);
	b->at = 0;
	if (b->n == sizeof(b->buffer)) /* no name is that long */
		b->n = 0;
	ssize_t n;
	do
		n = read(b->fd, b->buffer + b->n, sizeof(b->buffer) - b->n);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	b->n += (size_t)n;
	b->heard += (size_t)n;
	return true;
}

enum bell_heard
bell_hear(struct bell *b, char lane[static LANE_NAME_SIZE])
{
	struct span line;
	while (!take_line(b, &line)) {
		if (fill(b))
			continue;
		bool full = b->heard >= b->most;
		b->heard = 0;
		return full ? BELL_ALL : BELL_SILENT;
	}
	if (!lane_name_valid(line)) /* whoever wrote that, it was about something */
		return BELL_ALL;
	memcpy(lane, line.p, line.n);
	lane[line.n] = '\0';
	return BELL_LANE;
}

void
bell_close(struct bell *b)
{
	cleanup_fd(&b->fd);
	cleanup_fd(&b->own);
	b->fd = b->own = -1;
}

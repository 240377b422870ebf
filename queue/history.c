#include "queue/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/id.h"

enum { CHUNK = 4096, NAME_SIZE = ID_SIZE + 4 };

struct name {
	char text[NAME_SIZE];
};

static struct name
name_of(const char *id)
{
	struct name n;
	snprintf(n.text, sizeof(n.text), "%.20s.log", id);
	return n;
}

/* To be written to; made if it is missing. A pipe in its place is not waited for. fd or -errno. */
static int
open_for_writing(const struct lane *l, const char *id)
{
	int fd = openat(l->dir, name_of(id).text,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	return fd < 0 ? -errno : fd;
}

int
history_read(const struct lane *l, const char *id, struct buf *text)
{
	char chunk[CHUNK];
	auto_fd fd = openat(l->dir, name_of(id).text,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (ssize_t r; (r = read(fd, chunk, sizeof(chunk))) != 0;) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		buf_add(text, (struct span){ chunk, (size_t)r });
		if (text->err < 0)
			break;
	}
	return 0;
}

int
history_append(const struct lane *l, const char *id, const struct buf *lines, int64_t next,
	bool sync)
{
	if (lines->err < 0)
		return lines->err;
	auto_fd fd = open_for_writing(l, id);
	if (fd < 0)
		return fd;
	ssize_t n = write(fd, lines->p, lines->n);
	int err = n < 0 ? -errno : n < (ssize_t)lines->n ? -ENOSPC : 0;
	int r = lane_set_time(fd, next);
	if (err == 0 && r == 0 && sync && fdatasync(fd) < 0)
		r = -errno;
	return err < 0 ? err : r;
}

int
history_set_next(const struct lane *l, const char *id, int64_t next)
{
	auto_fd fd = open_for_writing(l, id);
	return fd < 0 ? fd : lane_set_time(fd, next);
}

int
history_make_due(const struct lane *l, const char *id)
{
	static const struct timespec long_ago[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } };
	int r = utimensat(l->dir, name_of(id).text, long_ago, AT_SYMLINK_NOFOLLOW);
	return r < 0 && errno != ENOENT ? -errno : 0;
}

int
history_share(const struct lane *from, const struct lane *to, const char *id)
{
	struct name n = name_of(id);
	int r = linkat(from->dir, n.text, to->dir, n.text, 0);
	if (r < 0 && errno == EEXIST && unlinkat(to->dir, n.text, 0) == 0)
		r = linkat(from->dir, n.text, to->dir, n.text, 0);
	return r < 0 && errno != ENOENT ? -errno : 0;
}

int64_t
history_next(const struct lane *l, const char *id)
{
	struct stat st;
	if (fstatat(l->dir, name_of(id).text, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : 1;
	return st.st_mtime > 0 ? (int64_t)st.st_mtime : 1;
}

int
history_remove(const struct lane *l, const char *id)
{
	return unlinkat(l->dir, name_of(id).text, 0) < 0 && errno != ENOENT ? -errno : 0;
}

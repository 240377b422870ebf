#include "queue/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/dir.h"
#include "lib/id.h"
#include "lib/lock.h"
#include "mail/lane_name.h"

enum {
	SUM_SIZE = 16 + 1,                  /* a name of a file */
	PATH_SIZE = TALLY_DAY + LANE_NAME_SIZE + SUM_SIZE,
	HEAD_SIZE = sizeof("tally 16384 01234567\n"),
	PART = 4096,                        /* octets that are read at once */
};

static const char mark = '+';

void
tally_open(struct tally *t, const struct spool *s, int64_t reserve)
{
	*t = (struct tally){ .spool = s, .reserve = reserve,
		.dir = spool_open_made(s->root, TALLY_DIR) };
}

void
tally_day(int64_t wall, char out[static TALLY_DAY])
{
	char stamp[CLOCK_STAMP_SIZE];
	clock_stamp(wall, stamp);
	memcpy(out, stamp, TALLY_DAY - 1);
	out[TALLY_DAY - 1] = '\0';
}

int64_t
tally_begin(const char *day)
{
	int year, month, date, n = 0;
	char again[TALLY_DAY];
	if (strlen(day) != TALLY_DAY - 1 ||
		sscanf(day, "%4d-%2d-%2d%n", &year, &month, &date, &n) != 3 || n != TALLY_DAY - 1)
		return -1;
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = date };
	int64_t begin = (int64_t)timegm(&tm);
	if (begin < 0)
		return -1;
	tally_day(begin, again);
	return strcmp(again, day) == 0 ? begin : -1;
}

/* FNV-1a of 64 bits. Who makes two things with one sum has the one counted as the other. */
static void
sum_of(struct span what, char out[static SUM_SIZE])
{
	uint64_t sum = 0xcbf29ce484222325U;
	for (size_t i = 0; i < what.n; i++)
		sum = (sum ^ (unsigned char)what.p[i]) * 0x100000001b3U;
	snprintf(out, SUM_SIZE, "%016llx", (unsigned long long)sum);
}

/* ---- counting ------------------------------------------------------------------------------ */

/* Once more of what is known by this path. 0, -ENOENT: it is not; or -errno. */
static int
add_mark(const struct tally *t, const char *path)
{
	auto_fd fd = openat(t->dir, path,
		O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, &mark, 1) == 1 ? 0 : -errno;
}

/* The names in a domain's directory, but for "." and "..". */
static int
count_files(const struct tally *t, const char *path)
{
	int n = 0;
	auto_fd fd = openat(t->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir dir = dir_open(fd);
	while (dir != NULL && dir_next(dir) != NULL)
		n++;
	return n - 2;
}

/* The directory of a domain. 0 or -errno. */
static int
make_room(const struct tally *t, const char *day, const char *path)
{
	if (!spool_has_room(t->spool, TALLY_KEY, t->reserve))
		return -ENOSPC;
	if (mkdirat(t->dir, path, S_IRWXU) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || (mkdirat(t->dir, day, S_IRWXU) < 0 && errno != EEXIST))
		return -errno;
	return mkdirat(t->dir, path, S_IRWXU) == 0 || errno == EEXIST ? 0 : -errno;
}

/* The first of its kind: a file that is whole as soon as it has its name. 0, -EEXIST, or -errno. */
static int
make_file(const struct tally *t, const char *path, struct span what)
{
	char id[ID_SIZE];
	auto_buf text = buf_new(HEAD_SIZE + TALLY_KEY + 1);
	buf_printf(&text, "tally %zu %08x\n", what.n, (unsigned)crc32c(0, what.p, what.n));
	buf_add(&text, what);
	buf_add(&text, (struct span){ &mark, 1 });
	int err = text.err < 0 ? text.err : id_new(id);
	if (err < 0)
		return err;
	auto_fd fd = openat(t->spool->tmp, id,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text.p, text.n);
	if (n != (ssize_t)text.n)
		err = n < 0 ? -errno : -ENOSPC;
	else if (linkat(t->spool->tmp, id, t->dir, path, 0) < 0)
		err = -errno;
	unlinkat(t->spool->tmp, id, 0);
	return err;
}

int
tally_add(const struct tally *t, int64_t wall, const char *domain, struct span what,
	struct span brief)
{
	char day[TALLY_DAY], sum[SUM_SIZE], dir[PATH_SIZE], path[PATH_SIZE + SUM_SIZE];
	if (!tally_is_on(t))
		return -EBADF;
	tally_day(wall, day);
	snprintf(dir, sizeof(dir), "%s/%s", day, domain);
	sum_of(what, sum);
	snprintf(path, sizeof(path), "%s/%s", dir, sum);
	int err = add_mark(t, path);
	if (err != -ENOENT)
		return err;
	err = make_room(t, day, dir);
	if (err < 0)
		return err;
	int files = count_files(t, dir);
	if (files >= TALLY_FILES) {
		what = brief;
		sum_of(what, sum);
		snprintf(path, sizeof(path), "%s/%s", dir, sum);
		err = files < 2 * TALLY_FILES ? add_mark(t, path) : -EMLINK;
		if (err != -ENOENT)
			return err;
	}
	err = make_file(t, path, what);
	return err == -EEXIST ? add_mark(t, path) : err;
}

/* ---- what there is to do -------------------------------------------------------------------- */

enum { FARTHEST = 2 * TALLY_DAY_SECONDS }; /* a time that is later was written by another clock */

/* Is it one that is over, and not done? */
static bool
is_left(int dir, const char *day, int64_t now)
{
	char done[TALLY_DAY + sizeof(TALLY_DONE)];
	int64_t begin = tally_begin(day);
	if (begin < 0 || begin + TALLY_DAY_SECONDS > now)
		return false;
	snprintf(done, sizeof(done), "%s/" TALLY_DONE, day);
	return begin + 2 * FARTHEST < now ||
		faccessat(dir, done, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

bool
tally_waits(const struct spool *s, int64_t now)
{
	struct stat st;
	if (fstatat(s->root, TALLY_DIR "/" TALLY_LOCK, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_mtime > now && st.st_mtime <= now + FARTHEST)
		return false;
	auto_fd dir = openat(s->root, TALLY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir days = dir >= 0 ? dir_open(dir) : NULL;
	for (const char *name; days != NULL && (name = dir_next(days)) != NULL;)
		if (is_left(dir, name, now))
			return true;
	return false;
}

int
tally_lock(const struct spool *s)
{
	int fd = openat(s->root, TALLY_DIR "/" TALLY_LOCK,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR);
	int r = fd < 0 ? -errno : lock_exclusive(fd, 0, LOCK_WHOLE);
	if (r < 0)
		cleanup_fd(&fd);
	return r < 0 ? r : fd;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* The octets behind what it was; what is none of ours does not count. How many, or -errno. */
static int64_t
count_marks(int fd, off_t at)
{
	char part[PART];
	int64_t times = 0;
	ssize_t n;
	for (; (n = pread(fd, part, sizeof(part), at)) > 0; at += n)
		for (ssize_t i = 0; i < n; i++)
			times += part[i] == mark;
	return n < 0 ? -errno : times;
}

/* What it was, which stands there from `at` on. 0, -ENODATA or -errno. */
static int
read_what(int fd, off_t at, size_t length, unsigned sum, struct buf *text)
{
	auto_memory char *what = malloc(length);
	ssize_t n = what == NULL ? -1 : pread(fd, what, length, at);
	if (n < 0)
		return what == NULL ? -ENOMEM : -errno;
	if (n != (ssize_t)length || crc32c(0, what, length) != sum)
		return -ENODATA;
	buf_reset(text);
	buf_add(text, (struct span){ what, length });
	return text->err;
}

/* Does this errno say what the file is, and not that it cannot be read now? */
static int
reading_failed(int err)
{
	return err == ENOENT || err == ELOOP || err == ENXIO || err == EISDIR ? -ENODATA : -err;
}

int
tally_read(int dir, const char *name, struct buf *text, int64_t *times)
{
	char head[HEAD_SIZE];
	size_t length;
	unsigned sum;
	int end = 0;
	auto_fd fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head) - 1, 0);
	if (n < 0)
		return reading_failed(errno);
	head[n] = '\0';
	if (sscanf(head, "tally %5zu %8x%n", &length, &sum, &end) != 2 || head[end] != '\n' ||
		length == 0 || length > TALLY_KEY)
		return -ENODATA;
	int err = read_what(fd, end + 1, length, sum, text);
	int64_t marks = err < 0 ? err : count_marks(fd, end + 1 + (off_t)length);
	if (marks <= 0)
		return marks < 0 ? (int)marks : -ENODATA;
	*times = marks;
	return 0;
}

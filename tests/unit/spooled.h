/* spooled: a spool of its own for a test, as setup and teardown. */
#ifndef POSTERN_SPOOLED_H
#define POSTERN_SPOOLED_H

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "queue/draft.h"
#include "queue/message.h"
#include "queue/spool.h"

#define BODY "Received: x\r\n\r\nHello\r\n.\r\n"
#define ID   "0123456789abcdefghjk"

static char top[64]; /* where it is */
static struct spool sp = { -1, -1, -1 };
static struct draft d; /* large */
static const struct terms no_terms;

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int
setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/postern-spool-XXXXXX");
	return mkdtemp(top) == NULL || spool_open(&sp, top) < 0 ? -1 : 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	draft_drop(&d);
	spool_close(&sp);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Number of names in a directory of the spool, "@lock" and "@retry" left out; -1: no directory. */
static inline int
names(const char *path)
{
	int n = 0;
	int fd = openat(sp.root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return -1;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.' && e->d_name[0] != '@';
	closedir(dir);
	return n;
}

static inline struct span
slurp(int dir, const char *path)
{
	static char text[2 * 1024 * 1024];
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, text, sizeof(text));
	assert_true(n >= 0 && n < (ssize_t)sizeof(text));
	close(fd);
	return (struct span){ text, (size_t)n };
}

static inline void
spill(int dir, const char *path, struct span s)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, s.p, s.n), s.n);
	close(fd);
}

static inline void
set_age(int dir, const char *path, int64_t age)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = clock_wall() - age } };
	assert_int_equal(utimensat(dir, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static inline bool
exists(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void
begin(const char *sender)
{
	assert_int_equal(draft_begin(&d, &sp, &(struct envelope){ .sender = span_of(sender) }), 0);
}

static inline void
add(const char *lane, const char *address)
{
	assert_int_equal(draft_recipient(&d, lane, span_of(address), &no_terms), 0);
}

/* A message from s@s.example to lane "d.example", u1 and u3, and to "e.example", u2. */
static inline void
queue_two(void)
{
	begin("s@s.example");
	add("d.example", "u1@d.example");
	add("e.example", "u2@e.example");
	add("d.example", "u3@D.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
}

static inline void
open_lane(struct lane *l, const char *name)
{
	*l = LANE_CLOSED;
	assert_int_equal(lane_open(l, &sp, name), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif

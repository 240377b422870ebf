#include "tlsreport/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "lib/id.h"
#include "queue/held.h"
#include "queue/tally.h"

#define NEW  "@new"
#define POST "@post-"

enum {
	HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
	POST_NAME = sizeof(POST) + 12,
};

/* Calls for each name but "." and "..". The first error that it meets, or 0. */
static int
each(int dir, int (*does)(int dir, const char *name, void *context), void *context)
{
	int err = 0;
	auto_dir all = dir_open(dir);
	if (all == NULL)
		return -errno;
	for (const char *name; (name = dir_next(all)) != NULL;) {
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		int r = does(dir, name, context);
		err = err < 0 ? err : r;
	}
	return err < 0 ? err : -errno;
}

/* ---- taking away ---------------------------------------------------------------------------- */

static int
remove_file(int dir, const char *name, void *context)
{
	(void)context;
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A directory, which holds what `of` removes; or a file. */
static int
remove_with(int dir, const char *name, int (*of)(int dir, const char *name, void *context))
{
	auto_fd inside = openat(dir, name, HOW);
	if (inside < 0)
		return errno == ENOENT ? 0 : remove_file(dir, name, NULL);
	(void)each(inside, of, NULL);
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Three levels, and no more: what is deeper was made by somebody else, and stays. */
static int
remove_lane(int dir, const char *name, void *context)
{
	(void)context;
	return remove_with(dir, name, remove_file);
}

static int
remove_box(int dir, const char *name, void *context)
{
	(void)context;
	return remove_with(dir, name, remove_lane);
}

void
outbox_remove(int day, const char *name)
{
	(void)remove_with(day, name, remove_box);
}

/* ---- writing ------------------------------------------------------------------------------- */

int
outbox_begin(struct spool *spool, const struct spool *s, int domain)
{
	int r = remove_box(domain, NEW, NULL);
	if (r == 0)
		r = spool_open_made(domain, NEW);
	if (r < 0)
		return r;
	*spool = *s;
	spool->lanes = r;
	return 0;
}

int
outbox_seal(struct spool *spool, int domain)
{
	cleanup_fd(&spool->lanes);
	spool->lanes = -1;
	if (renameat(domain, NEW, domain, TALLY_OUT) < 0)
		return -errno;
	return fsync(domain) < 0 ? -errno : 0;
}

void
outbox_forget(struct spool *spool, int domain)
{
	cleanup_fd(&spool->lanes);
	spool->lanes = -1;
	(void)remove_box(domain, NEW, NULL);
}

bool
outbox_is_sealed(int domain)
{
	return faccessat(domain, TALLY_OUT, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static void
name_post(int n, char name[static POST_NAME])
{
	snprintf(name, POST_NAME, POST "%d", n);
}

/* In two writes, for both are known to be there when it gets its name: all of @new does. */
int
outbox_put(const struct spool *spool, int n, const char *url, struct span packed)
{
	static const struct timespec never[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 0 } };
	char name[POST_NAME];
	name_post(n, name);
	auto_buf text = buf_new(OUTBOX_POST);
	buf_printf(&text, "%s\n", url);
	buf_add(&text, packed);
	auto_fd fd = openat(spool->lanes, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0 || text.err < 0)
		return text.err < 0 ? text.err : -errno;
	for (size_t done = 0; done < text.n;) {
		ssize_t w = write(fd, text.p + done, text.n - done);
		if (w < 0)
			return -errno;
		done += (size_t)w;
	}
	if (futimens(fd, never) < 0 || fsync(fd) < 0 || fsync(spool->lanes) < 0)
		return -errno;
	return 0;
}

/* ---- sending ------------------------------------------------------------------------------- */

static int
remove_tally(int dir, const char *name, void *context)
{
	return name[0] == '@' ? 0 : remove_file(dir, name, context);
}

/* What comes out of an outbox, and where to. */
struct move {
	const struct spool *spool;
	struct lane from; /* the lane of the outbox */
};

/* One mail goes where a relay finds it, which hears of it from the timer. */
static int
move_mail(int dir, const char *name, void *context)
{
	const struct move *m = context;
	struct lane to = LANE_CLOSED;
	(void)dir;
	if (!id_valid(span_of(name)))
		return 0;
	int r = held_let_go(&m->from, &to, m->spool, name);
	if (r == 0)
		r = held_sync(&to, &m->from);
	if (r == 0)
		lane_announce(to.dir);
	lane_close(&to);
	return r;
}

static int
move_lane(int dir, const char *name, void *context)
{
	struct move m = *(const struct move *)context;
	if (!lane_name_valid(span_of(name)))
		return 0;
	auto_fd from = openat(dir, name, HOW);
	snprintf(m.from.name, sizeof(m.from.name), "%s", name);
	m.from.dir = from;
	int r = from < 0 ? -errno : each(from, move_mail, &m);
	return r < 0 ? r : remove_lane(dir, name, NULL);
}

int
outbox_flush(const struct spool *s, int domain)
{
	struct move m = { .spool = s, .from = LANE_CLOSED };
	auto_fd out = openat(domain, TALLY_OUT, HOW);
	if (out < 0)
		return -errno;
	(void)each(domain, remove_tally, NULL);
	return each(out, move_lane, &m);
}

static int
count(int dir, const char *name, void *context)
{
	(void)dir;
	(void)name;
	++*(int *)context;
	return 0;
}

bool
outbox_is_empty(int domain)
{
	int n = 0;
	auto_fd out = openat(domain, TALLY_OUT, HOW);
	return out >= 0 && each(out, count, &n) == 0 && n == 0;
}

/* ---- posting ------------------------------------------------------------------------------- */

struct visit {
	outbox_visitor *visit;
	void *context;
};

static int
visit_post(int dir, const char *name, void *context)
{
	const struct visit *v = context;
	struct stat st;
	int n = 0, end = 0;
	if (sscanf(name, POST "%9d%n", &n, &end) != 1 || name[end] != '\0')
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return v->visit(v->context, n, (int64_t)st.st_mtime);
}

int
outbox_posts(int domain, outbox_visitor *visit, void *context)
{
	struct visit v = { visit, context };
	auto_fd out = openat(domain, TALLY_OUT, HOW);
	return out < 0 ? -errno : each(out, visit_post, &v);
}

int
outbox_put_off(int domain, int n, int64_t until)
{
	char name[POST_NAME];
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = until } };
	name_post(n, name);
	auto_fd out = openat(domain, TALLY_OUT, HOW);
	return out < 0 || utimensat(out, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Whatever is in it; what cannot be read is nothing. */
static int
read_post(int dir, const char *name, struct buf *text)
{
	char part[4096];
	ssize_t n;
	auto_fd fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_add(text, (struct span){ part, (size_t)n });
	return n < 0 ? -errno : text->err;
}

int
outbox_post(int domain, int n, outbox_poster *post, void *context)
{
	char name[POST_NAME];
	name_post(n, name);
	auto_fd out = openat(domain, TALLY_OUT, HOW);
	auto_buf text = buf_new(OUTBOX_POST);
	int r = out < 0 ? -errno : read_post(out, name, &text);
	struct span packed = buf_span(&text), line = span_cut(&packed, '\n');
	auto_memory char *url = r == 0 ? strndup(line.p, line.n) : NULL;
	if (r == 0)
		r = url == NULL ? -ENOMEM : post(context, url, packed);
	return r < 0 ? r : remove_file(out, name, NULL);
}

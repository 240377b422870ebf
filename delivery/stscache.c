#include "delivery/stscache.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "lib/file.h"
#include "lib/limits.h"

enum {
	HEAD = 512,         /* octets of the lines before the policy: four, of 32 octets of id */
	KEPT = 24 * 3600,   /* s that a file stays when its time is over, for what was tried */
	NEW_SIZE = 24,      /* ".new-" and 16 digits */
	TIMES_MAX = 1000000,
};

/* What could not be written. */
struct unwritten {
	char domain[LIMIT_DOMAIN + 1]; /* "": the place is free */
	struct stscache_entry entry;
};

struct stscache_memory {
	pthread_mutex_t lock;
	struct unwritten v[STSCACHE_UNWRITTEN];
};

static int
open_dir(int spool)
{
	int dir = openat(spool, "sts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir < 0 ? -errno : dir;
}

void
stscache_open(struct stscache *c, int spool)
{
	bool there = mkdirat(spool, "sts", S_IRWXU) == 0 || errno == EEXIST;
	c->dir = there ? open_dir(spool) : -errno;
	c->memory = calloc(1, sizeof(*c->memory));
	if (c->memory != NULL)
		pthread_mutex_init(&c->memory->lock, NULL);
}

void
stscache_look(struct stscache *c, int spool)
{
	*c = (struct stscache){ .dir = spool < 0 ? -EBADF : open_dir(spool) };
}

void
stscache_close(struct stscache *c)
{
	cleanup_fd(&c->dir);
	c->dir = -EBADF;
	for (int i = 0; i < STSCACHE_UNWRITTEN && c->memory != NULL; i++)
		stscache_free(&c->memory->v[i].entry);
	free(c->memory);
	c->memory = NULL;
}

void
stscache_free(struct stscache_entry *e)
{
	buf_free(&e->text);
	*e = STSCACHE_ENTRY_NONE;
}

/* ---- memory -------------------------------------------------------------------------------- */

/* False: there is no memory. */
static bool
copy(struct stscache_entry *out, const struct stscache_entry *e)
{
	*out = *e;
	out->text = buf_new(STS_TEXT);
	buf_add(&out->text, buf_span(&e->text));
	out->policy.text = buf_span(&out->text);
	if (out->text.err == 0)
		return true;
	stscache_free(out);
	return false;
}

static struct unwritten *
find(struct stscache_memory *m, const char *domain)
{
	for (int i = 0; i < STSCACHE_UNWRITTEN; i++)
		if (strcmp(m->v[i].domain, domain) == 0)
			return &m->v[i];
	return NULL;
}

/* That of the domain, or a free one, or one of which no policy is in force. */
static struct unwritten *
find_place(struct stscache_memory *m, const char *domain)
{
	struct unwritten *u = find(m, domain);
	if (u == NULL)
		u = find(m, "");
	for (int i = 0; i < STSCACHE_UNWRITTEN && u == NULL; i++)
		if (!stscache_is_valid(&m->v[i].entry, clock_wall()))
			u = &m->v[i];
	return u;
}

static void
clear(struct unwritten *u)
{
	stscache_free(&u->entry);
	u->domain[0] = '\0';
}

static void
remember(const struct stscache *c, const char *domain, const struct stscache_entry *e)
{
	if (c->memory == NULL)
		return;
	pthread_mutex_lock(&c->memory->lock);
	struct unwritten *u = find_place(c->memory, domain);
	if (u != NULL) {
		clear(u);
		if (copy(&u->entry, e))
			snprintf(u->domain, sizeof(u->domain), "%s", domain);
	}
	pthread_mutex_unlock(&c->memory->lock);
}

/* Once it is written. */
static void
forget(const struct stscache *c, const char *domain)
{
	if (c->memory == NULL)
		return;
	pthread_mutex_lock(&c->memory->lock);
	struct unwritten *u = find(c->memory, domain);
	if (u != NULL)
		clear(u);
	pthread_mutex_unlock(&c->memory->lock);
}

static bool
recall(const struct stscache *c, const char *domain, struct stscache_entry *out)
{
	if (c->memory == NULL)
		return false;
	pthread_mutex_lock(&c->memory->lock);
	const struct unwritten *u = find(c->memory, domain);
	bool known = u != NULL && copy(out, &u->entry);
	pthread_mutex_unlock(&c->memory->lock);
	return known;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool
take_id(struct span s, char out[static STS_ID + 1])
{
	if (s.n == 0 || s.n > STS_ID || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

/* A time, or how often. False: it is neither. */
static bool
take_number(struct span *line, int64_t most, int64_t *out)
{
	int64_t n = span_number(span_word(line, " "));
	if (n <= 0 || n > most)
		return false;
	*out = n;
	return true;
}

/* A line before the policy. What is not known, or cannot be, is passed by. */
static void
take_line(struct span line, struct stscache_entry *e)
{
	struct span name = span_word(&line, " ");
	struct stscache_entry was = *e;
	bool good = true;
	if (span_eq(name, span_of("id")))
		good = take_id(span_word(&line, " "), e->id);
	else if (span_eq(name, span_of("fetched")))
		good = take_number(&line, INT64_MAX / 2, &e->fetched);
	else if (span_eq(name, span_of("tried")))
		good = take_number(&line, INT64_MAX / 2, &e->tried) &&
			take_number(&line, TIMES_MAX, &e->times) &&
			take_id(span_word(&line, " "), e->tried_id);
	else if (span_eq(name, span_of("changed")))
		good = take_number(&line, INT64_MAX / 2, &e->changed) &&
			take_number(&line, TIMES_MAX, &e->changes);
	if (!good)
		*e = was;
}

static void
read_entry(struct span file, struct stscache_entry *e)
{
	for (struct span line; file.n > 0 && (line = span_line(&file)).n > 0;)
		take_line(line, e);
	buf_add(&e->text, file);
	bool whole = e->id[0] != '\0' && e->fetched > 0 && e->text.err == 0 &&
		sts_policy(buf_span(&e->text), &e->policy) == NULL;
	if (!whole)
		e->id[0] = '\0';
}

static void
load_file(const struct stscache *c, const char *domain, struct stscache_entry *out)
{
	struct stat st;
	enum { FILE_MAX = STS_TEXT + HEAD };
	*out = STSCACHE_ENTRY_NONE;
	auto_fd fd = c->dir < 0 ? -1
		: openat(c->dir, domain, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	size_t n = 0;
	auto_memory char *text = file_read(fd, FILE_MAX, &n);
	if (n > 0)
		read_entry((struct span){ text, n }, out);
}

/* A file is older than what was to take its place; unless another process wrote it since then. */
void
stscache_load(const struct stscache *c, const char *domain, struct stscache_entry *out)
{
	struct stscache_entry file;
	if (!recall(c, domain, out)) {
		load_file(c, domain, out);
		return;
	}
	load_file(c, domain, &file);
	if (file.id[0] == '\0' || file.fetched <= out->fetched) {
		stscache_free(&file);
		return;
	}
	stscache_free(out);
	*out = file;
}

int64_t
stscache_age(const struct stscache_entry *e, int64_t now)
{
	return now > e->fetched ? now - e->fetched : 0;
}

bool
stscache_is_valid(const struct stscache_entry *e, int64_t now)
{
	return e->id[0] != '\0' && stscache_age(e, now) < e->policy.max_age;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Is there room for one more domain? */
static bool
has_room(const struct stscache *c, const struct stscache_entry *e)
{
	int n = 0, most = e->id[0] != '\0' ? STSCACHE_FILES : STSCACHE_VAIN;
	auto_dir all = dir_open(c->dir);
	if (all == NULL)
		return false;
	while (dir_next(all) != NULL)
		n++;
	return n < most;
}

/* When it is of no more use. */
static int64_t
end_of(const struct stscache_entry *e)
{
	int64_t end = e->id[0] != '\0' ? e->fetched + e->policy.max_age : 0;
	return end > e->tried ? end : e->tried;
}

static int
write_entry(int fd, const struct stscache_entry *e)
{
	auto_buf b = buf_new(HEAD + STS_TEXT);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = end_of(e) } };
	if (e->id[0] != '\0')
		buf_printf(&b, "id %s\nfetched %lld\n", e->id, (long long)e->fetched);
	if (e->tried != 0)
		buf_printf(&b, "tried %lld %lld %s\n", (long long)e->tried, (long long)e->times,
			e->tried_id);
	if (e->changed != 0)
		buf_printf(&b, "changed %lld %lld\n", (long long)e->changed,
			(long long)e->changes);
	buf_puts(&b, "\n");
	if (e->id[0] != '\0')
		buf_add(&b, buf_span(&e->text));
	if (b.err != 0)
		return b.err;
	ssize_t n = write(fd, b.p, b.n);
	if (n != (ssize_t)b.n)
		return n < 0 ? -errno : -ENOSPC;
	return futimens(fd, times) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int
save_file(const struct stscache *c, const char *domain, const struct stscache_entry *e)
{
	char new[NEW_SIZE];
	struct stat st;
	if (c->dir < 0)
		return c->dir;
	if (fstatat(c->dir, domain, &st, AT_SYMLINK_NOFOLLOW) < 0 && !has_room(c, e))
		return -EDQUOT;
	snprintf(new, sizeof(new), ".new-%08x%08x", arc4random(), arc4random());
	auto_fd fd = openat(c->dir, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	int err = write_entry(fd, e);
	if (err == 0 && renameat(c->dir, new, c->dir, domain) < 0)
		err = -errno;
	if (err < 0)
		(void)unlinkat(c->dir, new, 0);
	return err;
}

int
stscache_save(const struct stscache *c, const char *domain, const struct stscache_entry *e)
{
	int err = save_file(c, domain, e);
	if (err < 0)
		remember(c, domain, e);
	else
		forget(c, domain);
	return err;
}

/* Files that were never named fully have a time of their making, or of their policy. */
void
stscache_sweep(const struct stscache *c)
{
	struct stat st;
	int64_t now = clock_wall();
	auto_dir all = dir_open(c->dir);
	for (const char *name; all != NULL && (name = dir_next(all)) != NULL;)
		if (name[0] != '.' || strncmp(name, ".new-", 5) == 0)
			if (fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				(name[0] == '.' ? st.st_ctime : st.st_mtime) + KEPT < now)
				(void)unlinkat(c->dir, name, 0);
}

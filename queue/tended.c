/*
 * The file `tended` of a spool: "at <time>" when a relay was there last, and "gap <from> <to>" for
 * each time in which there was none for long. If the clock was set back, there is also an "at" that
 * is still to come: one of the two is wrong, and who comes next knows which. If it was the other
 * one, the clock was behind for a while, as that of a device that begins in 1970 until it has a
 * network: "jump <from> <to>" has the last time by which a relay was there then, and the time from
 * which on it is right again.
 */
#include "queue/tended.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/lock.h"

enum {
	SHORTEST = 3600,  /* s; a timer may come late, and is not away for that */
	GAPS = 32,        /* the latest; more than a machine that is off at night needs */
	FILE_MAX = 4096,  /* octets */
};

struct gap {
	int64_t from, to;
	bool jump; /* the clock was behind at `from` */
};

struct tended {
	bool begun;   /* something is known */
	int64_t last; /* a relay was there; 0: unknown */
	int64_t behind; /* ... and by a clock that was behind, later than that; 0: none was */
	int64_t next; /* ... at a time that is to come, by this clock; 0: none was */
	struct gap gap[GAPS];
	int n;
};

static void
add_gap(struct tended *t, struct gap g)
{
	if (t->n == GAPS)
		memmove(t->gap, t->gap + 1, (size_t)--t->n * sizeof(t->gap[0]));
	t->gap[t->n++] = g;
}

/* A line of the file, as it is seen at `now`. What is odd is passed by. */
static void
read_line(struct tended *t, const char *line, int64_t now)
{
	long long a, b;
	if (sscanf(line, "gap %lld %lld", &a, &b) == 2 && a < b)
		add_gap(t, (struct gap){ a, b, false });
	if (sscanf(line, "jump %lld %lld", &a, &b) == 2 && a < b)
		add_gap(t, (struct gap){ a, b, true });
	if (sscanf(line, "at %lld", &a) != 1 || a <= 0)
		return;
	if (a <= now && t->last != 0)
		t->behind = a < t->last ? a : t->last;
	if (a <= now && a > t->last)
		t->last = a;
	if (a > now && (t->next == 0 || a < t->next))
		t->next = a;
}

static void
read_file(struct tended *t, int fd, int64_t now)
{
	char text[FILE_MAX + 1];
	ssize_t n = pread(fd, text, FILE_MAX, 0);
	text[n > 0 ? n : 0] = '\0';
	t->begun = n > 0;
	for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		read_line(t, line, now);
	}
}

/* In one write, over what is there: that needs no room on the disk. 0 or -errno. */
static int
write_file(const struct tended *t, int fd)
{
	auto_buf text = buf_new(FILE_MAX);
	buf_printf(&text, "at %lld\n", (long long)t->last);
	if (t->next != 0)
		buf_printf(&text, "at %lld\n", (long long)t->next);
	for (int i = 0; i < t->n; i++)
		buf_printf(&text, "%s %lld %lld\n", t->gap[i].jump ? "jump" : "gap",
			(long long)t->gap[i].from, (long long)t->gap[i].to);
	if (text.err < 0)
		return text.err;
	ssize_t n = pwrite(fd, text.p, text.n, 0);
	if (n != (ssize_t)text.n)
		return n < 0 ? -errno : -ENOSPC;
	return ftruncate(fd, (off_t)text.n) < 0 ? -errno : 0;
}

/* A relay is there now. */
static void
note(struct tended *t, int64_t now, int64_t longest)
{
	if (t->behind != 0 && t->last - t->behind > longest)
		add_gap(t, (struct gap){ t->behind, t->last, true });
	if (t->begun && now - t->last > longest)
		add_gap(t, (struct gap){ t->last, now, false });
	t->last = now;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int
open_file(const struct spool *s, int flags)
{
	return openat(s->root, "tended",
		O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags,
		S_IRUSR | S_IWUSR);
}

void
tended_begin(const struct spool *s, int64_t now)
{
	const struct tended t = { .last = now };
	auto_fd fd = open_file(s, O_EXCL);
	if (fd >= 0)
		(void)write_file(&t, fd); /* a relay will, and says so if it cannot */
}

/*
 * Reads the file, and writes down that a relay is there, if no other one is just doing so. What
 * cannot be read is as if nobody had ever been there. 0 or -errno.
 */
static int
look(const struct spool *s, int64_t now, int64_t longest, struct tended *t)
{
	*t = (struct tended){ .begun = true };
	auto_fd fd = open_file(s, 0);
	int err = fd < 0 ? -errno : lock_exclusive(fd, 0, LOCK_WHOLE);
	if (fd >= 0)
		read_file(t, fd, now);
	note(t, now, longest);
	if (err == -EAGAIN)
		return 0; /* the other one does */
	return err < 0 ? err : write_file(t, fd);
}

int
tended_note(const struct spool *s, int64_t now, int64_t longest)
{
	struct tended t;
	return look(s, now, most(longest, SHORTEST), &t);
}

/*
 * When it came, by a clock that was not behind. Who came while a relay was at work may have come
 * after the time that is known of that; and of several times at which the clock was behind it is
 * the last one.
 */
static int64_t
arrival(const struct tended *t, int64_t since, int64_t now, int64_t longest)
{
	int64_t best = since;
	for (int i = 0; i < t->n; i++) {
		const struct gap *g = &t->gap[i];
		if (g->jump && since <= g->from + longest && g->to <= now)
			best = most(best, g->to - most(g->from - since, 0) - longest);
	}
	return best;
}

int64_t
tended_since(const struct spool *s, int64_t since, int64_t now, int64_t longest)
{
	struct tended t;
	longest = most(longest, SHORTEST);
	(void)look(s, now, longest, &t);
	since = arrival(&t, since, now, longest);
	int64_t age = now - since;
	for (int i = 0; i < t.n; i++) {
		const struct gap *g = &t.gap[i];
		int64_t from = most(g->from, since);
		if (!g->jump && g->to <= now && g->to - from > longest)
			age -= g->to - from - longest;
	}
	return age;
}

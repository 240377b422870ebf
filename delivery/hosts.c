#include "delivery/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"

enum {
	HOST_FILE = 512,        /* octets of a file; a longer one was not written by us */
	NAME_SIZE = NETADDR_TEXT + 8,
	LATENCY_MAX = 3600000,  /* ms; what is slower is a broken clock */
	GREY_MAX = 15 * 60,     /* s; a longer wait has other reasons than a greylist */
	WORDS_MAX = 0xffff,     /* CAN_* */
	SMOOTHING = 4,          /* one measurement counts for a quarter */
};

/*
 * What a file may hold. A time counts until it is too old; of an amount, `most` is the largest that
 * is believed.
 */
static const struct field {
	const char *name;
	size_t offset;
	int64_t most; /* 0: it is a time */
} fields[] = {
	{ "latency", offsetof(struct host_record, latency), LATENCY_MAX - 1 },
	{ "failed", offsetof(struct host_record, failed), 0 },
	{ "lockstep", offsetof(struct host_record, lockstep), 0 },
	{ "clear", offsetof(struct host_record, clear), 0 },
	{ "helo", offsetof(struct host_record, helo), 0 },
	{ "grey", offsetof(struct host_record, grey), GREY_MAX },
	{ "single", offsetof(struct host_record, single), 0 },
	{ "discards", offsetof(struct host_record, discards), 0 },
	{ "unchunked", offsetof(struct host_record, unchunked), 0 },
	{ "greyed", offsetof(struct host_record, greyed), 0 },
	{ "fewer", offsetof(struct host_record, fewer), 0 },
	{ "words", offsetof(struct host_record, words), WORDS_MAX },
	{ "plain", offsetof(struct host_record, plain), 0 },
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static int64_t *
value_of(const struct field *f, struct host_record *h)
{
	return (int64_t *)(void *)((char *)h + f->offset);
}

static void
file_name(const struct exchanger *to, char out[static NAME_SIZE])
{
	char text[NETADDR_TEXT];
	netaddr_text(&to->addr, text);
	snprintf(out, NAME_SIZE, "%s-%d", text, to->port);
}

/* Is anything kept of it? Of a socket nothing is: it has the address of all of them. */
static bool
is_kept(const struct hosts *hosts, const struct exchanger *to)
{
	return hosts->dir >= 0 && !to->socket;
}

void
hosts_open(struct hosts *h, int spool, int64_t age)
{
	*h = (struct hosts){ .dir = -1, .age = age };
	if (mkdirat(spool, "hosts", S_IRWXU) == 0 || errno == EEXIST)
		h->dir = openat(spool, "hosts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (h->dir < 0)
		h->dir = -errno;
}

void
hosts_look(struct hosts *h, int spool, int64_t age)
{
	*h = (struct hosts){ .dir = -EBADF, .age = age };
	if (spool < 0)
		return;
	h->dir = openat(spool, "hosts", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (h->dir < 0)
		h->dir = -errno;
}

/* A time that is not too long ago, and not to come. */
static bool
is_recent(int64_t t, int64_t now, int64_t age)
{
	return t > now - age && t <= now;
}

/* One pair of a file. What is not known is passed by, and what cannot be is not believed. */
static void
learn(struct host_record *h, struct span name, int64_t value, int64_t now, int64_t age)
{
	for (int i = 0; i < FIELDS; i++) {
		const struct field *f = &fields[i];
		bool ok = f->most > 0 ? value > 0 && value <= f->most : is_recent(value, now, age);
		if (span_eq(name, span_of(f->name)) && ok)
			*value_of(f, h) = value;
	}
}

void
hosts_recall(const struct hosts *hosts, const struct exchanger *to, struct host_record *out)
{
	char file[NAME_SIZE], text[HOST_FILE];
	struct stat st;
	int64_t now = clock_wall();
	*out = (struct host_record){ 0 };
	file_name(to, file);
	auto_fd fd = !is_kept(hosts, to) ? -1
		: openat(hosts->dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !is_recent(st.st_mtime, now, hosts->age))
		return;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0 || n == (ssize_t)sizeof(text) - 1)
		return;
	struct span rest = { text, (size_t)n };
	for (struct span name; (name = span_word(&rest, " \n")).n > 0;)
		learn(out, name, span_number(span_word(&rest, " \n")), now, hosts->age);
	if (out->fewer == 0)
		out->words = 0;
}

static void
note(const struct hosts *hosts, const struct exchanger *to, struct host_record *h)
{
	char file[NAME_SIZE];
	auto_buf text = buf_new(HOST_FILE - 1);
	file_name(to, file);
	auto_fd fd = !is_kept(hosts, to) ? -1
		: openat(hosts->dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK |
			O_CLOEXEC,
			S_IRUSR | S_IWUSR);
	for (int i = 0; i < FIELDS; i++)
		buf_printf(&text, "%s%s %lld", i > 0 ? " " : "", fields[i].name,
			(long long)*value_of(&fields[i], h));
	buf_puts(&text, "\n");
	if (fd >= 0)
		(void)!write(fd, text.p, text.n);
}

void
hosts_greeted(const struct hosts *hosts, const struct exchanger *to, int64_t latency)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	int64_t before = h.latency > 0 ? h.latency : latency;
	h.latency = (before * (SMOOTHING - 1) + latency) / SMOOTHING;
	if (h.latency == 0)
		h.latency = 1;
	h.failed = 0;
	note(hosts, to, &h);
}

/* Where the time of an event stands. */
static int64_t *
time_of(struct host_record *h, enum host_event e)
{
	int64_t *const when[] = { [HOST_FAILED] = &h->failed, [HOST_LOCKSTEP] = &h->lockstep,
		[HOST_SINGLE] = &h->single, [HOST_DISCARDS] = &h->discards,
		[HOST_UNCHUNKED] = &h->unchunked, [HOST_CLEAR] = &h->clear,
		[HOST_HELO] = &h->helo, [HOST_FEWER] = &h->fewer,
		[HOST_GREYED] = &h->greyed, [HOST_PLAIN] = &h->plain };
	return when[e];
}

void
hosts_silent(const struct hosts *hosts, const struct exchanger *to, int64_t ms)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	if (ms <= h.latency)
		return;
	h.latency = ms;
	note(hosts, to, &h);
}

void
hosts_mark(const struct hosts *hosts, const struct exchanger *to, enum host_event e)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	*time_of(&h, e) = clock_wall();
	note(hosts, to, &h);
}

void
hosts_unmark(const struct hosts *hosts, const struct exchanger *to, enum host_event e)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	if (*time_of(&h, e) == 0)
		return;
	*time_of(&h, e) = 0;
	note(hosts, to, &h);
}

void
hosts_mark_words(const struct hosts *hosts, const struct exchanger *to, unsigned words)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	h.fewer = clock_wall();
	h.words |= words;
	note(hosts, to, &h);
}

void
hosts_waited(const struct hosts *hosts, const struct exchanger *to, int64_t waited)
{
	struct host_record h;
	hosts_recall(hosts, to, &h);
	if (waited <= 0 || waited > GREY_MAX || (h.grey != 0 && h.grey <= waited))
		return;
	if (h.greyed == 0 || h.greyed < clock_wall() - waited)
		return;
	h.grey = waited;
	note(hosts, to, &h);
}

void
hosts_sweep(const struct hosts *hosts)
{
	int dir = hosts->dir;
	auto_dir all = dir_open(dir);
	struct stat st;
	for (const char *name; all != NULL && (name = dir_next(all)) != NULL;)
		if (name[0] != '.' && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			!is_recent(st.st_mtime, clock_wall(), hosts->age))
			unlinkat(dir, name, 0);
}

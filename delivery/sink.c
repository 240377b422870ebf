#include "delivery/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/guard.h"
#include "delivery/settle.h"
#include "delivery/tour.h"
#include "lib/cleanup.h"
#include "mail/lane_name.h"
#include "process/sandbox.h"

enum {
	FILE_NAME = ID_SIZE + 8, /* ".<id>.new", "<id>.eml" */
	WHY_MAX = 4096 + 200,    /* a path and some words */
	PIECE = 16 * 1024,
};

/* The guard, if it is one with a directory. */
static bool
find_guard(const struct relay *r, struct guard *g)
{
	return guard_parse(r->common.submission.guard, g) && g->kind == GUARD_SINK;
}

void
sink_open(struct relay *r)
{
	struct guard g;
	r->sink = -ENOENT;
	if (!find_guard(r, &g))
		return;
	int fd = open(g.what, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r->sink = fd < 0 ? -errno : fd;
	if (fd >= 0)
		sandbox_allow_files(fd);
}

bool
sink_has(const struct courier *c)
{
	struct guard g;
	return strcmp(c->tour->lane.name, LANE_ROUTE GUARD_ROUTE) == 0 && find_guard(c->relay, &g);
}

static int
put(int fd, struct span s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s = span_skip(s, (size_t)n);
	}
	return 0;
}

/* Who sent it and for whom it was, of those who are not settled. */
static int
put_envelope(int fd, const struct message *m)
{
	auto_buf b = buf_new((size_t)(m->n + 1) * (LIMIT_ADDRESS + sizeof("X-Original-To: \r\n")));
	buf_puts(&b, "Return-Path: <");
	buf_add(&b, m->env.sender);
	buf_puts(&b, ">\r\n");
	for (int i = 0; i < m->n; i++) {
		if (m->rcpt[i].settled)
			continue;
		buf_puts(&b, "X-Original-To: ");
		buf_add(&b, m->rcpt[i].address);
		buf_puts(&b, "\r\n");
	}
	return b.err < 0 ? b.err : put(fd, buf_span(&b));
}

static int
put_text(int fd, const struct message *m)
{
	char piece[PIECE];
	ssize_t n;
	int r = 0;
	for (uint64_t at = 0; r == 0 && (n = message_read(m, at, piece, sizeof(piece))) != 0;) {
		if (n < 0)
			return (int)n;
		at += (uint64_t)n;
		r = put(fd, (struct span){ piece, (size_t)n });
	}
	return r;
}

/* 0: the file is durable; or -errno. */
static int
store(int dir, const struct message *m, char name[static FILE_NAME])
{
	char draft[FILE_NAME];
	snprintf(draft, sizeof(draft), ".%s.new", m->id);
	snprintf(name, FILE_NAME, "%s.eml", m->id);
	/* Of an attempt that broke off; or what others put there who may write to the directory: a
	 * FIFO would hold us up, a link have us write elsewhere. */
	(void)unlinkat(dir, draft, 0);
	auto_fd fd = openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	int r = put_envelope(fd, m);
	if (r == 0)
		r = put_text(fd, m);
	if (r == 0 && (fsync(fd) < 0 || renameat(dir, draft, dir, name) < 0 || fsync(dir) < 0))
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, draft, 0);
	return r;
}

void
sink_take(struct courier *c, struct message *m, struct found *found)
{
	struct guard g = { GUARD_NONE, NULL };
	char name[FILE_NAME];
	auto_buf why = buf_new(WHY_MAX);
	(void)find_guard(c->relay, &g);
	int r = c->relay->sink < 0 ? c->relay->sink : store(c->relay->sink, m, name);
	if (r == 0)
		buf_printf(&why, "guard: it is %s/%s", g.what, name);
	else
		buf_printf(&why, "guard = sink %s: %s", g.what, strerror(-r));
	settle_all(c, m, r == 0 ? DONE : SOFT, buf_span(&why), found);
}

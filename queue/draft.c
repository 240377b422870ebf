/*
 * The promise of draft_commit rests on the order of its steps. Naming the message before syncing it
 * lets one journal commit carry the file and its names; the price is that after a crash a name may
 * stand on an incomplete file. So the file's last line tells its length and sum, and a reader that
 * finds them wrong, with no writer holding the lock, sets the file aside: it was never
 * acknowledged.
 *
 * Nothing here repairs: a step that fails takes the message back out, names first, and reports why.
 */
#include "queue/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/lock.h"
#include "queue/lane.h"
#include "queue/message.h"

int
draft_begin(struct draft *d, const struct spool *s, const struct envelope *e)
{
	d->spool = s;
	d->reserve = -1;
	d->fd = -1;
	d->err = 0;
	d->head_written = false;
	d->recipients = d->lanes = 0;
	d->length = 0;
	d->crc = 0;
	d->fill = 0;
	int err = id_new(d->id);
	if (err == 0)
		id_set_priority(d->id, e->priority);
	if (err < 0)
		return err;
	d->head.max = MESSAGE_HEAD;
	buf_reset(&d->head);
	buf_printf(&d->head, MESSAGE_MAGIC "\nId: %s\nArrived: %lld\nFrom: ", d->id,
		(long long)clock_wall());
	buf_add(&d->head, e->sender);
	buf_puts(&d->head, "\n");
	envelope_write(&d->head, e);
	return d->head.err;
}

void
draft_leave_free(struct draft *d, int64_t octets)
{
	d->reserve = octets;
}

/* The lane's place in d->lane, or -E2BIG. */
static int
draft_lane(struct draft *d, const char *lane)
{
	for (int i = 0; i < d->lanes; i++)
		if (strcmp(d->lane[i], lane) == 0)
			return i;
	if (d->lanes == DRAFT_LANES)
		return -E2BIG;
	snprintf(d->lane[d->lanes], sizeof(d->lane[0]), "%s", lane);
	if (d->broad == d->lanes)
		d->broad++;
	return d->lanes++;
}

int
draft_recipient(struct draft *d, const char *lane, struct span address,
	const struct terms *terms)
{
	size_t before = d->head.n;
	int lanes = d->lanes;
	int r = draft_lane(d, lane);
	if (r < 0)
		return r;
	buf_printf(&d->head, "To: %s ", lane);
	buf_add(&d->head, address);
	buf_puts(&d->head, "\n");
	envelope_write_terms(&d->head, terms);
	if (d->head.err < 0) {
		r = d->head.err;
		d->head.err = 0;
		d->head.n = before;
		d->lanes = lanes;
		return r;
	}
	d->recipients++;
	return 0;
}

bool
draft_has(const struct draft *d, const char *lane, struct span address)
{
	auto_buf line = buf_new(LANE_NAME_SIZE + LIMIT_ADDRESS + sizeof("\nTo:  \n"));
	buf_printf(&line, "\nTo: %s ", lane);
	buf_add(&line, address);
	buf_puts(&line, "\n");
	return line.err == 0 && memmem(d->head.p, d->head.n, line.p, line.n) != NULL;
}

struct draft_mark
draft_mark(const struct draft *d)
{
	return (struct draft_mark){ d->head.n, d->recipients, d->lanes };
}

void
draft_return(struct draft *d, const struct draft_mark *m)
{
	d->head.n = m->head;
	d->recipients = m->recipients;
	d->lanes = m->lanes;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Makes the file and locks it for its writer. */
static int
draft_open(struct draft *d)
{
	d->fd = openat(d->spool->tmp, d->id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		S_IRUSR | S_IWUSR);
	return d->fd < 0 ? -errno : lock_exclusive(d->fd, 0, LOCK_WHOLE);
}

/* Takes away what was written. */
static void
draft_remove(struct draft *d)
{
	if (d->fd >= 0) {
		unlinkat(d->spool->tmp, d->id, 0);
		close(d->fd);
	}
	d->fd = -1;
}

/* Writes out what is gathered. What it cannot go on with is not left lying until the end. */
static int
draft_flush(struct draft *d)
{
	bool ask = d->reserve >= 0 && d->fill == sizeof(d->buffer);
	int r = d->fd < 0 ? draft_open(d) : 0;
	if (r == 0)
		r = write_all(d->fd, d->buffer, d->fill);
	if (r == 0 && ask && !spool_has_room(d->spool, 0, d->reserve))
		r = -ENOSPC;
	d->fill = 0;
	if (r < 0)
		draft_remove(d);
	return r;
}

static void
draft_gather(struct draft *d, struct span s)
{
	while (d->err == 0 && s.n > 0) {
		if (d->fill == sizeof(d->buffer)) {
			d->err = draft_flush(d);
			continue;
		}
		size_t room = sizeof(d->buffer) - d->fill;
		size_t n = s.n < room ? s.n : room;
		memcpy(d->buffer + d->fill, s.p, n);
		d->fill += n;
		if (d->deep < d->fill)
			d->deep = d->fill;
		s = span_skip(s, n);
	}
}

static void
draft_head(struct draft *d)
{
	if (d->head_written)
		return;
	d->head_written = true;
	d->head.max = MESSAGE_HEAD + MESSAGE_STATES; /* however full of recipients, this fits */
	buf_puts(&d->head, "States: ");
	for (int i = 0; i < d->recipients; i++)
		buf_printf(&d->head, "%c", STATE_WAITING);
	buf_puts(&d->head, "\n\n");
	if (d->err == 0)
		d->err = d->head.err;
	d->crc = crc32c(0, d->head.p, d->head.n);
	draft_gather(d, buf_span(&d->head));
}

void
draft_body(struct draft *d, struct span bytes)
{
	draft_head(d);
	d->length += bytes.n;
	d->crc = crc32c(d->crc, bytes.p, bytes.n);
	draft_gather(d, bytes);
}

/* A lane of a draft that is being committed. */
struct target {
	int dir;
	bool proven; /* its own name is known to be on disk */
};

/*
 * Gives the message its name in lane i; the last lane takes the temporary name away. A lane that
 * is removed just now by a relay that emptied it (ENOENT) is made again, a few times.
 */
static int
draft_name(struct draft *d, int i, struct target *t)
{
	enum { LANE_RACES = 10 };
	for (int race = 0; race < LANE_RACES; race++) {
		t->dir = lane_for_writing(d->spool, d->lane[i], &t->proven);
		if (t->dir == -ENOENT)
			continue;
		if (t->dir < 0)
			return t->dir;
		int r = i + 1 < d->lanes ? linkat(d->spool->tmp, d->id, t->dir, d->id, 0)
					 : renameat(d->spool->tmp, d->id, t->dir, d->id);
		if (r == 0)
			return 0;
		int err = errno;
		close(t->dir);
		t->dir = -1;
		if (err != ENOENT && err != ESTALE)
			return -err;
	}
	return -ENOENT;
}

/*
 * Syncs the file, the names of new lanes, and its name in each lane. One journal commit has it all.
 */
static int
draft_sync(struct draft *d, const struct target *t)
{
	bool proven = true;
	/* BREAK_... are set only by builds that must lose mail (docs/CONTRIBUTING.md). */
#ifdef BREAK_NO_LANE_FSYNC
	return 0;
#endif
#ifndef BREAK_NO_FILE_FSYNC
	if (fsync(d->fd) < 0)
		return -errno;
#endif
	for (int i = 0; i < d->lanes; i++)
		proven = proven && t[i].proven;
	if (!proven && fsync(d->spool->lanes) < 0)
		return -errno;
	for (int i = 0; i < d->lanes; i++)
		if (fsync(t[i].dir) < 0)
			return -errno;
	return 0;
}

/* The message is safe: new lanes get their proof, and what waits is due. */
static void
draft_publish(struct draft *d, const struct target *t)
{
	for (int i = 0; i < d->lanes; i++) {
		if (!t[i].proven)
			(void)lane_prove(t[i].dir); /* else the next one who comes syncs again */
		lane_announce(t[i].dir);
	}
}

/* Takes the names out again, and new lanes if nobody else has put mail into them. */
static void
draft_unname(struct draft *d, const struct target *t)
{
	for (int i = 0; i < d->lanes; i++) {
		if (t[i].dir >= 0)
			unlinkat(t[i].dir, d->id, 0);
		if (!t[i].proven)
			unlinkat(d->spool->lanes, d->lane[i], AT_REMOVEDIR);
	}
}

int
draft_commit(struct draft *d)
{
	struct target target[DRAFT_LANES];
	for (int i = 0; i < DRAFT_LANES; i++)
		target[i] = (struct target){ .dir = -1, .proven = true };

	draft_head(d);
	char end[MESSAGE_END_SIZE + 1];
	message_end(end, d->length, d->crc, d->id);
	draft_gather(d, (struct span){ end, MESSAGE_END_SIZE });
	if (d->err == 0)
		d->err = draft_flush(d);
#ifdef BREAK_NO_LANE_FSYNC /* all of the file is on disk, and then it gets names that are not */
	(void)fsync(d->fd);
#endif
	for (int i = 0; i < d->lanes && d->err == 0; i++)
		d->err = draft_name(d, i, &target[i]);
	if (d->err == 0)
		d->err = draft_sync(d, target);
	int err = d->err;
	if (err < 0) {
		draft_unname(d, target); /* while the lock still keeps relays away */
		draft_drop(d);
	} else {
		close(d->fd); /* first: a relay that is told of a message must be able to open it */
		d->fd = -1;
		draft_publish(d, target);
	}
	for (int i = 0; i < d->lanes; i++)
		cleanup_fd(&target[i].dir);
	return err;
}

void
draft_drop(struct draft *d)
{
	if (d->spool != NULL)
		draft_remove(d);
	d->spool = NULL;
	buf_reset(&d->head);
}

void
draft_wipe(struct draft *d)
{
	buf_free(&d->head);
	explicit_bzero(d->buffer, d->deep);
	explicit_bzero(d->lane, (size_t)d->broad * sizeof(d->lane[0]));
	explicit_bzero(d, offsetof(struct draft, lane));
}

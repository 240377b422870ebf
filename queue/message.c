/*
 * Queued messages, and what is written down of them.
 *
 * A file is whole if its last line says so. Who is settled stands in its States (head.c); its log
 * in the lane has words, attempts and times (entry.c), and may be lost. Whatever is odd in either
 * costs at worst a duplicate, never a recipient.
 */
#include "queue/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/lock.h"
#include "mail/chunk.h"
#include "mail/eightbit.h"
#include "mail/tlsrequired.h"
#include "queue/entry.h"
#include "queue/head.h"
#include "queue/history.h"

enum {
	BODY_CHUNK = 16 * 1024, /* octets read at a time, into the stack of a thread */
	NOTES = 64 * 1024,      /* octets of what is written down at a time */
	GLANCE = 4096,          /* octets in which all stands that MAIL can ask for */
};

void
message_end(char out[static MESSAGE_END_SIZE + 1], uint64_t length, uint32_t crc, const char *id)
{
	snprintf(out, MESSAGE_END_SIZE + 1, "End: %020llu %08x %s\n", (unsigned long long)length,
		crc, id);
}

/* An octet of the file in which it is as it was a moment before, but for this one. */
static int
write_state(const struct message *m, const struct rcpt *r, char state)
{
	off_t at = (m->states.p - m->head.p) + r->index;
	ssize_t n;
	do
		n = pwrite(m->fd, &state, 1, at);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : n < 0 ? -errno : -EIO;
}

/* Reads the body once: its checksum, and what a host has to know to be able to take it. */
static int
read_body(struct message *m, uint32_t *crc)
{
	char text[BODY_CHUNK];
	struct header header = { 0 };
	struct header_part part;
	struct eightbit eightbit = { 0 };
	struct tlsrequired wish = { 0 };
	struct chunk octets = { 0 };
	for (uint64_t at = 0; at < m->length;) {
		ssize_t r = message_read(m, at, text, sizeof(text));
		if (r <= 0)
			return r < 0 ? (int)r : -EBADMSG;
		struct span piece = { text, (size_t)r };
		*crc = crc32c(*crc, piece.p, piece.n);
		m->eightbit = m->eightbit || !span_is_ascii(piece);
		if (m->env.body == BODY_BINARYMIME)
			chunk_feed(&octets, piece);
		while (header_next(&header, &piece, &part)) {
			eightbit_hear(&eightbit, &part);
			tlsrequired_hear(&wish, &part);
		}
		at += (uint64_t)r;
	}
	chunk_end(&octets);
	m->header_eightbit = eightbit.found;
	m->tls_optional = tlsrequired_says_no(&wish) && !m->env.require_tls;
	m->binary = octets.bare || octets.nul;
	return 0;
}

static int
measure(struct message *m, const struct stat *st)
{
	if (st->st_size < m->body + MESSAGE_END_SIZE)
		return -EBADMSG;
	m->length = (uint64_t)(st->st_size - m->body - MESSAGE_END_SIZE);
	return 0;
}

/* Compares the last line with what stands before it. */
static int
check_end(struct message *m)
{
	uint32_t crc = head_sum(m);
	int err = read_body(m, &crc);
	if (err < 0)
		return err;
	char want[MESSAGE_END_SIZE + 1], have[MESSAGE_END_SIZE];
	message_end(want, m->length, crc, m->id);
	ssize_t r = head_read_at(m->fd, m->body + (int64_t)m->length, have, sizeof(have));
	if (r < 0)
		return (int)r;
	return r == sizeof(have) && memcmp(want, have, sizeof(have)) == 0 ? 0 : -EBADMSG;
}

static int
read_log(struct message *m, const struct lane *l)
{
	auto_buf text = buf_new(HISTORY_MAX);
	int r = history_read(l, m->id, &text);
	m->untold = r == -ENOENT;
	if (r == 0)
		entry_apply_all(m, buf_span(&text));
	return m->untold ? 0 : r;
}

bool
message_is_file(const struct lane *l, const char *id)
{
	struct stat st;
	return fstatat(l->dir, id, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode);
}

/*
 * Is the open file still the one of this name? Somebody may have taken it out of the lane between
 * open and lock (message_seize). 0, -ENOENT or -errno.
 */
static int
find_name(const struct message *m, const struct lane *l, struct stat *st)
{
	struct stat named;
	if (fstat(m->fd, st) < 0 || fstatat(l->dir, m->id, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	return st->st_ino == named.st_ino && st->st_dev == named.st_dev ? 0 : -ENOENT;
}

/* Opens, locks and reads the head. */
static int
begin_message(struct message *m, const struct lane *l, const char *id, int access)
{
	struct stat st;
	*m = MESSAGE_CLOSED;
	m->head = buf_new(HEAD_MAX);
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->fd = openat(l->dir, id, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (m->fd < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	int r = lock_shared(m->fd, 0, LOCK_WHOLE);
	if (r == 0)
		r = find_name(m, l, &st);
	if (r == 0)
		r = head_read(m->fd, &m->head, &m->body);
	if (r == 0)
		r = head_parse(m, l);
	return r == 0 ? measure(m, &st) : r;
}

/* `untold`: it has no log. */
static int
open_message(struct message *m, const struct lane *l, const char *id, bool untold)
{
	int r = begin_message(m, l, id, O_RDWR);
	if (r == 0)
		r = check_end(m);
	m->untold = untold;
	if (r == 0 && !untold)
		r = read_log(m, l);
	if (r < 0)
		message_close(m);
	return r;
}

int
message_look(struct message *m, const struct lane *l, const char *id)
{
	int r = begin_message(m, l, id, O_RDONLY);
	if (r == 0)
		r = read_log(m, l);
	cleanup_fd(&m->fd); /* and with it the lock */
	m->fd = -1;
	if (r < 0)
		message_close(m);
	return r;
}

int
message_seize(const struct message *m, const struct lane *l)
{
	struct stat st;
	int r = lock_exclusive(m->fd, 0, LOCK_WHOLE);
	return r < 0 ? r : find_name(m, l, &st);
}

int
message_open(struct message *m, const struct lane *l, const char *id)
{
	return open_message(m, l, id, false);
}

int
message_open_first(struct message *m, const struct lane *l, const char *id)
{
	return open_message(m, l, id, true);
}

int
message_glance(struct message *m, const struct lane *l, const char *id)
{
	char chunk[GLANCE];
	*m = MESSAGE_CLOSED;
	m->head = buf_new(sizeof(chunk));
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->fd = openat(l->dir, id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = m->fd < 0 ? -errno : head_read_at(m->fd, 0, chunk, sizeof(chunk));
	if (n > 0)
		buf_add(&m->head, (struct span){ chunk, (size_t)n });
	int r = n < 0 ? (int)n : head_parse_mail(m);
	if (r == 0)
		r = read_log(m, l);
	if (r < 0)
		message_close(m);
	return r;
}

void
message_close(struct message *m)
{
	cleanup_fd(&m->fd);
	for (int i = 0; i < m->n; i++)
		buf_free(&m->rcpt[i].text);
	free(m->rcpt);
	buf_free(&m->head);
	*m = MESSAGE_CLOSED;
}

ssize_t
message_read(const struct message *m, uint64_t offset, char *p, size_t n)
{
	if (offset >= m->length)
		return 0;
	if (n > m->length - offset)
		n = (size_t)(m->length - offset);
	return head_read_at(m->fd, m->body + (int64_t)offset, p, n);
}

int64_t
message_next(const struct lane *l, const char *id)
{
	return history_next(l, id);
}

int
message_wait(const struct message *m, const struct lane *l, int64_t next)
{
	return history_set_next(l, m->id, next);
}

bool
message_waits(const struct message *m)
{
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled)
			return true;
	return false;
}

int
message_try_mark(const struct message *m, bool full)
{
	const struct rcpt *first = NULL;
	int waiting = 0;
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && waiting++ == 0)
			first = &m->rcpt[i];
	if (m->states.p == NULL)
		return full && waiting > 1 ? -ENOSPC : 0;
	if (first == NULL)
		return 0;
	int r = write_state(m, first, m->states.p[first->index]);
	return r < 0 || !full || fdatasync(m->fd) == 0 ? r : -errno;
}

int
message_mark(const struct message *m, const struct lane *l)
{
	int err = 0, marks = 0;
	if (m->states.p == NULL) {
		auto_buf text = buf_new(HISTORY_MAX);
		entry_put_outcomes(&text, m);
		return history_append(l, m->id, &text, clock_wall(), true);
	}
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *r = &m->rcpt[i];
		if (r->settled || r->outcome == SOFT)
			continue;
		int one = write_state(m, r, r->outcome == DONE ? STATE_DELIVERED : STATE_FAILED);
		err = err == 0 ? one : err;
		marks++;
	}
	return err < 0 || marks == 0 || fdatasync(m->fd) == 0 ? err : -errno;
}

int
message_note(const struct message *m, const struct lane *l, int64_t next, bool attempt)
{
	auto_buf text = buf_new(HISTORY_MAX);
	if (m->states.p != NULL) /* else message_mark wrote them */
		entry_put_outcomes(&text, m);
	if (attempt)
		entry_put_attempt(&text, m, next);
	return history_append(l, m->id, &text, next, false);
}

int
message_tell(const struct message *m, const struct lane *l, unsigned told)
{
	auto_buf text = buf_new(NOTES);
	int64_t now = clock_wall();
	entry_put_told(&text, now, told);
	return history_append(l, m->id, &text, now, false);
}

int
message_note_crash(const struct lane *l, const char *id, int *times)
{
	struct message m = MESSAGE_CLOSED;
	auto_buf line = buf_new(NOTES);
	int64_t now = clock_wall();
	entry_put_crash(&line, now);
	snprintf(m.id, sizeof(m.id), "%s", id);
	int r = read_log(&m, l);
	if (r == 0)
		r = history_append(l, id, &line, now, false);
	if (r == 0)
		*times = m.crashes + 1;
	return r;
}

bool
message_has_crashed(const struct lane *l, const char *id)
{
	struct message m = MESSAGE_CLOSED;
	snprintf(m.id, sizeof(m.id), "%s", id);
	return read_log(&m, l) == 0 && m.crashes > 0;
}

int
message_remove(const struct lane *l, const char *id)
{
	/* The log goes last: there were versions in which only it says who was settled. A log that
	 * lost its message is taken away by the next scan. */
	return unlinkat(l->dir, id, 0) < 0 ? -errno : history_remove(l, id);
}

int
message_finish(const struct message *m, const struct lane *l)
{
	if (!m->untold)
		return message_remove(l, m->id);
	return unlinkat(l->dir, m->id, 0) < 0 ? -errno : 0;
}

int
message_set_aside(const struct spool *s, const struct lane *l, const char *id)
{
	auto_fd aside = spool_open_made(s->root, "aside");
	if (aside < 0)
		return aside;
	if (renameat(l->dir, id, aside, id) < 0)
		return -errno;
	/*
	 * From a second lane it is a second name of the same file, and then rename(2) leaves both.
	 */
	return unlinkat(l->dir, id, 0) < 0 && errno != ENOENT ? -errno : 0;
}

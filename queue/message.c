/*
 * Reading queued messages, and the small log that says what became of one in a lane.
 *
 * A message file is hostile input like any other (K14): it is parsed within bounds, and whatever is
 * not as written by a draft makes it "not whole", never half understood. Who is settled stands in
 * its States. The log has words, attempts and times; it may be lost, and a torn or unknown line is
 * skipped. A recipient whose line says done or hard is settled too, for there were versions that
 * had only the log. Whatever is odd in either costs at worst a duplicate, never a recipient.
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
#include "mail/header.h"
#include "mail/tlsrequired.h"
#include "queue/history.h"

enum {
	/* Octets read at a time, into the stack of a thread: there may be very many of these. */
	HEAD_CHUNK = 4096,
	BODY_CHUNK = 16 * 1024,
	NOTES = 64 * 1024, /* octets of what is written down at a time */
	GLANCE = 4096, /* octets in which all stands that MAIL can ask for */
	/* octets of a reply in the log: those of as many recipients as there can be fit */
	NOTE_TEXT = 300,
};

void
message_end(char out[static MESSAGE_END_SIZE + 1], uint64_t length, uint32_t crc, const char *id)
{
	snprintf(out, MESSAGE_END_SIZE + 1, "End: %020llu %08x %s\n", (unsigned long long)length,
		crc, id);
}

static ssize_t
read_at(int fd, int64_t offset, char *p, size_t n)
{
	ssize_t r;
	do
		r = pread(fd, p, n, offset);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Reads on until `head` holds the empty line; *at is where the body begins. */
static int
read_head(int fd, struct buf *head, int64_t *at)
{
	char chunk[HEAD_CHUNK];
	for (;;) {
		ssize_t r = read_at(fd, (int64_t)head->n, chunk, sizeof(chunk));
		if (r <= 0)
			return r < 0 ? (int)r : -EBADMSG;
		size_t from = head->n > 0 ? head->n - 1 : 0;
		buf_add(head, (struct span){ chunk, (size_t)r });
		if (head->err < 0)
			return head->err == -E2BIG ? -EBADMSG : head->err;
		const char *end = memmem(head->p + from, head->n - from, "\n\n", 2);
		if (end != NULL) {
			head->n = (size_t)(end - head->p) + 1;
			*at = (int64_t)head->n + 1;
			return 0;
		}
	}
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

/* The next line of *s without its newline; false at the end. */
static bool
next_line(struct span *s, struct span *line)
{
	if (s->n == 0)
		return false;
	const char *nl = memchr(s->p, '\n', s->n);
	if (nl == NULL)
		return false;
	*line = span_from(s->p, nl);
	*s = span_from(nl + 1, s->p + s->n);
	return true;
}

static int
add_rcpt(struct message *m, const struct lane *l, struct span value, int index)
{
	const char *blank = memchr(value.p, ' ', value.n);
	if (blank == NULL)
		return -EBADMSG;
	if (!span_eq(span_from(value.p, blank), span_of(l->name)))
		return 0;
	if ((m->n & (m->n - 1)) == 0) { /* room doubles: 1, 2, 4, ... */
		size_t room = m->n > 0 ? 2 * (size_t)m->n : 1;
		struct rcpt *v = reallocarray(m->rcpt, room, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		m->rcpt = v;
	}
	m->rcpt[m->n++] = (struct rcpt){
		.address = span_from(blank + 1, value.p + value.n),
		.index = index,
		.outcome = SOFT,
		.text = buf_new(2 * LIMIT_REPLY_TEXT),
	};
	return 0;
}

static int64_t
number(struct span s)
{
	int64_t v = span_number(s);
	return v < INT64_MAX ? v : -1;
}

static bool
field(struct span line, const char *name, struct span *value)
{
	struct span prefix = span_of(name);
	if (line.n < prefix.n || memcmp(line.p, prefix.p, prefix.n) != 0)
		return false;
	*value = span_skip(line, prefix.n);
	return true;
}

static void
set_settled(struct rcpt *r, enum outcome o)
{
	r->settled = true;
	r->outcome = o;
}

/* A state that is none counts as waiting. */
static int
read_states(struct message *m, struct span states, int recipients)
{
	if (states.p == NULL)
		return 0;
	if (states.n != (size_t)recipients)
		return -EBADMSG;
	m->states = states;
	for (int i = 0; i < m->n; i++) {
		char state = states.p[m->rcpt[i].index];
		if (state == STATE_DELIVERED || state == STATE_FAILED)
			set_settled(&m->rcpt[i], state == STATE_DELIVERED ? DONE : HARD);
	}
	return 0;
}

static int
parse_head(struct message *m, const struct lane *l)
{
	struct span rest = buf_span(&m->head), line, v, states = { NULL, 0 };
	struct rcpt *last = NULL; /* whom terms are about; NULL: somebody of another lane */
	int index = 0;
	if (!next_line(&rest, &line) || !span_eq(line, span_of(MESSAGE_MAGIC)))
		return -EBADMSG;
	m->arrived = -1;
	while (next_line(&rest, &line)) {
		if (field(line, "Id: ", &v)) {
			if (!span_eq(v, span_of(m->id)))
				return -EBADMSG;
		} else if (field(line, "Arrived: ", &v)) {
			m->arrived = number(v);
		} else if (field(line, "From: ", &v)) {
			m->env.sender = v;
		} else if (field(line, "To: ", &v)) {
			int n = m->n, r = add_rcpt(m, l, v, index++);
			if (r < 0)
				return r;
			last = m->n > n ? &m->rcpt[n] : NULL;
		} else if (index == 0) {
			(void)envelope_read(line, &m->env);
		} else if (field(line, "States: ", &v)) {
			states = v;
		} else if (last != NULL) {
			(void)envelope_read_terms(line, &last->terms);
		}
	}
	if (m->arrived < 0 || m->n == 0 || m->env.sender.p == NULL)
		return -EBADMSG;
	return read_states(m, states, index);
}

/* The sum of the head and the empty line, as they were committed: everybody was waiting. */
static uint32_t
head_sum(const struct message *m)
{
	const char *end = m->head.p + m->head.n;
	const char *from = m->states.p != NULL ? m->states.p : end;
	const char waiting = STATE_WAITING;
	uint32_t crc = crc32c(0, m->head.p, (size_t)(from - m->head.p));
	for (size_t i = 0; i < m->states.n; i++)
		crc = crc32c(crc, &waiting, 1);
	from += m->states.n;
	return crc32c(crc32c(crc, from, (size_t)(end - from)), "\n", 1);
}

/* Reads the body once: its checksum, and what a host has to know to be able to take it. */
static int
read_body(struct message *m, uint32_t *crc)
{
	char text[BODY_CHUNK];
	struct header header = { 0 };
	struct tlsrequired wish = { 0 };
	struct chunk octets = { 0 };
	for (uint64_t at = 0; at < m->length;) {
		ssize_t r = message_read(m, at, text, sizeof(text));
		if (r <= 0)
			return r < 0 ? (int)r : -EBADMSG;
		struct span piece = { text, (size_t)r };
		*crc = crc32c(*crc, piece.p, piece.n);
		m->eightbit = m->eightbit || !span_is_ascii(piece);
		header_feed(&header, piece);
		tlsrequired_feed(&wish, piece);
		if (m->env.body == BODY_BINARYMIME)
			chunk_feed(&octets, piece);
		at += (uint64_t)r;
	}
	chunk_end(&octets);
	m->header_eightbit = header.eightbit;
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
	ssize_t r = read_at(m->fd, m->body + (int64_t)m->length, have, sizeof(have));
	if (r < 0)
		return (int)r;
	return r == sizeof(have) && memcmp(want, have, sizeof(have)) == 0 ? 0 : -EBADMSG;
}

static struct rcpt *
rcpt_at(struct message *m, int64_t index)
{
	for (int i = 0; i < m->n; i++)
		if (m->rcpt[i].index == index)
			return &m->rcpt[i];
	return NULL;
}

/* Nothing, if it is odd. */
static unsigned
read_told(int64_t n)
{
	return n > 0 && n <= (TOLD_DELAYED | TOLD_OVERDUE) ? (unsigned)n : 0;
}

/*
 * A line is "<time> soft <next> <text>" (0: a relay died with it; a version had no text),
 * "<time> done|hard <index> <text>" or "<time> told <TOLD_*>".
 */
void
message_read_line(struct span line, struct message_line *out)
{
	static const struct { const char *word; enum message_event event; } events[] = {
		{ "soft", MESSAGE_PUT_OFF },
		{ "done", MESSAGE_DELIVERED },
		{ "hard", MESSAGE_FAILED },
		{ "told", MESSAGE_TOLD },
	};
	struct span when = span_cut(&line, ' '), word = span_cut(&line, ' ');
	*out = (struct message_line){ .when = number(when), .number = number(span_cut(&line, ' ')),
		.text = line };
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (span_eq(word, span_of(events[i].word)))
			out->event = events[i].event;
}

static void
parse_log_line(struct message *m, struct span line)
{
	struct message_line said;
	message_read_line(line, &said);
	if (said.event == MESSAGE_PUT_OFF) {
		m->attempts++;
		m->crashes += said.number == 0;
	}
	if (said.event == MESSAGE_TOLD)
		m->told |= read_told(said.number);
	bool done = said.event == MESSAGE_DELIVERED, hard = said.event == MESSAGE_FAILED;
	struct rcpt *r = done || hard ? rcpt_at(m, said.number) : NULL;
	if (r != NULL)
		set_settled(r, done ? DONE : HARD);
}

static int
read_log(struct message *m, const struct lane *l)
{
	auto_buf text = buf_new(HISTORY_MAX);
	int r = history_read(l, m->id, &text);
	struct span rest = buf_span(&text), line;
	m->untold = r == -ENOENT;
	while (r == 0 && next_line(&rest, &line))
		parse_log_line(m, line);
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
	m->head = buf_new(MESSAGE_HEAD + MESSAGE_STATES + HEAD_CHUNK);
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->fd = openat(l->dir, id, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (m->fd < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	int r = lock_shared(m->fd, 0, LOCK_WHOLE);
	if (r == 0)
		r = find_name(m, l, &st);
	if (r == 0)
		r = read_head(m->fd, &m->head, &m->body);
	if (r == 0)
		r = parse_head(m, l);
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

/* Fields up to the first recipient. */
static int
parse_mail(struct message *m)
{
	struct span rest = buf_span(&m->head), line, v;
	while (next_line(&rest, &line)) {
		if (field(line, "To: ", &v))
			return 0;
		if (field(line, "Arrived: ", &v))
			m->arrived = number(v);
		else
			(void)envelope_read(line, &m->env);
	}
	return -EBADMSG;
}

int
message_glance(struct message *m, const struct lane *l, const char *id)
{
	char chunk[GLANCE];
	*m = MESSAGE_CLOSED;
	m->head = buf_new(sizeof(chunk));
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->fd = openat(l->dir, id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = m->fd < 0 ? -errno : read_at(m->fd, 0, chunk, sizeof(chunk));
	if (n > 0)
		buf_add(&m->head, (struct span){ chunk, (size_t)n });
	int r = n < 0 ? (int)n : parse_mail(m);
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
	return read_at(m->fd, m->body + (int64_t)offset, p, n);
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

/* What was said of it, cut. */
static void
put_text(struct buf *text, const struct rcpt *r)
{
	size_t n = r->text.n < NOTE_TEXT ? r->text.n : NOTE_TEXT;
	buf_add(text, (struct span){ r->text.p, n });
}

/* The end of an attempt. Of those who wait the first one's reply stands for all. */
static void
put_attempt(struct buf *text, const struct message *m, int64_t next)
{
	int i = 0;
	while (i < m->n && (m->rcpt[i].settled || m->rcpt[i].outcome != SOFT))
		i++;
	buf_printf(text, "%lld soft %lld", (long long)clock_wall(), (long long)next);
	if (i < m->n && m->rcpt[i].text.n > 0) {
		buf_puts(text, " ");
		put_text(text, &m->rcpt[i]);
	}
	buf_puts(text, "\n");
}

/* A line for each recipient that was settled now. */
static void
put_outcomes(struct buf *text, const struct message *m)
{
	for (int i = 0; i < m->n; i++) {
		const struct rcpt *r = &m->rcpt[i];
		if (!r->settled && r->outcome != SOFT) {
			buf_printf(text, "%lld %s %d ", (long long)clock_wall(),
				r->outcome == DONE ? "done" : "hard", r->index);
			put_text(text, r);
			buf_puts(text, "\n");
		}
	}
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
		put_outcomes(&text, m);
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
		put_outcomes(&text, m);
	if (attempt)
		put_attempt(&text, m, next);
	return history_append(l, m->id, &text, next, false);
}

int
message_tell(const struct message *m, const struct lane *l, unsigned told)
{
	auto_buf text = buf_new(NOTES);
	int64_t now = clock_wall();
	buf_printf(&text, "%lld told %u\n", (long long)now, told);
	return history_append(l, m->id, &text, now, false);
}

int
message_note_crash(const struct lane *l, const char *id, int *times)
{
	struct message m = MESSAGE_CLOSED;
	auto_buf line = buf_new(NOTES);
	int64_t now = clock_wall();
	buf_printf(&line, "%lld soft 0\n", (long long)now);
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
	if (renameat(l->dir, id, s->aside, id) < 0)
		return -errno;
	/*
	 * From a second lane it is a second name of the same file, and then rename(2) leaves both.
	 */
	return unlinkat(l->dir, id, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/*
 * spool, lane, message: what stands on disk after each step, and what a reader makes of files that
 * were cut, changed or planted (I10, I16, J9, J12 to J16, J19, K3, K4, K8, K14).
 */
#include "tests/unit/spooled.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/crc.h"
#include "lib/lock.h"
#include "queue/message.h"

#define BODY "Received: x\r\n\r\nHello\r\n.\r\n"
#define ID   "0123456789abcdefghjk"

static const struct terms no_terms;

/* ---- the directory ---------------------------------------------------------------------- */

/* Number of names in a directory of the spool, "@lock" and "@retry" left out; -1: no directory. */
static int
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

static struct span
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

static void
spill(int dir, const char *path, struct span s)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, s.p, s.n), s.n);
	close(fd);
}

static void
set_age(int dir, const char *path, int64_t age)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = clock_wall() - age } };
	assert_int_equal(utimensat(dir, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static bool
exists(int dir, const char *path)
{
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
begin(const char *sender)
{
	assert_int_equal(draft_begin(&d, &sp, &(struct envelope){ .sender = span_of(sender) }), 0);
}

static void
add(const char *lane, const char *address)
{
	assert_int_equal(draft_recipient(&d, lane, span_of(address), &no_terms), 0);
}

/* A message from s@s.example to lane "d.example", u1 and u3, and to "e.example", u2. */
static void
queue(void)
{
	begin("s@s.example");
	add("d.example", "u1@d.example");
	add("e.example", "u2@e.example");
	add("d.example", "u3@D.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
}

static void
open_lane(struct lane *l, const char *name)
{
	*l = LANE_CLOSED;
	assert_int_equal(lane_open(l, &sp, name), 0);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void
test_stages(void **state)
{
	(void)state;
	char path[64];
	static char big[DRAFT_BUFFER];
	struct stat st;
	memset(big, 'x', sizeof(big));
	begin("s@s.example");
	add("d.example", "u@d.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(names("tmp"), 0); /* nothing is written before it must be */
	assert_int_equal(names("lane"), 0);
	draft_body(&d, (struct span){ big, sizeof(big) });
	assert_int_equal(names("tmp"), 1);
	assert_int_equal(names("lane"), 0);
	snprintf(path, sizeof(path), "tmp/%s", d.id);
	assert_int_equal(fstatat(sp.root, path, &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	set_age(sp.root, path, 2 * SPOOL_TMP_AGE);
	spool_sweep(&sp); /* its writer lives (J14) */
	assert_int_equal(names("tmp"), 1);
	draft_drop(&d); /* A13, I10 */
	assert_int_equal(names("tmp"), 0);
	draft_drop(&d);

	struct draft *zeroed = calloc(1, sizeof(*zeroed));
	assert_non_null(zeroed);
	draft_drop(zeroed);
	free(zeroed);
}

static void
test_commit(void **state)
{
	(void)state;
	char want[1000], end[MESSAGE_END_SIZE + 1], path[300];
	struct stat st, st2;
	queue();
	assert_int_equal(names("tmp"), 0);
	assert_int_equal(names("lane"), 2);
	assert_int_equal(names("lane/d.example"), 1);
	assert_true(exists(sp.lanes, "d.example/" LANE_LOCK)); /* the lane's own name is on disk */
	snprintf(path, sizeof(path), "e.example/%s", d.id);
	assert_int_equal(fstatat(sp.lanes, path, &st2, 0), 0);
	snprintf(path, sizeof(path), "d.example/%s", d.id);
	assert_int_equal(fstatat(sp.lanes, path, &st, 0), 0);
	assert_int_equal(st.st_nlink, 2); /* one link for each lane */
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_int_equal(st.st_mode, S_IFREG | 0600);

	struct span have = slurp(sp.lanes, path);
	const char *arrived = memmem(have.p, have.n, "Arrived: ", 9);
	assert_non_null(arrived);
	snprintf(want, sizeof(want),
		"Postern-Message: 1\nId: %s\nArrived: %.10s\nFrom: s@s.example\n"
		"To: d.example u1@d.example\nTo: e.example u2@e.example\n"
		"To: d.example u3@D.example\n\n" BODY, d.id, arrived + 9);
	size_t n = strlen(want);
	message_end(end, strlen(BODY), crc32c(0, want, n), d.id);
	assert_int_equal(strlen(end), MESSAGE_END_SIZE);
	snprintf(want + n, sizeof(want) - n, "%s", end);
	assert_true(span_eq(have, span_of(want)));
	draft_drop(&d); /* does nothing to what is committed */
	assert_true(exists(sp.lanes, path));
}

/* A body longer than the buffer, in pieces of every size around it. */
static void
test_pieces(void **state)
{
	(void)state;
	static char body[3 * DRAFT_BUFFER], got[sizeof(body)];
	static const size_t pieces[] = { 1, 100, DRAFT_BUFFER - 1, DRAFT_BUFFER, DRAFT_BUFFER + 1,
		sizeof(body) };
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i % 23);
	for (size_t i = 0; i < ROWS(pieces); i++) {
		struct lane l;
		struct message m;
		begin("");
		add("d.example", "u@d.example");
		for (size_t at = 0; at < sizeof(body); at += pieces[i])
			draft_body(&d, (struct span){ body + at,
				sizeof(body) - at < pieces[i] ? sizeof(body) - at : pieces[i] });
		assert_int_equal(draft_commit(&d), 0);
		open_lane(&l, "d.example");
		assert_int_equal(message_open(&m, &l, d.id), 0);
		assert_int_equal(m.length, sizeof(body));
		assert_int_equal(m.env.sender.n, 0);
		size_t n = 0;
		for (ssize_t r; (r = message_read(&m, n, got + n, pieces[i])) > 0;)
			n += (size_t)r;
		assert_int_equal(n, sizeof(body));
		assert_memory_equal(got, body, n);
		message_close(&m);
		lane_close(&l);
	}
}

/* Nothing is left of a message that could not be committed. */
static void
failed(int want)
{
	assert_int_equal(draft_commit(&d), want);
	assert_int_equal(names("tmp"), 0);
	assert_int_equal(names("lane/a.example"), -1);
	assert_int_equal(names("lane/c.example"), -1);
}

static void
test_failure(void **state)
{
	(void)state;
	static char big[2 * DRAFT_BUFFER];
	struct rlimit old, small = { 1000, RLIM_INFINITY };

	assert_int_equal(symlinkat("/tmp", sp.lanes, "b.example"), 0); /* planted, K4 */
	begin("s@s.example");
	add("a.example", "u@a.example");
	add("b.example", "u@b.example");
	add("c.example", "u@c.example");
	draft_body(&d, span_of(BODY));
	failed(-ENOTDIR);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0); /* K8 */
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	begin("s@s.example");
	add("a.example", "u@a.example");
	for (int i = 0; i < 3; i++) /* the first error is kept, the rest is free */
		draft_body(&d, (struct span){ big, sizeof(big) });
	failed(-EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

	begin("s@s.example"); /* somebody else has this name: not ours to take away (J13) */
	add("a.example", "u@a.example");
	spill(sp.tmp, d.id, span_of("x"));
	assert_int_equal(draft_commit(&d), -EEXIST);
	assert_int_equal(names("tmp"), 1);
	assert_int_equal(unlinkat(sp.tmp, d.id, 0), 0);

	begin("s@s.example"); /* no more files (I9) */
	add("a.example", "u@a.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	small = (struct rlimit){ 0, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	int r = draft_commit(&d);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(names("tmp"), 0);

	queue(); /* and all is well again */
	assert_int_equal(names("lane/d.example"), 1);
}

static void
test_limits(void **state)
{
	(void)state;
	char lane[LANE_NAME_SIZE], address[400];
	struct stat st;
	begin("s@s.example");
	for (int i = 0; i < DRAFT_LANES; i++) {
		snprintf(lane, sizeof(lane), "d%d.example", i);
		snprintf(address, sizeof(address), "u@%s", lane);
		add(lane, address);
	}
	size_t before = d.head.n;
	assert_int_equal(draft_recipient(&d, "more.example", span_of("u@more.example"),
				 &no_terms), -E2BIG);
	assert_int_equal(d.head.n, before);
	add("d7.example", "v@d7.example"); /* where it goes anyway */
	assert_int_equal(d.recipients, DRAFT_LANES + 1);
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
	snprintf(address, sizeof(address), "d99.example/%s", d.id);
	assert_int_equal(fstatat(sp.lanes, address, &st, 0), 0);
	assert_int_equal(st.st_nlink, DRAFT_LANES);

	/* Recipients up to the last octet: what was accepted is in the file. */
	begin("s@s.example");
	memset(address, 'u', sizeof(address));
	size_t line = strlen("To: d.example \n"), room;
	int accepted = 0, r = 0;
	while (r == 0) {
		room = DRAFT_HEAD - d.head.n;
		size_t n = room < 2 * line + 300 && room > line ? room - line : 200;
		r = draft_recipient(&d, "d.example", (struct span){ address, n }, &no_terms);
		accepted += r == 0;
	}
	assert_int_equal(r, -E2BIG);
	assert_int_equal(d.head.n, DRAFT_HEAD);
	assert_int_equal(d.recipients, accepted);
	assert_int_equal(draft_recipient(&d, "f.example", span_of("u"), &no_terms), -E2BIG);
	assert_int_equal(d.lanes, 1);
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
	struct lane l;
	struct message m;
	open_lane(&l, "d.example");
	assert_int_equal(message_open(&m, &l, d.id), 0);
	assert_int_equal(m.n, accepted);
	message_close(&m);
	lane_close(&l);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void
test_open(void **state)
{
	(void)state;
	struct lane l;
	struct message m;
	queue();
	open_lane(&l, "d.example");
	assert_int_equal(message_open(&m, &l, d.id), 0);
	assert_int_equal(m.n, 2);
	assert_true(span_eq(m.env.sender, span_of("s@s.example")));
	assert_true(span_eq(m.rcpt[0].address, span_of("u1@d.example")));
	assert_true(span_eq(m.rcpt[1].address, span_of("u3@D.example")));
	assert_int_equal(m.rcpt[0].index, 0);
	assert_int_equal(m.rcpt[1].index, 2);
	assert_int_equal(m.attempts, 0);
	assert_false(m.env.body == BODY_8BITMIME || m.rcpt[0].settled || m.rcpt[1].settled);
	assert_true(m.arrived <= clock_wall() && m.arrived > clock_wall() - 1000);
	assert_int_equal(message_next(&l, d.id), 0);
	message_close(&m);
	assert_int_equal(m.fd, -1);
	assert_int_equal(message_open(&m, &l, ID), -ENOENT);

	int fd = openat(l.dir, d.id, O_RDWR | O_CLOEXEC); /* its writer is not done */
	assert_int_equal(lock_exclusive(fd, 0, LOCK_WHOLE), 0);
	assert_int_equal(message_open(&m, &l, d.id), -EAGAIN);
	close(fd);
	assert_int_equal(message_open(&m, &l, d.id), 0);
	message_close(&m);

	/* The same file under another inode is the same message (J16), under another name is not. */
	struct span text = slurp(l.dir, d.id);
	assert_int_equal(unlinkat(l.dir, d.id, 0), 0);
	spill(l.dir, d.id, text);
	assert_int_equal(message_open(&m, &l, d.id), 0);
	message_close(&m);
	spill(l.dir, ID, text);
	assert_int_equal(message_open(&m, &l, ID), -EBADMSG);
	lane_close(&l);
}

/* A file of which one byte is missing or different is no message (J9, J19). */
static void
test_damage(void **state)
{
	(void)state;
	static char good[1000];
	struct lane l;
	struct message m;
	queue();
	open_lane(&l, "d.example");
	struct span text = slurp(l.dir, d.id);
	memcpy(good, text.p, text.n);
	int fd = openat(l.dir, d.id, O_RDWR | O_CLOEXEC);
	for (size_t n = 0; n < text.n; n++) {
		assert_int_equal(ftruncate(fd, (off_t)n), 0);
		assert_int_equal(message_open(&m, &l, d.id), -EBADMSG);
		assert_int_equal(m.fd, -1);
		assert_int_equal(pwrite(fd, good, text.n, 0), text.n);
	}
	for (size_t i = 0; i < text.n; i++) {
		static const char flips[] = { 1, 0x20, (char)0x80 };
		for (size_t k = 0; k < sizeof(flips); k++) {
			char c = (char)(good[i] ^ flips[k]);
			assert_int_equal(pwrite(fd, &c, 1, (off_t)i), 1);
			if (message_open(&m, &l, d.id) != -EBADMSG)
				fail_msg("byte %zu, %c for %c", i, c, good[i]);
		}
		assert_int_equal(pwrite(fd, good + i, 1, (off_t)i), 1);
	}
	assert_int_equal(pwrite(fd, "\n", 1, (off_t)text.n), 1); /* one too many */
	assert_int_equal(message_open(&m, &l, d.id), -EBADMSG);
	assert_int_equal(ftruncate(fd, (off_t)text.n), 0);
	assert_int_equal(message_open(&m, &l, d.id), 0);
	message_close(&m);
	close(fd);

	assert_int_equal(message_set_aside(&sp, &l, d.id), 0);
	assert_int_equal(message_open(&m, &l, d.id), -ENOENT);
	assert_int_equal(names("aside"), 1);
	lane_close(&l);
}

/* Heads that nobody but an enemy writes, with a good sum (K14). */
static const struct {
	const char *name;
	struct span head;
	int want;
} heads[] = {
#define MAGIC "Postern-Message: 1\n"
#define TO    "To: d.example u@d.example\n"
#define HEAD(name, text, want) { name, { text, sizeof(text) - 1 }, want },
	HEAD("good", MAGIC "Id: " ID "\nArrived: 5\nFrom: \n" TO "\n", 0)
	HEAD("unknown field", MAGIC "X: y\nArrived: 5\nFrom: a@b\nX:\n" TO "\n", 0)
	HEAD("empty", "", -EBADMSG)
	HEAD("only the empty line", "\n\n", -EBADMSG)
	HEAD("no magic", "Arrived: 5\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("another version", "Postern-Message: 2\nArrived: 5\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("magic with CR", "Postern-Message: 1\r\nArrived: 5\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("no empty line", MAGIC "Arrived: 5\nFrom: a@b\n" TO, -EBADMSG)
	HEAD("no time", MAGIC "From: a@b\n" TO "\n", -EBADMSG)
	HEAD("bad time", MAGIC "Arrived: x\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("no digits", MAGIC "Arrived: \nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("negative time", MAGIC "Arrived: -5\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("endless time", MAGIC "Arrived: 99999999999999999999\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("no sender", MAGIC "Arrived: 5\n" TO "\n", -EBADMSG)
	HEAD("no recipient", MAGIC "Arrived: 5\nFrom: a@b\n\n", -EBADMSG)
	HEAD("none of this lane", MAGIC "Arrived: 5\nFrom: a@b\nTo: e.example u@e\n\n", -EBADMSG)
	HEAD("lane cut", MAGIC "Arrived: 5\nFrom: a@b\nTo: d.example\n\n", -EBADMSG)
	HEAD("another id", MAGIC "Id: x\nArrived: 5\nFrom: a@b\n" TO "\n", -EBADMSG)
	HEAD("NUL", MAGIC "Arrived: 5\0\nFrom: a@b\n" TO "\n", -EBADMSG)
#undef HEAD
};

static void
put_message(int dir, struct span head)
{
	char end[MESSAGE_END_SIZE + 1];
	struct buf b = buf_new(10000);
	buf_add(&b, head);
	buf_puts(&b, BODY);
	message_end(end, strlen(BODY), crc32c(0, b.p, b.n), ID);
	buf_puts(&b, end);
	spill(dir, ID, buf_span(&b));
	buf_free(&b);
}

static void
test_crafted(void **state)
{
	(void)state;
	struct lane l;
	struct message m;
	queue();
	open_lane(&l, "d.example");
	for (size_t i = 0; i < ROWS(heads); i++) {
		put_message(l.dir, heads[i].head);
		int r = message_open(&m, &l, ID);
		if (r != heads[i].want)
			fail_msg("%s: %d", heads[i].name, r);
		message_close(&m);
	}

	/* A head that does not end. */
	static char big[DRAFT_HEAD + 256 * 1024];
	memset(big, 'x', sizeof(big));
	spill(l.dir, ID, (struct span){ big, sizeof(big) });
	assert_int_equal(message_open(&m, &l, ID), -EBADMSG);

	/* Things that are not files, or are elsewhere (K4). */
	assert_int_equal(unlinkat(l.dir, ID, 0), 0);
	assert_int_equal(symlinkat(d.id, l.dir, ID), 0);
	assert_int_equal(message_open(&m, &l, ID), -ELOOP);
	assert_int_equal(unlinkat(l.dir, ID, 0), 0);
	assert_int_equal(mkdirat(l.dir, ID, 0700), 0);
	assert_int_equal(message_open(&m, &l, ID), -EISDIR);
	assert_int_equal(unlinkat(l.dir, ID, AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(l.dir, ID, 0600), 0);
	assert_true(message_open(&m, &l, ID) < 0); /* and does not wait for a writer */
	lane_close(&l);
}

/* ---- the log ---------------------------------------------------------------------------- */

static void
reopen(struct message *m, const struct lane *l)
{
	message_close(m);
	assert_int_equal(message_open(m, l, d.id), 0);
}

static void
test_note(void **state)
{
	(void)state;
	char log[ID_SIZE + 4];
	struct lane l;
	struct message m = MESSAGE_CLOSED;
	struct stat st;
	queue();
	open_lane(&l, "d.example");
	snprintf(log, sizeof(log), "%s.log", d.id);
	int64_t next = clock_wall() + 1000;

	reopen(&m, &l);
	buf_puts(&m.rcpt[0].text, "mx.d.example: 451 later");
	assert_int_equal(message_note(&m, &l, next, true), 0);
	assert_int_equal(message_next(&l, d.id), next);
	assert_int_equal(fstatat(l.dir, log, &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	reopen(&m, &l);
	assert_int_equal(m.attempts, 1);
	assert_false(m.rcpt[0].settled || m.rcpt[1].settled);

	m.rcpt[1].outcome = DONE;
	buf_puts(&m.rcpt[1].text, "mx.d.example: 250 done 0 hard 0"); /* text is only text */
	assert_int_equal(message_note(&m, &l, next + 1, true), 0);
	assert_int_equal(message_next(&l, d.id), next + 1);
	reopen(&m, &l);
	assert_int_equal(m.attempts, 2);
	assert_false(m.rcpt[0].settled);
	assert_true(m.rcpt[1].settled);
	assert_int_equal(m.rcpt[1].outcome, DONE);

	m.rcpt[0].outcome = HARD;
	assert_int_equal(message_note(&m, &l, next, true), 0);
	reopen(&m, &l);
	assert_true(m.rcpt[0].settled && m.rcpt[1].settled);
	assert_int_equal(m.rcpt[0].outcome, HARD);
	struct span text = slurp(l.dir, log);
	assert_non_null(memmem(text.p, text.n, "done 2 mx.d.example: 250 done 0 hard 0\n", 39));

	/* The other lane knows nothing of it. */
	struct lane other;
	open_lane(&other, "e.example");
	reopen(&m, &other);
	assert_int_equal(m.attempts, 0);
	assert_false(m.rcpt[0].settled);
	message_close(&m);
	lane_close(&other);

	assert_int_equal(message_remove(&l, d.id), 0);
	assert_int_equal(names("lane/d.example"), 0);
	assert_int_equal(message_remove(&l, d.id), -ENOENT);
	lane_close(&l);
}

/* A log that a crash or an enemy wrote costs a duplicate, never a recipient (J10, K13). */
static const struct {
	const char *name, *log;
	int settled; /* bit i: recipient i of the lane */
	int attempts;
} logs[] = {
	{ "empty", "", 0, 0 },
	{ "torn", "1700000000 done 0 mx", 0, 0 },
	{ "torn behind a whole one", "1700000000 done 2 mx\n1700000000 done 0 m", 2, 0 },
	{ "torn, then written on", "1700000000 do1700000009 done 2 mx\n", 0, 0 },
	{ "torn in a number", "1700000000 done 1700000009 soft 5\n", 0, 0 },
	{ "zeros", "x\n1700000000 soft 1\n", 0, 1 },
	{ "another lane's", "1700000000 done 1 mx\n", 0, 0 },
	{ "no such recipient", "1700000000 done 3 mx\n1 hard 99999999999999999999 x\n", 0, 0 },
	{ "not a number", "1 done -0 x\n1 done 0x x\n1 done  0\n1 done\n", 0, 0 },
	{ "unknown words", "1 maybe 0 x\n\n \n  \n1 DONE 0\n1 done0\n", 0, 0 },
	{ "no text", "1 done 0\n1 hard 2\n", 3, 0 },
	{ "twice", "1 done 0 a\n2 hard 0 b\n", 1, 0 },
};

static void
test_log(void **state)
{
	(void)state;
	char log[ID_SIZE + 4];
	struct lane l;
	struct message m = MESSAGE_CLOSED;
	queue();
	open_lane(&l, "d.example");
	snprintf(log, sizeof(log), "%s.log", d.id);
	for (size_t i = 0; i < ROWS(logs); i++) {
		spill(l.dir, log, span_of(logs[i].log));
		reopen(&m, &l);
		if ((m.rcpt[0].settled | m.rcpt[1].settled << 1) != logs[i].settled ||
			m.attempts != logs[i].attempts)
			fail_msg("%s: %d %d %d", logs[i].name, m.rcpt[0].settled,
				m.rcpt[1].settled, m.attempts);
	}

	static const char whole[] = "1700000000 done 0 mx\n1700000000 soft 5\n1700000001 hard 2 x\n";
	for (size_t n = 0; n < sizeof(whole); n++) {
		spill(l.dir, log, (struct span){ whole, n });
		reopen(&m, &l);
		assert_int_equal(m.rcpt[0].settled, n >= 21);
		assert_int_equal(m.attempts, n >= 39);
		assert_int_equal(m.rcpt[1].settled, n == sizeof(whole) - 1);
	}

	static char big[5 * 1024 * 1024]; /* what comes first counts, the rest is not read (K13) */
	memset(big, '\n', sizeof(big));
	memcpy(big, whole, sizeof(whole) - 1);
	spill(l.dir, log, (struct span){ big, sizeof(big) });
	reopen(&m, &l);
	assert_true(m.rcpt[0].settled && m.rcpt[1].settled);
	message_close(&m);

	assert_int_equal(unlinkat(l.dir, log, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", l.dir, log), 0); /* K4 */
	assert_int_equal(message_open(&m, &l, d.id), -ELOOP);
	lane_close(&l);
}

/* ---- lanes ------------------------------------------------------------------------------ */

static void
test_slots(void **state)
{
	(void)state;
	enum { SLOTS = 3 };
	struct lane l[SLOTS + 1];
	queue();
	for (int i = 0; i <= SLOTS; i++)
		open_lane(&l[i], "d.example");
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(lane_slot(&l[i], SLOTS), 0);
	assert_int_equal(lane_slot(&l[SLOTS], SLOTS), -EAGAIN);
	assert_int_equal(lane_claim(&l[0], d.id), 0);
	assert_int_equal(lane_claim(&l[1], d.id), -EAGAIN); /* I15 */
	assert_int_equal(lane_claim(&l[1], ID), 0);
	lane_unclaim(&l[0], d.id);
	assert_int_equal(lane_claim(&l[2], d.id), 0);
	lane_close(&l[2]); /* gives back slot and claim, as a kill would (I16) */
	assert_int_equal(lane_claim(&l[0], d.id), 0);
	assert_int_equal(lane_slot(&l[SLOTS], SLOTS), 0);
	lane_close(&l[SLOTS]);

	/* An @lock that was inherited keeps its slot under a new struct. */
	struct lane adopted = LANE_CLOSED;
	int lock = fcntl(l[0].lock, F_DUPFD_CLOEXEC, 0);
	lane_close(&l[0]);
	assert_int_equal(lane_adopt(&adopted, &sp, "d.example", lock), 0);
	assert_int_equal(lane_claim(&l[1], d.id), -EAGAIN);
	lane_close(&adopted);
	lane_close(&l[1]);

	int a = spool_slot(&sp, 2), b = spool_slot(&sp, 2);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(spool_slot(&sp, 2), -EAGAIN);
	close(a);
	a = spool_slot(&sp, 2);
	assert_true(a >= 0);
	close(a);
	close(b);
}

/* No mail waits for the timer: the three orders in which a writer and a relay can meet. */
static void
test_handshake(void **state)
{
	(void)state;
	struct lane l, free_slot;
	struct lane_state st;
	int64_t next = clock_wall() + 1000;
	queue();
	open_lane(&l, "d.example");
	assert_int_equal(lane_slot(&l, 1), 0);
	assert_int_equal(lane_settle(&l), 0);
	assert_int_equal(lane_leave(&l, &sp, next), 0); /* nothing came */
	open_lane(&l, "d.example");
	lane_state(&l, &st);
	assert_int_equal(st.next, next);
	assert_false(st.down);
	assert_int_equal(st.attempts, 0);

	queue(); /* mail comes: due at once */
	lane_state(&l, &st);
	assert_int_equal(st.next, 0);

	assert_int_equal(lane_slot(&l, 1), 0); /* mail comes after the scan: it is seen */
	assert_int_equal(lane_settle(&l), 0);
	queue();
	assert_int_equal(lane_leave(&l, &sp, next), -EAGAIN);
	open_lane(&free_slot, "d.example"); /* and the slot is free for whoever brought it */
	assert_int_equal(lane_slot(&free_slot, 1), 0);
	lane_close(&free_slot);

	open_lane(&l, "d.example"); /* the mark was never made: that is mail, too */
	assert_int_equal(lane_leave(&l, &sp, next), -EAGAIN);
}

static void
test_down(void **state)
{
	(void)state;
	struct lane l;
	struct lane_state st;
	int64_t now = clock_wall();
	queue();
	open_lane(&l, "d.example");
	assert_int_equal(lane_set_down(&l, 3, now + 500, "connect: timed out"), 0);
	queue(); /* new mail waits with the rest */
	lane_state(&l, &st);
	assert_true(st.down);
	assert_int_equal(st.attempts, 3);
	assert_int_equal(st.next, now + 500);
	lane_set_up(&l);
	lane_state(&l, &st);
	assert_false(st.down);
	assert_int_equal(st.next, 0);

	static const struct {
		const char *text;
		int attempts;
	} texts[] = { { "12 failed attempts: x\n", 12 }, { "x", 1 }, { "-5", 1 }, { "0\n", 1 },
		{ "99999999999999999999 x", 1 }, { "2147483648", 1 }, { "\n", 1 } };
	for (size_t i = 0; i < ROWS(texts); i++) {
		spill(l.dir, LANE_RETRY, span_of(texts[i].text));
		lane_state(&l, &st);
		assert_true(st.down);
		assert_int_equal(st.attempts, texts[i].attempts);
	}
	unlinkat(l.dir, LANE_RETRY, 0);
	assert_int_equal(symlinkat("/etc/passwd", l.dir, LANE_RETRY), 0); /* K4 */
	lane_state(&l, &st);
	assert_false(st.down);
	assert_true(lane_set_down(&l, 1, now, "x") < 0);
	assert_true(lane_settle(&l) < 0);
	lane_close(&l);

	static const struct {
		int64_t next;
		bool due;
	} times[] = { { 0, true }, { 1000, true }, { 1001, false }, { 1100, false },
		{ 1101, true /* the clock was set back, J12 */ } };
	for (size_t i = 0; i < ROWS(times); i++)
		assert_int_equal(lane_is_due(&(struct lane_state){ .next = times[i].next }, 1000,
			100), times[i].due);
}

static void
test_removal(void **state)
{
	(void)state;
	struct lane a, b;
	queue();
	open_lane(&a, "d.example");
	assert_int_equal(lane_leave(&a, &sp, 0), -EAGAIN); /* it is not empty */
	assert_int_equal(names("lane/d.example"), 1);

	open_lane(&a, "d.example");
	assert_int_equal(message_remove(&a, d.id), 0);
	open_lane(&b, "d.example");
	assert_int_equal(lane_slot(&a, 2), 0);
	assert_int_equal(lane_slot(&b, 2), 0);
	assert_int_equal(lane_leave(&a, &sp, 0), 0); /* b is at work and will look after it */
	assert_int_equal(names("lane/d.example"), 0);

	open_lane(&a, "d.example"); /* opened before it goes */
	assert_int_equal(lane_settle(&b), 0);
	assert_int_equal(lane_leave(&b, &sp, 0), 0);
	assert_int_equal(names("lane/d.example"), -1);
	assert_int_equal(lane_slot(&a, 2), -ESTALE);
	lane_close(&a);
	assert_int_equal(lane_open(&a, &sp, "d.example"), -ENOENT);
	queue(); /* made again */
	assert_int_equal(names("lane/d.example"), 1);
	assert_true(exists(sp.lanes, "d.example/" LANE_LOCK));
}

/* ---- the spool itself ------------------------------------------------------------------- */

static void
refused(const char *path, int want)
{
	struct spool s = { 7, 7, 7, 7 };
	assert_int_equal(spool_open(&s, path), want);
	assert_int_equal(s.root, 7);
}

static void
test_spool_open(void **state)
{
	(void)state;
	static const char *const made[] = { "lane", "tmp", "aside" };
	struct stat st;
	char path[100];
	for (size_t i = 0; i < ROWS(made); i++) {
		assert_int_equal(fstatat(sp.root, made[i], &st, 0), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0700); /* K3 */
	}
	refused("/tmp/postern-no-such-directory", -ENOENT); /* J15 */
	snprintf(path, sizeof(path), "%s/file", top);
	spill(sp.root, "file", span_of(""));
	refused(path, -ENOTDIR);
	snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlinkat(".", sp.root, "link"), 0); /* K4 */
	refused(path, -ENOTDIR);
	static const mode_t modes[] = { 0770, 0707, 0777, 01777, 0720, 0702 };
	for (size_t i = 0; i < ROWS(modes); i++) {
		assert_int_equal(chmod(top, modes[i]), 0);
		refused(top, -EPERM);
	}
	assert_int_equal(chmod(top, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(top, 1, 1), 0);
		refused(top, -EPERM);
		assert_int_equal(chown(top, 0, 0), 0);
	}
	struct spool again = SPOOL_CLOSED;
	assert_int_equal(spool_open(&again, top), 0);
	spool_close(&again);
	assert_int_equal(again.root, -1);

	assert_int_equal(renameat(sp.root, "aside", sp.root, "a"), 0);
	assert_int_equal(symlinkat("a", sp.root, "aside"), 0);
	refused(top, -ENOTDIR);
}

static void
test_sweep(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t age;
		bool stays;
	} files[] = { { "new", 0, true }, { "young", SPOOL_TMP_AGE - 60, true },
		{ "old", SPOOL_TMP_AGE + 60, false }, { "ancient", 400 * 86400, false },
		{ "future", -86400, true } };
	for (size_t i = 0; i < ROWS(files); i++) {
		spill(sp.tmp, files[i].name, span_of("x"));
		set_age(sp.tmp, files[i].name, files[i].age);
	}
	spill(sp.aside, "target", span_of("x"));
	set_age(sp.aside, "target", 2 * SPOOL_TMP_AGE);
	assert_int_equal(symlinkat("../aside/target", sp.tmp, "link"), 0);
	assert_int_equal(mkdirat(sp.tmp, "directory", 0700), 0);
	set_age(sp.tmp, "directory", 2 * SPOOL_TMP_AGE);
	assert_int_equal(mkfifoat(sp.tmp, "fifo", 0600), 0);
	spool_sweep(&sp);
	for (size_t i = 0; i < ROWS(files); i++)
		if (exists(sp.tmp, files[i].name) != files[i].stays)
			fail_msg("%s", files[i].name);
	assert_true(exists(sp.tmp, "link") && exists(sp.aside, "target"));
	assert_true(exists(sp.tmp, "directory"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stages),
		TEST(test_commit),
		TEST(test_pieces),
		TEST(test_failure),
		TEST(test_limits),
		TEST(test_open),
		TEST(test_damage),
		TEST(test_crafted),
		TEST(test_note),
		TEST(test_log),
		TEST(test_slots),
		TEST(test_handshake),
		TEST(test_down),
		TEST(test_removal),
		TEST(test_spool_open),
		TEST(test_sweep),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}

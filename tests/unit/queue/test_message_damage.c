/*
 * message: what a reader makes of files and logs that were cut, changed or planted (J9, J10, J16,
 * J19, K4, K13, K14).
 */
#include "tests/unit/spooled.h"

#include <time.h>

#include "lib/crc.h"
#include "lib/lock.h"

static void
test_open(void **state)
{
	(void)state;
	struct lane l;
	struct message m;
	queue_two();
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

	/*
	 * The same file under another inode is the same message (J16), under another name is not.
	 */
	struct span text = slurp(l.dir, d.id);
	assert_int_equal(unlinkat(l.dir, d.id, 0), 0);
	spill(l.dir, d.id, text);
	assert_int_equal(message_open(&m, &l, d.id), 0);
	message_close(&m);
	spill(l.dir, ID, text);
	assert_int_equal(message_open(&m, &l, ID), -EBADMSG);
	lane_close(&l);
}

/*
 * A file of which one byte is missing or different is no message (J9, J19); but a state that is
 * odd stands for one who waits.
 */
static void
test_damage(void **state)
{
	(void)state;
	static char good[1000];
	struct lane l;
	struct message m;
	queue_two();
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
	const char *states = (const char *)memmem(good, text.n, "States: www", 11) + 8;
	for (size_t i = 0; i < text.n; i++) {
		static const char flips[] = { 1, 0x20, (char)0x80 };
		for (size_t k = 0; k < sizeof(flips); k++) {
			char c = (char)(good[i] ^ flips[k]);
			bool loose = good + i >= states && good + i < states + 3;
			assert_int_equal(pwrite(fd, &c, 1, (off_t)i), 1);
			if (message_open(&m, &l, d.id) != (loose ? 0 : -EBADMSG))
				fail_msg("byte %zu, %c for %c", i, c, good[i]);
			assert_false(m.n > 0 && (m.rcpt[0].settled || m.rcpt[1].settled));
			message_close(&m);
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
	struct stat st;
	assert_int_equal(fstatat(sp.root, "aside", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700); /* K3 */
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
	HEAD("states", MAGIC "Arrived: 5\nFrom: a@b\n" TO "States: w\n\n", 0)
	HEAD("too many states", MAGIC "Arrived: 5\nFrom: a@b\n" TO "States: ww\n\n", -EBADMSG)
	HEAD("too few states", MAGIC "Arrived: 5\nFrom: a@b\n" TO TO "States: w\n\n", -EBADMSG)
	HEAD("no states", MAGIC "Arrived: 5\nFrom: a@b\n" TO "States: \n\n", -EBADMSG)
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
	queue_two();
	open_lane(&l, "d.example");
	for (size_t i = 0; i < ROWS(heads); i++) {
		put_message(l.dir, heads[i].head);
		int r = message_open(&m, &l, ID);
		if (r != heads[i].want)
			fail_msg("%s: %d", heads[i].name, r);
		message_close(&m);
	}

	/* A head that does not end. */
	static char big[MESSAGE_HEAD + 256 * 1024];
	memset(big, 'x', sizeof(big));
	spill(l.dir, ID, (struct span){ big, sizeof(big) });
	assert_int_equal(message_open(&m, &l, ID), -EBADMSG);

	/* Things that are not files, or are elsewhere (K4). */
	assert_true(message_is_file(&l, ID));
	assert_int_equal(unlinkat(l.dir, ID, 0), 0);
	assert_true(message_is_file(&l, ID)); /* it is gone, and that is all */
	assert_int_equal(symlinkat(d.id, l.dir, ID), 0);
	assert_int_equal(message_open(&m, &l, ID), -ELOOP);
	assert_false(message_is_file(&l, ID));
	assert_int_equal(unlinkat(l.dir, ID, 0), 0);
	assert_int_equal(mkdirat(l.dir, ID, 0700), 0);
	assert_false(message_is_file(&l, ID));
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
	queue_two();
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
	queue_two();
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
	assert_int_equal(unlinkat(l.dir, log, 0), 0);
	assert_int_equal(symlinkat("elsewhere", l.dir, log), 0);
	m = MESSAGE_CLOSED;
	memcpy(m.id, d.id, sizeof(m.id));
	assert_int_equal(message_wait(&m, &l, 0), -ELOOP);
	assert_false(exists(l.dir, "elsewhere"));
	lane_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_damage),
		TEST(test_crafted),
		TEST(test_note),
		TEST(test_log),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests_name("message_damage", tests, NULL, NULL);
}

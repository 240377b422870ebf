/*
 * stream: lines and bytes are read with deadlines (A8, A11, A12, C2, F3, F18, R61).
 *
 * A SEQPACKET pair hands out one piece for each read, so that an input can be split at any byte
 * without a second process and without waiting.
 */
#include "tests/unit/lib/streamed.h"

static const char *const result_name[] = { "ok", "too long", "bad", "flood", "eof", "timeout",
	"stopped", "broken" };

/* All lines up to the first result that ends the reading, as "ok(text) bad eof". */
static void
read_all(struct buf *out)
{
	enum stream_result r;
	do {
		struct span line;
		r = stream_line(&s, LIMIT, JUNK, in_time(), &line);
		buf_printf(out, "%s%s", out->n > 0 ? " " : "", result_name[r]);
		if (r == STREAM_OK) {
			buf_puts(out, "(");
			buf_escape(out, line, LIMIT);
			buf_puts(out, ")");
		}
	} while (r == STREAM_OK || r == STREAM_BAD || r == STREAM_TOO_LONG);
}

static const struct row {
	const char *name;
	struct span in;
	const char *strict, *lenient; /* what is read, with a limit of 10 octets */
} rows[] = {
#define ROW(name, in, strict, lenient) { name, { in, sizeof(in) - 1 }, strict, lenient },
	ROW("nothing", "", "eof", "eof")
	ROW("one line", "NOOP\r\n", "ok(NOOP) eof", "ok(NOOP) eof")
	ROW("empty lines", "\r\n\r\n", "ok() ok() eof", "ok() ok() eof")
	ROW("three at once", "a\r\nb\r\nc\r\n", "ok(a) ok(b) ok(c) eof", "ok(a) ok(b) ok(c) eof")
	ROW("no end", "QUIT", "eof", "eof")
	ROW("CR without LF at the end", "QUIT\r", "eof", "eof")
	ROW("LF", "a\nb\r\n", "bad ok(b) eof", "ok(a) ok(b) eof")
	ROW("lone LF", "\n", "bad eof", "ok() eof")
	ROW("CR inside", "a\rb\r\nc\r\n", "bad ok(c) eof", "bad ok(c) eof")
	ROW("CR CR LF", "a\r\r\nc\r\n", "bad ok(c) eof", "bad ok(c) eof")
	ROW("NUL", "a\0b\r\nc\r\n", "bad ok(c) eof", "bad ok(c) eof")
	ROW("NUL alone", "\0\r\n", "bad eof", "bad eof")
	ROW("8 bit", "\x80\xff\r\n", "ok(\\x80\\xff) eof", "ok(\\x80\\xff) eof")
	ROW("at the limit", "12345678\r\nb\r\n", "ok(12345678) ok(b) eof", "ok(12345678) ok(b) eof")
	ROW("over the limit", "123456789\r\nb\r\n", "too long ok(b) eof", "too long ok(b) eof")
	ROW("LF at the limit", "123456789\nb\r\n", "bad ok(b) eof", "ok(123456789) ok(b) eof")
	ROW("LF over the limit", "1234567890\nb\r\n", "too long ok(b) eof", "too long ok(b) eof")
	ROW("far over", "1234567890123456789012345678901234567890\r\nb\r\n", "too long ok(b) eof",
		"too long ok(b) eof")
	ROW("over with NUL and CR", "1234\0\r7890123\r\nb\r\n", "too long ok(b) eof",
		"too long ok(b) eof")
	ROW("over, no end", "123456789012", "eof", "eof")
	ROW("never", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"flood", "flood")
#undef ROW
};

static void
run(const struct row *row, bool lenient, size_t split, size_t piece)
{
	int fd[2];
	pair(SOCK_SEQPACKET, fd);
	give(fd[PEER], row->in.p, split);
	for (size_t at = split; at < row->in.n; at += piece)
		give(fd[PEER], row->in.p + at, row->in.n - at < piece ? row->in.n - at : piece);
	shutdown(fd[PEER], SHUT_WR);
	stream_init(&s, fd[MINE], fd[MINE], lenient, NULL);
	struct buf got = buf_new(1000);
	read_all(&got);
	if (!span_eq(buf_span(&got), span_of(lenient ? row->lenient : row->strict)))
		fail_msg("%s, split at %zu: %.*s", row->name, split, (int)got.n, got.p);
	buf_free(&got);
	close_pair(fd);
}

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t split = 0; split <= rows[i].in.n; split++) {
			run(&rows[i], false, split, rows[i].in.n);
			run(&rows[i], true, split, rows[i].in.n);
		}
		run(&rows[i], false, 0, 1);
		run(&rows[i], true, 0, 1);
	}
}

/* What stands behind a line in the same segment is there for whoever reads next (R61). */
static void
test_rest(void **state)
{
	(void)state;
	static const char in[] = "DATA\r\nbody\r\n.\r\nQUIT\r\n";
	for (size_t split = 6; split < sizeof(in) - 1; split++) {
		int fd[2];
		struct span line, bytes;
		pair(SOCK_SEQPACKET, fd);
		give(fd[PEER], in, split);
		give(fd[PEER], in + split, sizeof(in) - 1 - split);
		stream_init(&s, fd[MINE], fd[MINE], false, NULL);
		assert_false(stream_pending(&s));
		assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
		assert_int_equal(stream_pending(&s), split > 6);
		for (size_t at = 6; at < 15;) { /* body and dot, at most two bytes at once */
			assert_int_equal(stream_bytes(&s, in_time(), &bytes), STREAM_OK);
			size_t n = bytes.n < 2 || at == 14 ? 1 : 2;
			assert_memory_equal(bytes.p, in + at, n);
			stream_used(&s, n);
			at += n;
		}
		assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
		assert_true(span_eq(line, span_of("QUIT")));
		assert_false(stream_pending(&s));
		assert_int_equal(stream_bytes(&s, clock_ms(), &bytes), STREAM_TIMEOUT);
		close_pair(fd);
	}
}

/* Lines of every length around the edges of the buffer come out as they went in (A11). */
static void
test_edges(void **state)
{
	(void)state;
	enum { LINES = 3000, LONGEST = 2046 };
	static char text[LONGEST + 2];
	int fd[2];
	pair(SOCK_STREAM, fd);
	pid_t pid = fork();
	assert_true(pid >= 0);
	memset(text, 'x', LONGEST);
	if (pid == 0) {
		FILE *f = fdopen(fd[PEER], "w");
		close(fd[MINE]);
		for (int i = 0; f != NULL && i < LINES; i++)
			fprintf(f, "%.*s\r\n", i * 7 % (LONGEST + 1), text);
		_exit(f == NULL || fclose(f) != 0);
	}
	close(fd[PEER]);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	int64_t deadline = in_time();
	struct span line;
	for (int i = 0; i < LINES; i++) {
		assert_int_equal(stream_line(&s, LONGEST + 2, STREAM_IN, deadline, &line),
			STREAM_OK);
		assert_int_equal(line.n, i * 7 % (LONGEST + 1));
		assert_memory_equal(line.p, text, line.n);
	}
	assert_int_equal(stream_line(&s, LONGEST + 2, STREAM_IN, deadline, &line), STREAM_EOF);
	close(fd[MINE]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A line without an end takes no memory, however it comes (A12, F3). */
static void
test_flood(void **state)
{
	(void)state;
	static char text[STREAM_IN];
	static const size_t pieces[] = { 1000, 9999, STREAM_IN };
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ROWS(pieces); i++) {
		int fd[2];
		struct span line;
		pair(SOCK_SEQPACKET, fd);
		for (size_t sent = 0; sent <= STREAM_IN; sent += pieces[i])
			give(fd[PEER], text, pieces[i]);
		give(fd[PEER], "\r\n", 2); /* too late */
		stream_init(&s, fd[MINE], fd[MINE], false, NULL);
		assert_int_equal(stream_line(&s, 2048, STREAM_IN, in_time(), &line), STREAM_FLOOD);
		close_pair(fd);
	}
}

static volatile int stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void
test_ends(void **state)
{
	(void)state;
	int fd[2];
	struct span line;
	pair(SOCK_STREAM, fd);
	stream_init(&s, fd[MINE], fd[MINE], false, &stop);
	int64_t start = clock_ms();
	give(fd[PEER], "half", 4);
	assert_int_equal(stream_line(&s, 100, 100, start + SOON, &line), STREAM_TIMEOUT);
	assert_true(clock_ms() >= start + SOON);
	give(fd[PEER], " a line\r\n", 9); /* what came before the timeout is still there */
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
	assert_true(span_eq(line, span_of("half a line")));

	/* A signal that came before the wait is not slept over (K7). */
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	assert_int_equal(stop, 0);
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_STOPPED);
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_STOPPED);
	stream_put(&s, span_of("421\r\n"), in_time()); /* a last word may be said */
	assert_int_equal(stream_flush(&s, in_time()), STREAM_OK);
	char got[16];
	assert_int_equal(read(fd[PEER], got, sizeof(got)), 5);
	stop = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGUSR1, SIG_DFL);

	give(fd[MINE], "unread", 6); /* then the close is a reset */
	close(fd[PEER]);
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_EOF);
	close(fd[MINE]);

	int dir = open("/", O_RDONLY | O_CLOEXEC); /* read fails: EISDIR */
	stream_init(&s, dir, dir, false, NULL);
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_BROKEN);
	close(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_ends),
	};
	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}

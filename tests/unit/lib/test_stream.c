/*
 * stream: lines and bytes with deadlines (A8, A11, A12, C2, C15, F3, F17, F18, R61).
 *
 * A SEQPACKET pair hands out one piece for each read, so that an input can be split at any byte
 * without a second process and without waiting.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/stream.h"

enum { MINE, PEER, LIMIT = 10, JUNK = 60 };
enum { SOON = 20 /* ms, of what is to be too late */, LONG = 60 /* s, of what is not */ };

static struct stream s; /* large */

static const char *const result_name[] = { "ok", "too long", "bad", "flood", "eof", "timeout",
	"stopped", "broken" };

static void
pair(int type, int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd), 0);
}

static void
close_pair(const int fd[2])
{
	close(fd[MINE]);
	close(fd[PEER]);
}

static void
give(int fd, const char *p, size_t n)
{
	if (n > 0)
		assert_int_equal(write(fd, p, n), n);
}

static int64_t
soon(void)
{
	return clock_ms() + SOON;
}

/* Nothing here waits until that is over. */
static int64_t
in_time(void)
{
	return clock_deadline(LONG);
}

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

/* Output goes before anything waits, and not sooner (RFC 2920 section 3.2). */
static void
test_flush(void **state)
{
	(void)state;
	int fd[2];
	char got[STREAM_OUT + 1];
	struct span line;
	pair(SOCK_STREAM, fd);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	give(fd[PEER], "RSET\r\nNOOP\r\n", 12);
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
	stream_put(&s, span_of("250 1\r\n"), in_time());
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
	stream_put(&s, span_of("250 2\r\n"), in_time());
	assert_int_equal(recv(fd[PEER], got, sizeof(got), MSG_DONTWAIT), -1);
	assert_int_equal(stream_line(&s, 100, 100, clock_ms(), &line), STREAM_TIMEOUT);
	assert_int_equal(recv(fd[PEER], got, sizeof(got), MSG_DONTWAIT), 14);
	assert_memory_equal(got, "250 1\r\n250 2\r\n", 14);

	for (int i = 0; i < STREAM_OUT - 1; i++) /* a full buffer is sent */
		stream_put(&s, span_of("x"), in_time());
	assert_int_equal(recv(fd[PEER], got, sizeof(got), MSG_DONTWAIT), -1);
	stream_put(&s, span_of("yz"), in_time());
	assert_int_equal(recv(fd[PEER], got, sizeof(got), MSG_DONTWAIT), STREAM_OUT);
	assert_int_equal(stream_flush(&s, in_time()), STREAM_OK);
	assert_int_equal(recv(fd[PEER], got, sizeof(got), MSG_DONTWAIT), 1);
	/* more than a buffer holds does not wait in one */
	stream_put(&s, (struct span){ got, sizeof(got) }, in_time());
	assert_int_equal(recv(fd[PEER], got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	close_pair(fd);
}

/* A reader that takes nothing more: the deadline ends it, and the error sticks (F17). */
static void
stall(int in, int out)
{
	static char text[STREAM_OUT];
	int64_t start = clock_ms();
	stream_init(&s, in, out, false, NULL);
	for (int i = 0; i < 1024 && !s.broken; i++)
		stream_put(&s, (struct span){ text, sizeof(text) }, start + 5 * SOON);
	assert_true(s.broken);
	assert_true(clock_ms() >= start + 5 * SOON);
	assert_int_equal(stream_flush(&s, in_time()), STREAM_BROKEN);
	stream_put(&s, (struct span){ text, sizeof(text) }, in_time());
	assert_int_equal(s.fill, 0);
}

static void
test_stall(void **state)
{
	(void)state;
	int fd[2], p[2];
	pair(SOCK_STREAM, fd);
	stall(fd[MINE], fd[MINE]);
	close_pair(fd);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	stall(p[0], p[1]);
	close_pair(p);
}

/* A pipe whose reader is slow but there gets everything. */
static void
test_slow_pipe(void **state)
{
	(void)state;
	enum { TOTAL = 300000 };
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char got[777];
		size_t n = 0;
		close(p[1]);
		for (ssize_t r; (r = read(p[0], got, sizeof(got))) > 0;)
			for (ssize_t i = 0; i < r; i++)
				if (got[i] != (char)('a' + n++ % 23))
					_exit(1);
		_exit(n != TOTAL);
	}
	close(p[0]);
	stream_init(&s, -1, p[1], true, NULL);
	for (size_t n = 0; n < TOTAL; n++) {
		char c = (char)('a' + n % 23);
		stream_put(&s, (struct span){ &c, 1 }, in_time());
	}
	assert_int_equal(stream_flush(&s, in_time()), STREAM_OK);
	close(p[1]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A peer that has gone: no signal kills us, the error sticks (C15). */
static void
test_gone(void **state)
{
	(void)state;
	int fd[2];
	struct span line;
	pair(SOCK_STREAM, fd);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	close(fd[PEER]);
	stream_put(&s, span_of("250 2.0.0 Ok\r\n"), in_time());
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_BROKEN);
	assert_int_equal(stream_flush(&s, in_time()), STREAM_BROKEN);
	close(fd[MINE]);
}

/* Something below: letters are turned by 13 places on their way, and come one at a time. */
struct turned {
	const char *text;   /* to be read */
	struct buf written;
	enum stream_result end, full; /* what comes behind the text; what writing brings */
};

static char
turn(char c)
{
	return c >= 'a' && c <= 'z' ? (char)((c - 'a' + 13) % 26 + 'a') : c;
}

static enum stream_result
read_turned(void *context, char *p, size_t n, size_t *done, short *wants)
{
	struct turned *t = context;
	(void)wants;
	assert_true(n > 0);
	if (*t->text == '\0')
		return t->end;
	*p = turn(*t->text++);
	*done = 1;
	return STREAM_OK;
}

static enum stream_result
write_turned(void *context, const char *p, size_t n, size_t *done, short *wants)
{
	struct turned *t = context;
	(void)wants;
	assert_true(n > 0);
	for (size_t i = 0; i < n && t->full == STREAM_OK; i++)
		buf_add(&t->written, (struct span){ (char[]){ turn(p[i]) }, 1 });
	*done = t->full == STREAM_OK ? n : 0;
	return t->full;
}

/* Lines, what is put, ends and failures go through it, and nothing goes past it. */
static void
test_below(void **state)
{
	(void)state;
	static const struct transport turned = { read_turned, write_turned };
	static const enum stream_result results[] = { STREAM_EOF, STREAM_TIMEOUT, STREAM_BROKEN };
	struct span line;
	for (size_t i = 0; i < ROWS(results); i++) {
		struct turned t = { .text = "250 bx\r\nnop", .written = buf_new(2 * STREAM_OUT),
			.end = results[i] };
		stream_init(&s, -1, -1, false, NULL);
		s.below = &turned;
		s.context = &t;
		stream_put(&s, span_of("noop\r\n"), in_time());
		assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
		assert_true(span_eq(line, span_of("250 ok")));
		/* ahead of the wait */
		assert_true(span_eq(buf_span(&t.written), span_of("abbc\r\n")));
		assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), results[i]);
		assert_int_equal(stream_bytes(&s, in_time(), &line), STREAM_OK);
		assert_true(span_eq(line, span_of("abc")));
		for (int j = 0; j < STREAM_OUT + 1; j++)
			stream_put(&s, span_of("a"), in_time());
		assert_int_equal(t.written.n, 6 + STREAM_OUT);
		t.full = results[i];
		assert_int_equal(stream_flush(&s, in_time()), results[i]);
		t.full = STREAM_OK;
		stream_put(&s, span_of("a"), in_time());
		assert_int_equal(stream_flush(&s, in_time()), STREAM_BROKEN); /* sticks */
		assert_int_equal(t.written.n, 6 + STREAM_OUT);
		buf_free(&t.written);
	}
}

static bool
never(void *listener)
{
	(void)listener;
	return false;
}

static bool
at_a_word(void *listener)
{
	return stream_pending(listener);
}

/* A peer that says much before it reads anything. Its process. */
static pid_t
talker(const int fd[2], size_t says, size_t reads)
{
	static char text[4096];
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	close(fd[MINE]);
	for (ssize_t w; says > 0 && (w = write(fd[PEER], text, says < 4096 ? says : 4096)) > 0;)
		says -= (size_t)w;
	for (ssize_t r; reads > 0 && (r = read(fd[PEER], text, sizeof(text))) > 0;)
		reads -= (size_t)r;
	pause(); /* it neither reads nor closes */
	_exit(0);
}

static void
narrow(const int fd[2])
{
	const int small = 4096;
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
			0);
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* S21: two sides with small buffers that both have much to say do not wait for each other. */
static void
test_listens(void **state)
{
	(void)state;
	enum { SAYS = STREAM_IN, TOTAL = 1 << 20 };
	static char text[TOTAL];
	struct span heard;
	int fd[2];
	pair(SOCK_STREAM, fd);
	narrow(fd);
	pid_t pid = talker(fd, SAYS, TOTAL);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	s.listens = never;
	stream_put(&s, (struct span){ text, TOTAL }, in_time());
	assert_false(s.broken);
	for (size_t n = 0; n < SAYS; n += heard.n) {
		assert_int_equal(stream_bytes(&s, in_time(), &heard), STREAM_OK);
		stream_used(&s, heard.n);
	}
	assert_false(stream_has_news(&s));
	end(pid);
	close_pair(fd);
}

/* S21: what is said meanwhile may be a reason to say no more: not at the end of all patience. */
static void
test_hears_a_no(void **state)
{
	(void)state;
	static char text[1 << 20];
	struct span heard;
	int fd[2], file = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, sizeof(text)), 0);
	for (int by_file = 0; by_file < 2; by_file++) {
		pair(SOCK_STREAM | SOCK_NONBLOCK, fd);
		narrow(fd);
		pid_t pid = talker(fd, 8, 0);
		stream_init(&s, fd[MINE], fd[MINE], false, NULL);
		s.listens = at_a_word;
		s.listener = &s;
		ssize_t w = 1;
		while (by_file && w > 0)
			w = stream_file(&s, file, 0, sizeof(text), CLOCK_NEVER);
		if (!by_file)
			stream_put(&s, (struct span){ text, sizeof(text) }, CLOCK_NEVER);
		assert_true(s.broken);
		assert_int_equal(stream_bytes(&s, CLOCK_NEVER, &heard), STREAM_OK);
		assert_int_equal(heard.n, 8);
		end(pid);
		close_pair(fd);
	}
	close(file);
}

/* A file of n octets, each other than its neighbours. */
static int
make_file(size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	for (size_t i = 0; i < n; i++)
		give(fd, &(char){ (char)(i % 251) }, 1);
	return fd;
}

/* Behind what was put before; in pieces, because the other side takes some at a time. */
static void
test_file(void **state)
{
	(void)state;
	enum { SIZE = 600 * 1000, FROM = 7 };
	static char got[SIZE];
	size_t n = 0, calls = 0;
	int fd[2], file = make_file(SIZE);
	pair(SOCK_STREAM | SOCK_NONBLOCK, fd);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	assert_true(stream_takes_files(&s));
	stream_put(&s, span_of("head"), in_time());
	for (off_t at = FROM; at < SIZE; calls++) {
		ssize_t w = stream_file(&s, file, at, (size_t)(SIZE - at), in_time());
		assert_true(w > 0);
		at += w;
		for (ssize_t r; (r = read(fd[PEER], got + n, sizeof(got) - n)) > 0;)
			n += (size_t)r;
	}
	assert_int_equal(n, 4 + SIZE - FROM);
	assert_true(calls > 1);
	assert_memory_equal(got, "head", 4);
	for (size_t i = FROM; i < SIZE; i++)
		assert_int_equal((unsigned char)got[4 + i - FROM], i % 251);
	assert_int_equal(stream_file(&s, file, SIZE, 1, in_time()), 0);
	assert_false(s.broken);
	close(file);
	close_pair(fd);
}

/*
 * A reader that takes nothing more, or is gone: the stream is broken (F17). A file that cannot be:
 * it is not.
 */
static void
test_file_trouble(void **state)
{
	(void)state;
	int fd[2], file = make_file(1000), odd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pair(SOCK_STREAM | SOCK_NONBLOCK, fd);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	assert_int_equal(stream_file(&s, odd, 0, 1, in_time()), -EINVAL);
	close(odd);
	assert_false(s.broken);
	int64_t start = clock_ms(), deadline = start + 5 * SOON;
	ssize_t w;
	do
		w = stream_file(&s, file, 0, 1000, deadline);
	while (w > 0);
	assert_int_equal(w, -EAGAIN);
	assert_true(s.broken && clock_ms() >= deadline);
	close(fd[PEER]);
	stream_init(&s, fd[MINE], fd[MINE], false, NULL);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(stream_file(&s, file, 0, 1000, in_time()), -EPIPE);
	assert_true(s.broken);
	close(file);
	close(fd[MINE]);
}

/* Begins with a connection; what is counted goes on, so that it never becomes less. */
static uint64_t sent_before;

static void
begin_count(int fd)
{
	sent_before = atomic_load_explicit(&s.sent, memory_order_relaxed);
	stream_init(&s, fd, fd, false, NULL);
}

static uint64_t
sent(void)
{
	return atomic_load_explicit(&s.sent, memory_order_relaxed) - sent_before;
}

/* What went out, by whatever way, and nothing else: not what came in (S2). */
static void
test_sent(void **state)
{
	(void)state;
	enum { SIZE = 5000 };
	struct span line;
	int fd[2], file = make_file(SIZE);
	pair(SOCK_STREAM | SOCK_NONBLOCK, fd);
	begin_count(fd[MINE]);
	assert_int_equal(sent(), 0);
	assert_int_equal(stream_line(&s, LIMIT, JUNK, soon(), &line), STREAM_TIMEOUT);
	stream_put(&s, span_of("NOOP\r\n"), in_time());
	assert_int_equal(sent(), 0); /* it is not sent yet */
	assert_int_equal(stream_flush(&s, in_time()), STREAM_OK);
	assert_int_equal(sent(), 6);
	give(fd[PEER], "250\r\n25", 7);
	assert_int_equal(stream_line(&s, LIMIT, JUNK, in_time(), &line), STREAM_OK);
	assert_int_equal(sent(), 6);
	assert_int_equal(stream_line(&s, LIMIT, JUNK, soon(), &line), STREAM_TIMEOUT);
	assert_int_equal(stream_file(&s, file, 0, SIZE, in_time()), SIZE);
	assert_int_equal(sent(), 6 + SIZE);
	assert_int_equal(stream_file(&s, file, SIZE, 1, in_time()), 0);
	assert_int_equal(sent(), 6 + SIZE);
	close(file);
	close_pair(fd);
}

/* What a peer that takes no more has taken counts, and what it has not does not. */
static void
test_sent_in_part(void **state)
{
	(void)state;
	static char text[1 << 20];
	int fd[2], waiting;
	pair(SOCK_STREAM | SOCK_NONBLOCK, fd);
	narrow(fd);
	begin_count(fd[MINE]);
	stream_put(&s, (struct span){ text, sizeof(text) }, soon());
	assert_true(s.broken);
	uint64_t taken = 0;
	while ((waiting = (int)read(fd[PEER], text, sizeof(text))) > 0)
		taken += (uint64_t)waiting;
	assert_true(taken > 0 && taken < sizeof(text));
	assert_int_equal(sent(), taken);
	close_pair(fd);
}

/* Of what is below (TLS) the text counts. */
static void
test_sent_below(void **state)
{
	(void)state;
	static const struct transport turned = { read_turned, write_turned };
	struct span line;
	struct turned t = { .text = "250 bx\r\n", .written = buf_new(100), .end = STREAM_EOF };
	begin_count(-1);
	s.below = &turned;
	s.context = &t;
	stream_put(&s, span_of("noop\r\n"), in_time());
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_OK);
	assert_int_equal(sent(), 6);
	assert_int_equal(stream_line(&s, 100, 100, in_time(), &line), STREAM_EOF);
	assert_int_equal(sent(), 6);
	buf_free(&t.written);
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
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_slow_pipe),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_listens),
		cmocka_unit_test(test_hears_a_no),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_trouble),
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_sent_in_part),
		cmocka_unit_test(test_sent_below),
	};
	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}

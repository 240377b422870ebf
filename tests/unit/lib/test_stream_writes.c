/* stream: what is written goes out in time, or it is told that it does not (C15, F17, R61). */
#include "tests/unit/lib/streamed.h"

static int64_t
soon(void)
{
	return clock_ms() + SOON;
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
	return cmocka_run_group_tests_name("stream_writes", tests, NULL, NULL);
}

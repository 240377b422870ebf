/* body: what goes out in each form, also where it breaks off (A10, L1, R73 to R77). */
#include "tests/unit/sending/bodies.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

/* ---- what goes out ------------------------------------------------------------------------ */

/* The other end of a connection, which keeps all that comes. */
struct taker {
	pthread_t thread;
	int fd;
	size_t n;
	char got[2 * LARGE];
};

static struct taker taker; /* large */

static void *
take(void *context)
{
	struct taker *t = context;
	ssize_t n;
	while ((n = read(t->fd, t->got + t->n, sizeof(t->got) - t->n)) > 0)
		t->n += (size_t)n;
	close(t->fd);
	return NULL;
}

static void
connect_taker(void)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	l.proof.tls = NULL;
	taker.fd = fd[1];
	taker.n = 0;
	l.fd = fd[0];
	stream_init(&l.stream, fd[0], fd[0], true, NULL);
	assert_int_equal(pthread_create(&taker.thread, NULL, take, &taker), 0);
}

/* Sends what is still in the buffer if `whole`, and closes. What the other end got. */
static struct span
part(bool whole)
{
	if (whole)
		assert_int_equal(stream_flush(&l.stream, clock_deadline(60)), STREAM_OK);
	link_close(&l);
	assert_int_equal(pthread_join(taker.thread, NULL), 0);
	return (struct span){ taker.got, taker.n };
}

typedef bool put_fn(struct link *, const struct text *);

static struct span
sent(put_fn *put, const char *text, unsigned can)
{
	struct message m = message_of(text, strlen(text));
	struct text t;
	know_host(can);
	assert_int_equal(body_fit(&l, &m, &t), DONE);
	connect_taker();
	assert_true(put(&l, &t));
	struct span got = part(true);
	close(m.fd);
	return got;
}

static void
test_lines(void **state)
{
	(void)state;
	static const struct { const char *text, *want; } rows[] = {
		{ "a\r\nb\r\n", "a\r\nb\r\n.\r\n" },
		{ ".\r\n", "..\r\n.\r\n" },
		{ "a\r\n.\r\n.b\r\n..\r\n", "a\r\n..\r\n..b\r\n...\r\n.\r\n" },
		{ "a.\r\n.", "a.\r\n..\r\n.\r\n" },
		/* the last dot stands alone whatever is before it (A10) */
		{ "a", "a\r\n.\r\n" },
		{ "", ".\r\n" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct span got = sent(body_put_lines, rows[i].text, 0);
		if (!span_eq(got, span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].text, (int)got.n, got.p);
	}
	/* converted on its way, dots too */
	struct span got = sent(body_put_lines, "A: b\r\n\r\n.\r\n" A "\r\n", 0);
	assert_true(span_is_ascii(got));
	assert_true(span_istarts(got, span_of("A: b\r\n")));
	assert_non_null(memmem(got.p, got.n, "=C3=A4", 6));
	assert_true(got.n > 5 && memcmp(got.p + got.n - 5, "\r\n.\r\n", 5) == 0);
}

/* A dot at the start of a line that lies at the edge of two pieces of the file. */
static void
test_dots_at_edges(void **state)
{
	(void)state;
	static char text[LARGE + 1];
	size_t n = 0, dots = 0;
	for (; n + 5 <= LARGE; n += 5, dots++)
		memcpy(text + n, ".ab\r\n", 6);
	struct span got = sent(body_put_lines, text, 0);
	assert_int_equal(got.n, n + dots + 3);
	for (size_t i = 0; i < dots; i++)
		assert_memory_equal(got.p + 6 * i, "..ab\r\n", 6);
}

static void
test_chunk(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "a", ".\r\n", "A: b\r\n\r\n.\r\n.c\r\nd" };
	char want[128];
	for (size_t i = 0; i < ROWS(texts); i++) {
		struct span got = sent(body_put_chunk, texts[i], CAN_CHUNKING);
		snprintf(want, sizeof(want), "BDAT %zu LAST\r\n%s", strlen(texts[i]), texts[i]);
		if (!span_eq(got, span_of(want)))
			fail_msg("%s: %.*s", texts[i], (int)got.n, got.p);
	}
	/* what is counted is what is sent */
	struct span got = sent(body_put_chunk, EIGHT, CAN_CHUNKING);
	struct span rest = got, line = span_cut(&rest, '\n');
	line = span_skip(line, strlen("BDAT "));
	assert_int_equal(span_number(span_digits(line)), rest.n);
	assert_true(rest.n > strlen(EIGHT) && span_is_ascii(rest));
}

/* By the kernel, from where the text begins in its file to where it ends. */
static void
test_large_chunk(void **state)
{
	(void)state;
	static char file[LARGE + 64];
	char command[64];
	for (size_t i = 0; i < sizeof(file); i++)
		file[i] = (char)('a' + i % 26);
	struct message m = message_of(file, sizeof(file));
	struct text t;
	m.body = 33;
	m.length = LARGE;
	know_host(CAN_CHUNKING);
	assert_int_equal(body_fit(&l, &m, &t), DONE);
	connect_taker();
	assert_true(body_put_chunk(&l, &t));
	struct span got = part(true);
	size_t n = (size_t)snprintf(command, sizeof(command), "BDAT %d LAST\r\n", LARGE);
	assert_int_equal(got.n, n + LARGE);
	assert_memory_equal(got.p, command, n);
	assert_memory_equal(got.p + n, file + 33, LARGE);
	close(m.fd);
}

/* Too large to be copied, and yet not sent as it lies there. */
static void
test_large_chunk_converted(void **state)
{
	(void)state;
	static char text[LARGE + 1];
	size_t n = 0;
	while (n < LARGE / 2)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", n == 0 ? EIGHT : A "b\r\n");
	struct span got = sent(body_put_chunk, text, CAN_CHUNKING);
	assert_true(got.n > n && span_is_ascii(got));
}

/* ---- what breaks off ----------------------------------------------------------------------- */

/* The file is shorter than it was, or cannot be read: what went out has no end. */
static void
test_file_that_ends(void **state)
{
	(void)state;
	static char text[LARGE];
	static put_fn *const ways[] = { body_put_lines, body_put_chunk };
	static const size_t lengths[] = { 16, LARGE };
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ROWS(ways); i++) {
		for (size_t j = 0; j < 2 * ROWS(lengths); j++) {
			struct message m = message_of(text, lengths[j / 2]);
			const bool unreadable = j % 2 == 1;
			m.length += 2; /* a line end that is not there */
			const struct text t = { .m = &m, .length = m.length };
			if (unreadable) {
				close(m.fd);
				m.fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			}
			know_host(CAN_CHUNKING);
			connect_taker();
			assert_false(ways[i](&l, &t));
			assert_said(unreadable ? "spool: " : "spool: file is shorter than it was");
			assert_int_equal(l.code, 0);
			struct span got = part(true);
			assert_true(got.n < m.length + strlen("BDAT 300000 LAST\r\n"));
			assert_null(memmem(got.p, got.n, ".\r\n", 3));
			close(m.fd);
		}
	}
}

/* The host closes in the middle: that is said, and nothing about our spool. */
static void
test_host_that_closes(void **state)
{
	(void)state;
	static put_fn *const ways[] = { body_put_lines, body_put_chunk };
	struct message m = make_message(LARGE);
	for (size_t i = 0; i < ROWS(ways); i++) {
		const struct text t = { .m = &m, .length = m.length };
		int fd[2];
		know_host(CAN_CHUNKING);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		l.proof.tls = NULL;
		close(fd[1]);
		l.fd = fd[0];
		stream_init(&l.stream, fd[0], fd[0], true, NULL);
		assert_false(ways[i](&l, &t));
		assert_said("sending the message: connection lost or stalled");
		link_close(&l);
	}
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_dots_at_edges),
		cmocka_unit_test(test_chunk),
		cmocka_unit_test(test_large_chunk),
		cmocka_unit_test(test_large_chunk_converted),
		cmocka_unit_test(test_file_that_ends),
		cmocka_unit_test(test_host_that_closes),
	};
	return cmocka_run_group_tests_name("body_put", tests, NULL, NULL);
}

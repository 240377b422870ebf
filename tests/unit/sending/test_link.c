/*
 * link: what is a reply and what is none, however long it is (L12), and that what a host said is in
 * the text in either case (L17).
 */
#include "tests/unit/sending/sent.h"

#include <errno.h>
#include <signal.h>

enum { LONG_LINE = 3000, MANY_LINES = 1000, VERY_LONG_LINE = 200 * 1000 };

static struct link l; /* large */

/* Our end of a connection on which the host has said all of this, and ended. */
static void
connect_to(struct span said)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) { /* it may be more than a socket holds */
		close(fd[0]);
		while (said.n > 0) {
			ssize_t n = write(fd[1], said.p, said.n);
			if (n <= 0)
				break;
			said = span_skip(said, (size_t)n);
		}
		_exit(0);
	}
	close(fd[1]);
	l.terms = patient_terms();
	l.bye = false;
	l.fd = fd[0];
	l.text = buf_new(LIMIT_REPLY_TEXT);
	stream_init(&l.stream, l.fd, l.fd, true, NULL);
}

static void
part(void)
{
	link_close(&l);
	buf_free(&l.text);
}

static const struct {
	const char *said;
	int code; /* 0: it is no reply */
	const char *text;
} replies[] = {
	{ "250 ok\r\n", 250, "250 ok" },
	{ "250 ok\n", 250, "250 ok" },
	{ "250\r\n", 250, "250" },
	{ "250-a\r\n250 b\r\n", 250, "250-a b" },
	{ "250-a\r\n250-b\r\n250\r\n", 250, "250-a-b" },
	/* L12: one first digit is one answer; the last code is the one that counts */
	{ "250-a\r\n251 b\r\n", 251, "250-a b" },
	{ "550-a\r\n551-b\r\n554 5.7.1 c\r\n", 554, "550-a-b 5.7.1 c" },
	{ "450-a\r\n421 b\r\n", 421, "450-a b" },
	/* L12: of a line the first four octets count; the rest, and what has none, is text */
	{ "250 a\rb\r\n", 250, "250 a\\x0db" },
	{ "250 ok\r\r\n", 250, "250 ok" },
	{ "250-a\r\r\n250\r\r\n", 250, "250-a" },
	{ "550\tno\r\n", 550, "550\\x09no" },
	{ "250-a\r\nqueued as b\r\n\r\n250 c\r\n", 250, "250-a queued as b c" },
	{ "550-5.1.1 a\r\n no\r\n550 b\r\n", 550, "550-5.1.1 a no b" },
	{ "250-a\r\nb\r\n550 c\r\n", 0, "MAIL: not a reply: 250-a b 550 c" },
	{ "250-a\r\n2500\r\n250 c\r\n", 0, "MAIL: not a reply: 250-a 2500" },
	{ "a\r\n250 b\r\n", 0, "MAIL: not a reply: a" },
	{ "250:ok\r\n", 0, "MAIL: not a reply: 250:ok" },
	/* L17: what is no reply is shown all the same */
	{ "220-h\r\n521 5.7.1 blocked\r\n", 0,
		"MAIL: not a reply: 220-h 521 5.7.1 blocked" },
	{ "220-h\r\n220-i\r\n421-bye\r\n421 bye\r\n", 0,
		"MAIL: not a reply: 220-h-i 421-bye" },
	{ "250-h\r\n500\r\n", 0, "MAIL: not a reply: 250-h 500" },
	{ "SSH-2.0-x\r\n", 0, "MAIL: not a reply: SSH-2.0-x" },
	{ "250-a\r\nsorry\r\n", 0,
		"MAIL: connection closed by the host: 250-a sorry" },
	{ "2500 x\r\n", 0, "MAIL: not a reply: 2500 x" },
	{ "999 x\r\n", 0, "MAIL: not a reply: 999 x" },
	/* empty lines are no beginning of one */
	{ "\r\n220 hi\r\n", 220, "220 hi" },
	{ "\r\n\n\r\r\n220-hi\r\n220 ho\r\n", 220, "220-hi ho" },
	{ "\r\n", 0, "MAIL: connection closed by the host" },
	{ "\r\n2200 hi\r\n", 0, "MAIL: not a reply: 2200 hi" },
	{ " \r\n", 0, "MAIL: not a reply:  " },
	{ "554 go aw", 0, "MAIL: connection closed by the host: 554 go aw" },
	{ "554-5.7.1 a\r\n554 5.7", 0,
		"MAIL: connection closed by the host: 554-5.7.1 a 554 5.7" },
	{ "554-5.7.1 a\r\n", 0, "MAIL: connection closed by the host: 554-5.7.1 a" },
	{ "", 0, "MAIL: connection closed by the host" },
};

static void
test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(replies); i++) {
		connect_to(span_of(replies[i].said));
		int r = link_reply(&l, "MAIL", 60);
		if (l.code != replies[i].code || (r < 0) != (replies[i].code == 0) ||
			!span_eq(buf_span(&l.text), span_of(replies[i].text)))
			fail_msg("\"%s\": %d, %.*s", replies[i].said, l.code, (int)l.text.n,
				l.text.p);
		assert_int_equal(l.bye, l.code == 421);
		part();
	}
}

/* A code, `each` times a line of n octets, and behind that one more. */
static void
check_long(const char *code, int lines, size_t n)
{
	struct buf said = buf_new(64 * 1024 * 1024);
	struct buf line = buf_new(n + 8);
	buf_puts(&line, "-");
	while (line.n < n)
		buf_puts(&line, "x");
	for (int i = 0; i < lines; i++) {
		buf_puts(&said, code);
		buf_add(&said, buf_span(&line));
		buf_puts(&said, "\r\n");
	}
	buf_printf(&said, "%s ", code);
	buf_add(&said, buf_span(&line));
	buf_puts(&said, "\r\n354 next\r\n");
	connect_to(buf_span(&said));
	assert_int_equal(link_reply(&l, "MAIL", 60), 0);
	assert_int_equal(l.code, span_number(span_of(code)));
	assert_in_range(l.text.n, 4, 2 * LIMIT_LOG_TEXT);
	assert_int_equal(link_reply(&l, "DATA", 60), 0);
	assert_int_equal(l.code, 354);
	part();
	buf_free(&line);
	buf_free(&said);
}

/* L12: the rest of a line is read and dropped, and there may be many of them. */
static void
test_long(void **state)
{
	(void)state;
	static const char *const codes[] = { "250", "450", "550" };
	for (size_t i = 0; i < ROWS(codes); i++) {
		check_long(codes[i], 0, LONG_LINE);
		check_long(codes[i], 0, LIMIT_REPLY_LINE - 3);
		check_long(codes[i], 0, LIMIT_REPLY_LINE - 2);
		check_long(codes[i], 1, VERY_LONG_LINE);
		check_long(codes[i], MANY_LINES, 1);
		check_long(codes[i], MANY_LINES, 400);
	}
}

/* ... but not for ever. */
static void
test_endless(void **state)
{
	(void)state;
	static char line[2 * LIMIT_REPLY];
	memset(line, 'x', sizeof(line));
	memcpy(line, "250 ", 4);
	connect_to((struct span){ line, sizeof(line) });
	assert_int_equal(link_reply(&l, "MAIL", 60), -EIO);
	assert_memory_equal(l.text.p, "MAIL: endless reply: 250 xxx", 28);
	part();
	memset(line, '\n', sizeof(line));
	connect_to((struct span){ line, sizeof(line) });
	assert_int_equal(link_reply(&l, "MAIL", 60), -EIO);
	assert_memory_equal(l.text.p, "MAIL: endless reply", 19);
	part();
	for (size_t i = 0; i + 5 <= sizeof(line); i += 5)
		memcpy(line + i, "250-\n", 5);
	connect_to((struct span){ line, sizeof(line) });
	assert_int_equal(link_reply(&l, "MAIL", 60), -EIO);
	assert_memory_equal(l.text.p, "MAIL: endless reply: 250-", 25);
	part();
}

/* What a host says to QUIT is never the reason for anything (L17). */
static void
test_quit(void **state)
{
	(void)state;
	connect_to(span_of("450 busy\r\n221 bye\r\n"));
	assert_int_equal(link_reply(&l, "MAIL", 60), 0);
	link_quit(&l, INT64_MAX);
	assert_int_equal(l.fd, -1);
	assert_true(span_eq(buf_span(&l.text), span_of("450 busy")));
	part();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_quit),
	};
	signal(SIGPIPE, SIG_IGN);  /* as in the relay */
	signal(SIGCHLD, SIG_IGN);  /* nobody waits for the hosts */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* log: what the journal is told by a library. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/limits.h"
#include "process/log.h"

static char said[4096];
static int fields, result;
static int heard = -1; /* our end of what is no journal, where the library is not asked */

static int
record(const struct iovec *field, int n)
{
	said[0] = '\0';
	for (int i = 0; i < n; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "<%.*s>",
			(int)field[i].iov_len, (const char *)field[i].iov_base);
	fields = n;
	return result;
}

static bool streams; /* what listens does so at a stream */

/* A journal, or a syslogd, that is nobody's but ours. */
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);

int
__wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
	int ends[2], type;
	socklen_t size = sizeof(type);
	(void)to;
	(void)n;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
	if ((type == SOCK_STREAM) != streams) {
		errno = EPROTOTYPE;
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(dup2(ends[0], fd), fd);
	close(ends[0]);
	heard = ends[1];
	return 0;
}

static const struct log_fields all = { .event = "delivered", .queue_id = "id", .sender = "s",
	.recipient = "r", .lane = "l", .relay = "h", .status = "2.0.0", .delay = "0.5" };

/* Each line of the entry is a field, and a value is one line whatever it holds. */
static void
test_fields(void **state)
{
	(void)state;
	char want[1024];
	const struct log_fields some = { .event = "a", .sender = "b\nPRIORITY=0" };
	log_open(LOG_TO_JOURNAL, "unit");
	assert_true(log_goes_to_journal());
	log_journal_by(record);
	log_event(LOG_INFO, &all, "text %d", 1);
	assert_int_equal(fields, 13);
	snprintf(want, sizeof(want), "<MESSAGE=text 1><PRIORITY=6><SYSLOG_IDENTIFIER=unit>"
		"<SYSLOG_FACILITY=2><MESSAGE_ID=%s>"
		"<POSTERN_EVENT=delivered><POSTERN_QUEUE_ID=id><POSTERN_SENDER=s>"
		"<POSTERN_RECIPIENT=r><POSTERN_LANE=l><POSTERN_RELAY=h><POSTERN_STATUS=2.0.0>"
		"<POSTERN_DELAY=0.5>", event_id("delivered"));
	assert_string_equal(said, want);
	log_event(LOG_ERR, &some, "two\nlines");
	assert_string_equal(said, "<MESSAGE=two lines><PRIORITY=3><SYSLOG_IDENTIFIER=unit>"
		"<SYSLOG_FACILITY=2><POSTERN_EVENT=a><POSTERN_SENDER=b PRIORITY=0>");
}

/* What the library cannot send goes the way of those that have none. */
static void
test_library_fails(void **state)
{
	(void)state;
	char entry[4096];
	const struct log_fields f = { .event = "a" };
	log_open(LOG_TO_JOURNAL, "unit");
	log_journal_by(record);
	log_event(LOG_INFO, &f, "x");
	assert_true(read(heard, entry, sizeof(entry)) < 0); /* not twice */
	result = -ENOENT;
	log_event(LOG_INFO, &f, "x");
	ssize_t n = read(heard, entry, sizeof(entry));
	assert_true(n > 0);
	entry[n] = '\0';
	assert_string_equal(entry, "MESSAGE=x\nPRIORITY=6\nSYSLOG_IDENTIFIER=unit\nSYSLOG_FACILITY=2\n"
		"POSTERN_EVENT=a\n");
}

/* All fields at their longest: each is whole or left out, but for the end of a long value. */
static void
test_no_room(void **state)
{
	(void)state;
	static char longest[2 * LIMIT_LOG_TEXT], text[8192], entry[65536];
	memset(longest, 'x', sizeof(longest) - 1);
	memset(text, 'y', sizeof(text) - 1);
	struct log_fields f = { .event = "a" };
#define FILL(name, NAME, number, meaning) f.name = longest;
	LOG_FIELD_TABLE(FILL)
#undef FILL
	log_open(LOG_TO_JOURNAL, "unit");
	log_journal_by(NULL);
	log_event(LOG_INFO, &f, "%s", text);
	ssize_t n = read(heard, entry, sizeof(entry));
	assert_true(n > 4096 + 5 * LIMIT_LOG_TEXT && n < 4096 + 11 * LIMIT_LOG_TEXT);
	for (char *p = entry, *end; p < entry + n; p = end + 1) {
		end = memchr(p, '\n', (size_t)(entry + n - p));
		assert_non_null(end);
		assert_non_null(memchr(p, '=', (size_t)(end - p)));
		assert_true(end - p == LIMIT_LOG_TEXT - 1 || end - p > 4000 || end - p < 40);
	}
}

/* The text takes another shape, and the fields stay. */
static void
test_shapes(void **state)
{
	(void)state;
	char want[1024];
	const struct log_fields f = { .event = "connected", .client = "[192.0.2.1]" };
	log_open(LOG_TO_JOURNAL, "smtpd");
	log_journal_by(record);
	result = 0;
	assert_false(log_is_shaped());
	log_shape(LOG_FORMAT_POSTFIX, "h.example");
	assert_true(log_is_shaped());
	log_event(LOG_INFO, &f, "x");
	snprintf(want, sizeof(want), "<MESSAGE=connect from unknown[192.0.2.1]><PRIORITY=6>"
		"<SYSLOG_IDENTIFIER=postfix/smtpd><SYSLOG_FACILITY=2><MESSAGE_ID=%s>"
		"<POSTERN_EVENT=connected><POSTERN_CLIENT=[192.0.2.1]>", event_id("connected"));
	assert_string_equal(said, want);
	log_shape(LOG_FORMAT_JSON, "h.example");
	log_event(LOG_INFO, &f, "x");
	assert_memory_equal(said, "<MESSAGE={\"time\":", 17);
	assert_non_null(strstr(said, ",\"client\":\"[192.0.2.1]\",\"message\":\"x\"}><PRIORITY=6>"
		"<SYSLOG_IDENTIFIER=smtpd>"));
	log_shape(LOG_FORMAT_POSTERN, "h.example");
}

/* The next text that is heard. */
static void
hear(const char *text)
{
	char line[4096];
	ssize_t n = read(heard, line, sizeof(line));
	assert_true(n > 0 && line[n - 1] == '\0');
	assert_non_null(strstr(line, text));
	assert_true(read(heard, line, sizeof(line)) < 0);
}

/* S22: where who listens at a stream has gone, there is another stream; and only there. */
static void
test_stream(void **state)
{
	(void)state;
	const struct log_fields f = { .event = "a" };
	streams = true;
	log_open(LOG_TO_SYSLOG, "unit");
	log_event(LOG_INFO, &f, "one");
	hear("]: one");
	int before = heard;
	assert_true(log_reconnect(0) < 0);
	assert_int_equal(heard, before);
	assert_int_equal(log_streams(), 0);
	close(heard);
	log_event(LOG_INFO, &f, "two");
	hear("]: two");
	assert_int_equal(log_streams(), 1);
	log_event(LOG_INFO, &f, "three");
	hear("]: three");
	streams = false;
}

/* S22: nor is it the end of the log when somebody who has the same stream shuts it down. */
static void
test_shut_down(void **state)
{
	static const int ways[] = { SHUT_WR, SHUT_RDWR };
	const struct log_fields f = { .event = "a" };
	(void)state;
	streams = true;
	for (size_t i = 0; i < ROWS(ways); i++) {
		log_open(LOG_TO_SYSLOG, "unit");
		unsigned before = log_streams();
		assert_int_equal(shutdown(log_descriptor(), ways[i]), 0);
		assert_int_equal(log_reconnect(0), 0);
		assert_int_equal(log_streams(), before + 1);
		log_event(LOG_INFO, &f, "one");
		char line[4096];
		ssize_t n = read(heard, line, sizeof(line));
		assert_true(n > 0 && memmem(line, (size_t)n, "]: one", 6) != NULL);
	}
	streams = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_library_fails),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_shut_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* log: what the journal is told by a library. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

/* A journal that is nobody's but ours. */
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);

int
__wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
	int ends[2];
	(void)to;
	(void)n;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(dup2(ends[0], fd), fd);
	close(ends[0]);
	heard = ends[1];
	return 0;
}

static const struct log_fields all = { .event = "delivered", .queue_id = "id", .sender = "s",
	.recipient = "r", .lane = "l", .relay = "h", .status = "2.0.0" };

/* Each line of the entry is a field, and a value is one line whatever it holds. */
static void
test_fields(void **state)
{
	(void)state;
	const struct log_fields some = { .event = "a", .sender = "b\nPRIORITY=0" };
	log_open(LOG_TO_JOURNAL, "unit");
	assert_true(log_goes_to_journal());
	log_journal_by(record);
	log_event(LOG_INFO, &all, "text %d", 1);
	assert_int_equal(fields, 10);
	assert_string_equal(said, "<MESSAGE=text 1><PRIORITY=6><SYSLOG_IDENTIFIER=unit>"
		"<POSTERN_EVENT=delivered><POSTERN_QUEUE_ID=id><POSTERN_SENDER=s>"
		"<POSTERN_RECIPIENT=r><POSTERN_LANE=l><POSTERN_RELAY=h><POSTERN_STATUS=2.0.0>");
	log_event(LOG_ERR, &some, "two\nlines");
	assert_string_equal(said, "<MESSAGE=two lines><PRIORITY=3><SYSLOG_IDENTIFIER=unit>"
		"<POSTERN_EVENT=a><POSTERN_SENDER=b PRIORITY=0>");
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
	assert_string_equal(entry, "MESSAGE=x\nPRIORITY=6\nSYSLOG_IDENTIFIER=unit\nPOSTERN_EVENT=a\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_library_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

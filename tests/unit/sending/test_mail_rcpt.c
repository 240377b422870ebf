/* mail_rcpt: which parameters go to which host (R73, R74 and their kin), and in which words. */
#include "tests/unit/sending/sent.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "sending/mail_rcpt.h"

#define NOTHING { .by = 0 } /* was asked for */

enum { LINE = 1024 };

static struct link l; /* large */

/* What a link with a host that can so much puts out. */
static const char *
put(unsigned can, const struct text *t, const struct rcpt *r)
{
	static char line[LINE];
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	l.terms = patient_terms();
	l.host = (struct link_host){ .can = can };
	stream_init(&l.stream, fd[0], fd[0], true, NULL);
	if (t != NULL)
		mail_rcpt_put_mail(&l, t);
	else
		mail_rcpt_put_rcpt(&l, r);
	assert_int_equal(stream_flush(&l.stream, clock_deadline(60)), STREAM_OK);
	close(fd[0]);
	ssize_t n = read(fd[1], line, sizeof(line) - 1);
	close(fd[1]);
	assert_true(n > 2 && memcmp(line + n - 2, "\r\n", 2) == 0);
	line[n - 2] = '\0';
	return line;
}

static void
test_mail(void **state)
{
	(void)state;
	static const struct {
		unsigned can;
		struct envelope e;
		bool eightbit, converted;
		const char *want; /* behind the address */
	} rows[] = {
		{ 0, { .body = BODY_8BITMIME }, false, false, "" },
		{ CAN_SIZE, NOTHING, false, false, " SIZE=23" },
		{ CAN_PIPELINING | CAN_CHUNKING, NOTHING, false, false, "" },
		/* BODY: how the text is, whatever the client called it */
		{ CAN_8BITMIME, { .body = BODY_8BITMIME }, false, false, " BODY=8BITMIME" },
		{ CAN_8BITMIME, { .body = BODY_7BIT }, false, false, " BODY=7BIT" },
		{ CAN_8BITMIME, { .body = BODY_7BIT }, true, false, " BODY=8BITMIME" },
		{ CAN_8BITMIME, NOTHING, true, false, " BODY=8BITMIME" },
		{ CAN_8BITMIME, NOTHING, false, false, "" },
		{ CAN_8BITMIME, { .body = BODY_8BITMIME }, true, true, "" },
		{ CAN_BINARYMIME, { .body = BODY_BINARYMIME }, true, false, " BODY=BINARYMIME" },
		{ 0, { .body = BODY_BINARYMIME }, true, true, "" },
		{ CAN_SMTPUTF8, { .utf8 = true }, false, false, " SMTPUTF8" },
		{ CAN_SMTPUTF8, NOTHING, false, false, "" },
		{ CAN_DSN, { .ret = RET_HDRS, .envid = { "QQ+3D", 5 } }, false, false,
			" RET=HDRS ENVID=QQ+3D" },
		{ CAN_DSN, { .ret = RET_FULL }, false, false, " RET=FULL" },
		{ CAN_DSN, NOTHING, false, false, "" },
		{ CAN_SMTPUTF8, { .ret = RET_HDRS, .envid = { "x", 1 } }, false, false,
			"" },
		{ CAN_PRIORITY, { .priority = -3 }, false, false, " MT-PRIORITY=-3" },
		{ CAN_PRIORITY, { .priority = 9 }, false, false, " MT-PRIORITY=9" },
		{ CAN_PRIORITY, NOTHING, false, false, "" },
		{ 0, { .priority = 4 }, false, false, "" },
		{ CAN_REQUIRETLS, { .require_tls = true }, false, false, " REQUIRETLS" },
		{ 0, { .require_tls = true }, false, false, "" }, /* R85: a report all the same */
		{ CAN_REQUIRETLS, NOTHING, false, false, "" },
		{ 0, { .by = 1, .by_mode = 'N' }, false, false, "" },
		{ CAN_DELIVERBY, NOTHING, false, false, "" },
		{ CAN_SIZE | CAN_8BITMIME | CAN_DSN | CAN_SMTPUTF8 | CAN_PRIORITY | CAN_REQUIRETLS,
			{ .body = BODY_8BITMIME, .utf8 = true, .ret = RET_FULL, .envid = { "i", 1 },
				.priority = 1, .require_tls = true }, true, false,
			" SIZE=23 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=i MT-PRIORITY=1"
			" REQUIRETLS" },
	};
	char want[LINE];
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = { .env = rows[i].e, .eightbit = rows[i].eightbit };
		const struct text t = { .m = &m, .converted = rows[i].converted, .length = 23 };
		m.env.sender = span_of("s@s.example");
		snprintf(want, sizeof(want), "MAIL FROM:<s@s.example>%s", rows[i].want);
		assert_string_equal(put(rows[i].can, &t, NULL), want);
	}
	const struct message null = { 0 };
	assert_string_equal(put(0, &(struct text){ .m = &null }, NULL), "MAIL FROM:<>");
}

/* The time that is left, which may be over. */
static void
test_by(void **state)
{
	(void)state;
	static const struct { int left; char mode; bool trace; const char *rest; } rows[] = {
		{ 1000, 'R', false, ";R" }, { 1000, 'N', false, ";N" }, { 1000, 'R', true, ";RT" },
		{ -1000, 'N', true, ";NT" } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = { .env = { .by_mode = rows[i].mode,
			.by_trace = rows[i].trace } };
		char *end;
		int64_t before = clock_wall();
		m.env.by = before + rows[i].left;
		const char *line = put(CAN_DELIVERBY, &(struct text){ .m = &m }, NULL);
		int64_t passed = clock_wall() - before;
		assert_memory_equal(line, "MAIL FROM:<> BY=", 16);
		long left = strtol(line + 16, &end, 10);
		assert_true(left <= rows[i].left && left >= rows[i].left - passed);
		assert_string_equal(end, rows[i].rest);
	}
}

static void
test_rcpt(void **state)
{
	(void)state;
	static const struct { unsigned can; struct terms terms; const char *want; } rows[] = {
		{ 0, { .notify = NOTIFY_NEVER, .orcpt = { "rfc822;x", 8 } }, "" },
		{ ~(unsigned)CAN_DSN, { .notify = NOTIFY_FAILURE }, "" },
		{ CAN_DSN, { 0 }, "" },
		{ CAN_DSN, { .notify = NOTIFY_NEVER }, " NOTIFY=NEVER" },
		{ CAN_DSN, { .notify = NOTIFY_SUCCESS | NOTIFY_DELAY }, " NOTIFY=SUCCESS,DELAY" },
		{ CAN_DSN, { .orcpt = { "rfc822;x", 8 } }, " ORCPT=rfc822;x" },
		{ CAN_DSN, { .notify = NOTIFY_FAILURE, .orcpt = { "rfc822;x", 8 } },
			" NOTIFY=FAILURE ORCPT=rfc822;x" },
	};
	char want[LINE];
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct rcpt r = { .address = span_of("r@r.example"), .terms = rows[i].terms };
		snprintf(want, sizeof(want), "RCPT TO:<r@r.example>%s", rows[i].want);
		assert_string_equal(put(rows[i].can, NULL, &r), want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_by),
		cmocka_unit_test(test_rcpt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

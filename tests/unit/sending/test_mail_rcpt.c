/* mail_rcpt: which parameters go to which host (R73, R74 and their kin), and in which words. */
#include "tests/unit/sending/sent.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "sending/mail_rcpt.h"

#define NOTHING { .by = 0 } /* was asked for */

enum { LINE = 1024 };
enum { EIGHTBIT = 1, CONVERTED = 2, UTF8 = 4, BINARY = 8 };

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

static const struct {
	unsigned can;
	struct envelope e;
	unsigned text;    /* what is true of it, and how it goes */
	const char *want; /* behind the address */
} mails[] = {
	{ 0, { .body = BODY_8BITMIME }, 0, "" },
	{ CAN_SIZE, NOTHING, 0, " SIZE=23" },
	{ CAN_PIPELINING | CAN_CHUNKING, NOTHING, 0, "" },
	/* BODY: how the text is, whatever the client called it */
	{ CAN_8BITMIME, { .body = BODY_8BITMIME }, 0, " BODY=8BITMIME" },
	{ CAN_8BITMIME, { .body = BODY_7BIT }, 0, " BODY=7BIT" },
	{ CAN_8BITMIME, { .body = BODY_7BIT }, EIGHTBIT, " BODY=8BITMIME" },
	{ CAN_8BITMIME, NOTHING, EIGHTBIT, " BODY=8BITMIME" },
	{ CAN_8BITMIME, NOTHING, 0, "" },
	{ CAN_8BITMIME, { .body = BODY_8BITMIME }, EIGHTBIT | CONVERTED, "" },
	{ CAN_BINARYMIME, { .body = BODY_BINARYMIME }, EIGHTBIT | BINARY, " BODY=BINARYMIME" },
	/* lines that were called binary (L1) */
	{ CAN_8BITMIME, { .body = BODY_BINARYMIME }, EIGHTBIT, " BODY=8BITMIME" },
	{ CAN_8BITMIME, { .body = BODY_BINARYMIME }, 0, "" },
	{ 0, { .body = BODY_BINARYMIME }, EIGHTBIT | CONVERTED, "" },
	/* what is needed, not what was said (L1) */
	{ CAN_SMTPUTF8, NOTHING, UTF8, " SMTPUTF8" },
	{ CAN_SMTPUTF8, { .utf8 = true }, 0, "" },
	{ CAN_SMTPUTF8, NOTHING, 0, "" },
	{ CAN_DSN, { .ret = RET_HDRS, .envid = { "QQ+3D", 5 } }, 0,
		" RET=HDRS ENVID=QQ+3D" },
	{ CAN_DSN, { .ret = RET_FULL }, 0, " RET=FULL" },
	{ CAN_DSN, NOTHING, 0, "" },
	{ CAN_SMTPUTF8, { .ret = RET_HDRS, .envid = { "x", 1 } }, 0,
		"" },
	{ CAN_PRIORITY, { .priority = -3 }, 0, " MT-PRIORITY=-3" },
	{ CAN_PRIORITY, { .priority = 9 }, 0, " MT-PRIORITY=9" },
	{ CAN_PRIORITY, NOTHING, 0, "" },
	{ 0, { .priority = 4 }, 0, "" },
	{ CAN_REQUIRETLS, { .require_tls = true }, 0, " REQUIRETLS" },
	{ 0, { .require_tls = true }, 0, "" }, /* R85: a report all the same */
	{ CAN_REQUIRETLS, NOTHING, 0, "" },
	{ 0, { .by = 1, .by_mode = 'N' }, 0, "" },
	{ CAN_DELIVERBY, NOTHING, 0, "" },
	{ CAN_SIZE | CAN_8BITMIME | CAN_DSN | CAN_SMTPUTF8 | CAN_PRIORITY | CAN_REQUIRETLS,
		{ .body = BODY_8BITMIME, .utf8 = true, .ret = RET_FULL, .envid = { "i", 1 },
			.priority = 1, .require_tls = true }, EIGHTBIT | UTF8,
		" SIZE=23 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=i MT-PRIORITY=1"
		" REQUIRETLS" },
};

static void
test_mail(void **state)
{
	(void)state;
	char want[LINE];
	for (size_t i = 0; i < ROWS(mails); i++) {
		struct message m = { .env = mails[i].e, 
			.eightbit = (mails[i].text & EIGHTBIT) != 0 };
		const struct text t = { .m = &m, .length = 23,
			.converted = (mails[i].text & CONVERTED) != 0,
			.utf8 = (mails[i].text & UTF8) != 0,
			.binary = (mails[i].text & BINARY) != 0 };
		m.env.sender = span_of("s@s.example");
		snprintf(want, sizeof(want), "MAIL FROM:<s@s.example>%s", mails[i].want);
		assert_string_equal(put(mails[i].can, &t, NULL), want);
	}
	/* L1: a domain has a form in ASCII, a local part has not */
	const struct message odd[] = { { .env.sender = span_of("s@b\xc3\xbc" "cher.example") },
		{ .env.sender = span_of("\xc3\xa4@b\xc3\xbc" "cher.example") } };
	assert_string_equal(put(0, &(struct text){ .m = &odd[0] }, NULL),
		"MAIL FROM:<s@xn--bcher-kva.example>");
	assert_string_equal(put(0, &(struct text){ .m = &odd[1] }, NULL),
		"MAIL FROM:<\xc3\xa4@b\xc3\xbc" "cher.example>");
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
	const struct rcpt odd = { .address = span_of("r@b\xc3\xbc" "cher.example") };
	assert_string_equal(put(0, NULL, &odd), "RCPT TO:<r@xn--bcher-kva.example>");
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

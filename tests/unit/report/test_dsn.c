/* dsn: what a report says, and what it does not give back (E6, E7, E9 to E11, E16). */
#include "tests/unit/spooled.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/dsn.h"
#include "report/original.h"
#include "queue/draft.h"

#define HEADER "Received: from x\r\n\tby y\r\nSubject: hello\r\n"

static struct conf conf = { .who.hostname = (char *)(uintptr_t)"relay.example",
	.relay = { .bounce_size = 64 * 1024, .expire = 86400 } };
static char lane[LANE_NAME_SIZE]; /* of the last report */

/* A queued message with this body and three recipients in one lane. */
static void
original(struct message *m, const char *sender, struct span body)
{
	struct lane l;
	assert_int_equal(draft_begin(&d, &sp, &(struct envelope){ .sender = span_of(sender) }), 0);
	for (int i = 0; i < 3; i++) {
		char address[] = "u0@d.example";
		address[1] = (char)('0' + i);
		assert_int_equal(draft_recipient(&d, "d.example", span_of(address),
					 &(struct terms){ 0 }), 0);
	}
	draft_body(&d, body);
	assert_int_equal(draft_commit(&d), 0);
	assert_int_equal(lane_open(&l, &sp, "d.example"), 0);
	assert_int_equal(message_open(m, &l, d.id), 0);
	lane_close(&l);
}

static void
failed(struct message *m, int i, const char *text)
{
	m->rcpt[i].outcome = HARD;
	buf_reset(&m->rcpt[i].text);
	buf_puts(&m->rcpt[i].text, text);
}

/* The report with this id as text. It is mail from nobody to the sender's lane. */
static const char *
reported(const char *id, struct span sender, bool require_tls)
{
	static char text[1024 * 1024];
	struct lane l;
	struct message r;
	assert_string_equal(lane, "s.example");
	assert_int_equal(lane_open(&l, &sp, lane), 0);
	assert_int_equal(message_open(&r, &l, id), 0);
	assert_int_equal(r.env.sender.n, 0); /* E7, E12 */
	assert_true(r.env.ours); /* so it is signed */
	assert_int_equal(r.env.utf8, !span_is_ascii(sender));
	assert_int_equal(r.env.require_tls, require_tls); /* R85 */
	assert_int_equal(r.n, 1);
	assert_true(span_eq(r.rcpt[0].address, sender));
	assert_true(r.length < sizeof(text));
	size_t n = 0;
	for (ssize_t k; (k = message_read(&r, n, text + n, sizeof(text) - n)) > 0;)
		n += (size_t)k;
	text[n] = '\0';
	assert_int_equal(n, r.length);
	message_close(&r);
	lane_close(&l);
	return text;
}

/* ... and its id. */
static const char *
report(const struct message *m, char id[static ID_SIZE])
{
	assert_int_equal(dsn_queue(m, &sp, &conf, false, id, lane), 0);
	return reported(id, m->env.sender, m->env.require_tls);
}

static int
count(const char *text, const char *what)
{
	int n = 0;
	for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

/* RFC 5322 section 2.1.1: CRLF, 998 octets; three parts. */
static void
check_form(const char *text, const char *id)
{
	char mark[ID_SIZE + 10];
	size_t line = 0;
	for (const char *c = text; *c != '\0'; c++) {
		assert_true(*c != '\n' || c[-1] == '\r');
		assert_true(*c != '\r' || c[1] == '\n');
		line = *c == '\n' ? 0 : line + 1;
		assert_true(line <= 999);
	}
	assert_int_equal(line, 0);
	snprintf(mark, sizeof(mark), "\r\n--%s", id);
	assert_int_equal(count(text, mark), 4);
	snprintf(mark, sizeof(mark), "\r\n--%s--\r\n", id);
	assert_int_equal(count(text, mark), 1);
	assert_string_equal(text + strlen(text) - strlen(mark), mark);
}

static void
test_recipients(void **state)
{
	(void)state;
	char id[ID_SIZE];
	struct message m;
	original(&m, "s@S.example", span_of(HEADER "\r\nSECRET\r\n"));
	failed(&m, 0, "mx.d.example[192.0.2.1]:25: 550 5.1.1 no such user");
	m.rcpt[1].outcome = DONE;
	failed(&m, 2, "554 5.4.6 x");
	m.rcpt[2].settled = true; /* reported before */
	const char *text = report(&m, id);
	check_form(text, id);
	assert_int_equal(count(text, "Final-Recipient: "), 1);
	assert_int_equal(count(text, "\r\nFinal-Recipient: rfc822; u0@d.example\r\nAction: failed\r\n"
		"Status: 5.1.1\r\nRemote-MTA: dns; mx.d.example\r\nDiagnostic-Code: smtp; 550 5.1.1 "
		"no such user\r\nLast-Attempt-Date: "), 1);
	assert_int_equal(count(text, "<u0@d.example>"), 1);
	assert_int_equal(count(text, "u1@d.example"), 0);
	assert_int_equal(count(text, "u2@d.example"), 0);
	assert_int_equal(count(text, "\r\nTo: s@S.example\r\n"), 1);
	assert_int_equal(count(text, m.id), 1);
	message_close(&m);
}

static const struct {
	const char *text, *status;
} codes[] = {
	{ "mx[192.0.2.1]:25: 550 5.1.1 no", "5.1.1" },
	{ "556 5.1.10 null MX", "5.1.10" },
	{ "mx: 550 5.999.999 x", "5.999.999" },
	{ "mx: 550 no", "5.0.0" },
	{ "mx: 550 4.1.1 no", "5.0.0" },
	{ "mx: 550 5.1 no", "5.0.0" },
	{ "mx: 550 5.1.1.1 no", "5.0.0" },
	{ "mx: 550 5..1 no", "5.0.0" },
	{ "mx: 550 5.1. no", "5.0.0" },
	{ "mx: 550 5.1000.10000 no", "5.0.0" },
	{ "mx: 550 x5.1.1", "5.0.0" },
	{ "mx: 550 use 5.7.1 please", "5.7.1" },
	{ "5.1.1", "5.0.0" },
	{ "mx: 550 5.1.1", "5.1.1" },
	{ "", "5.0.0" },
};

static void
test_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(codes); i++) {
		char id[ID_SIZE], want[40];
		struct message m;
		original(&m, "s@s.example", span_of(HEADER "\r\n"));
		failed(&m, 0, codes[i].text);
		snprintf(want, sizeof(want), "\r\nStatus: %s\r\n", codes[i].status);
		if (count(report(&m, id), want) != 1)
			fail_msg("%s is not %s", codes[i].text, codes[i].status);
		message_close(&m);
	}
}

/* The header of the original, and nothing of its text (E9, E10). */
static const struct {
	const char *name, *body, *back; /* back: behind our Received */
} originals[] = {
	{ "header and text", "\r\nSECRET\r\n", "" },
	{ "two empty lines", "\r\n\r\nSECRET\r\n", "" },
	{ "no text", "\r\n", "" },
	{ "no empty line", "", "" },
	{ "a text that takes its place", "SECRET\r\nSECRET: no\r\n", "" },
	{ "a blank in the name", "SECRET text: x\r\n\r\n", "" },
	{ "odd fields", "X-!~: a\r\n b\r\n\tc\r\nY:\r\n\r\nSECRET", "X-!~: a\r\n b\r\n\tc\r\nY:\r\n" },
	{ "blanks before a colon", "Old : a\r\nY \t: b\r\n\r\nSECRET : x\r\n", "Old : a\r\nY \t: b\r\n" },
	{ "blanks and no colon", "SECRET \r\n\r\n", "" },
	{ "a line that is not whole", "Z: a", "" },
	{ "a boundary", "\r\n--SECRET--\r\n", "" },
	/* A7: BINARYMIME let it in, lines may not let it out */
	{ "a bare LF", "X: SECRET\nY: a\r\n\r\n", "" },
	{ "a bare CR", "X: SECRET\r.\r\nY: a\r\n\r\n", "" },
};

static void
test_original(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(originals); i++) {
		char id[ID_SIZE], body[1000], want[1000];
		struct message m;
		snprintf(body, sizeof(body), HEADER "%s", originals[i].body);
		original(&m, "s@s.example", span_of(body));
		failed(&m, 0, "550 no");
		const char *text = report(&m, id);
		snprintf(want, sizeof(want), "\r\n\r\n" HEADER "%s\r\n--", originals[i].back);
		if (count(text, "SECRET") != 0 || count(text, want) != 1)
			fail_msg("%s: %s", originals[i].name, text);
		check_form(text, id);
		message_close(&m);
	}

	static const char nul[] = HEADER "X: SECRET\0\r\n\r\n";
	struct message m;
	char id[ID_SIZE];
	original(&m, "s@s.example", (struct span){ nul, sizeof(nul) - 1 });
	failed(&m, 0, "550 no");
	assert_int_equal(count(report(&m, id), "\r\n\r\n" HEADER "\r\n--"), 1);
	message_close(&m);

	static char big[4 * ORIGINAL_HEADER_MAX];
	size_t n = 0;
	while (n + 100 < sizeof(big))
		n += (size_t)snprintf(big + n, sizeof(big) - n, "X-%zu: %060d\r\n", n, 0);
	original(&m, "s@s.example", (struct span){ big, n });
	failed(&m, 0, "550 no");
	const char *text = report(&m, id);
	check_form(text, id);
	assert_true(strlen(text) < ORIGINAL_HEADER_MAX + 4096);
	message_close(&m);
}

/* A reply as long as a reply may be does not make a line that is too long (E6). */
static void
test_long(void **state)
{
	(void)state;
	char id[ID_SIZE];
	struct message m;
	original(&m, "s@s.example", span_of(HEADER "\r\n"));
	for (int i = 0; i < 3; i++) {
		failed(&m, i, "mx: 550 5.1.1 ");
		for (int k = 0; k < 6000; k++)
			buf_puts(&m.rcpt[i].text, "x");
	}
	const char *text = report(&m, id);
	check_form(text, id);
	assert_int_equal(count(text, "Final-Recipient: "), 3);
	message_close(&m);
}

/*
 * However many there are and whatever was said about them: a report that does not fit would keep
 * them all.
 */
static void
test_many(void **state)
{
	(void)state;
	enum { MANY = 3000 };
	char id[ID_SIZE];
	struct message m;
	original(&m, "s@s.example", span_of(HEADER "\r\n"));
	struct rcpt *three = m.rcpt, *many = calloc(MANY, sizeof(*many));
	int n = m.n;
	assert_non_null(many);
	for (int i = 0; i < MANY; i++) {
		many[i] = three[0];
		many[i].outcome = HARD;
		many[i].text = buf_new(2000);
		for (int k = 0; k < 100; k++)
			buf_puts(&many[i].text, "a long reply ");
	}
	m.rcpt = many;
	m.n = MANY;
	assert_int_equal(dsn_queue(&m, &sp, &conf, false, id, lane), 0);
	for (int i = 0; i < MANY; i++)
		buf_free(&many[i].text);
	free(many);
	m.rcpt = three;
	m.n = n;
	message_close(&m);
}

/*
 * RFC 6531: without SMTPUTF8 the host of such a sender would refuse it, and nobody would be told.
 */
static void
test_utf8(void **state)
{
	(void)state;
	char id[ID_SIZE];
	struct message m;
	original(&m, "s\xc3\xbc@s.example", span_of(HEADER "\r\n"));
	failed(&m, 0, "550 no");
	check_form(report(&m, id), id);
	message_close(&m);
}

/* R85, S24: the report of mail that needed REQUIRETLS needs it too. */
static void
test_require_tls(void **state)
{
	(void)state;
	char id[ID_SIZE];
	struct message m;
	original(&m, "s@s.example", span_of(HEADER "\r\n"));
	failed(&m, 0, "550 no");
	m.env.require_tls = true;
	check_form(report(&m, id), id);
	message_close(&m);
}

/* L1: a sender whose domain alone is beyond ASCII gets an ordinary report. */
static void
test_alabel(void **state)
{
	(void)state;
	char id[ID_SIZE];
	struct lane l;
	struct message m, r;
	original(&m, "s@\xc3\xa4.example", span_of(HEADER "\r\n"));
	failed(&m, 0, "550 no");
	assert_int_equal(dsn_queue(&m, &sp, &conf, false, id, lane), DSN_SENDER);
	assert_string_equal(lane, "xn--4ca.example");
	assert_int_equal(lane_open(&l, &sp, lane), 0);
	assert_int_equal(message_open(&r, &l, id), 0);
	assert_false(r.env.utf8 || r.eightbit);
	assert_true(span_eq(r.rcpt[0].address, span_of("s@xn--4ca.example")));
	message_close(&r);
	message_close(&m);
	lane_close(&l);
}

/* S6: a sender to whom no mail can be sent is not told; double_bounce is, unless it is what failed. */
static void
test_nobody(void **state)
{
	(void)state;
	char bounces[] = "bounces@s.example", himself[] = "u0@d.example", odd[] = "bounces@";
	static const char *const senders[] = { "", "nobody", "a@b c", "a@", "@b",
		"a@\xe2\x98\x83-.example" };
	const struct {
		char *double_bounce;
		int want;
	} rows[] = { { NULL, DSN_NOBODY }, { odd, DSN_NOBODY }, { himself, DSN_NOBODY },
		{ bounces, DSN_DOUBLE_BOUNCE } };
	for (size_t i = 0; i < ROWS(senders) * ROWS(rows); i++) {
		char id[ID_SIZE] = "x";
		struct message m;
		original(&m, senders[i / ROWS(rows)], span_of(HEADER "\r\n"));
		failed(&m, 0, "550 no");
		conf.relay.double_bounce = rows[i % ROWS(rows)].double_bounce;
		int want = rows[i % ROWS(rows)].want;
		assert_int_equal(dsn_queue(&m, &sp, &conf, false, id, lane), want);
		assert_int_equal(strcmp(id, "x") == 0, want == DSN_NOBODY);
		if (want == DSN_DOUBLE_BOUNCE) {
			struct lane l;
			assert_string_equal(lane, "s.example");
			open_lane(&l, lane);
			struct span text = slurp(l.dir, id);
			bool mute = memmem(text.p, text.n, "nor its sender be told", 22) != NULL;
			assert_int_equal(mute, m.env.sender.n > 0);
			lane_close(&l);
		}
		message_close(&m);
	}
	conf.relay.double_bounce = NULL;
}

/* ... and what the sender does not want to know, nobody hears. */
static void
test_never(void **state)
{
	(void)state;
	char id[ID_SIZE], bounces[] = "bounces@s.example";
	static const char *const senders[] = { "s@s.example", "a@b c" };
	for (size_t i = 0; i < ROWS(senders); i++) {
		struct message m;
		original(&m, senders[i], span_of(HEADER "\r\n"));
		failed(&m, 0, "550 no");
		m.rcpt[0].terms.notify = NOTIFY_NEVER;
		conf.relay.double_bounce = bounces;
		assert_int_equal(dsn_queue(&m, &sp, &conf, false, id, lane), i == 0 ? DSN_NOTHING : DSN_NOBODY);
		message_close(&m);
	}
	conf.relay.double_bounce = NULL;
}

/* Opens the report with this id, which failed. */
static void
report_failed(struct message *r, const char *id, const char *text)
{
	struct lane l;
	open_lane(&l, lane);
	assert_int_equal(message_open(r, &l, id), 0);
	lane_close(&l);
	failed(r, 0, text);
}

/*
 * R78, E16: a report that a host does not take with the whole message goes to it with the header,
 * once. One that failed for other reasons, or was not ours, does not.
 */
static void
test_shorter(void **state)
{
	(void)state;
	static const struct { const char *text; int want; } rows[] = {
		{ "mx: not sent: 552 5.3.4 over the limit the host announced", DSN_SHORTER },
		{ "mx[192.0.2.1]:25: 554 5.6.3 no", DSN_SHORTER },
		{ "mx[192.0.2.1]:25: 552 5.2.3 too large", DSN_SHORTER },
		{ "mx[192.0.2.1]:25: 550 5.1.1 no", DSN_NOBODY },
		{ "mx[192.0.2.1]:25: 552 no", DSN_NOBODY },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char id[ID_SIZE], again[ID_SIZE] = "";
		struct message m, r;
		original(&m, "s@s.example", span_of(HEADER "\r\nSECRET\r\n"));
		m.env.whole = true;
		failed(&m, 0, "550 5.1.1 no");
		assert_int_equal(count(report(&m, id), "SECRET"), 1);
		report_failed(&r, id, rows[i].text);
		assert_int_equal(dsn_queue(&r, &sp, &conf, false, again, lane), rows[i].want);
		if (rows[i].want == DSN_SHORTER) {
			const char *text = reported(again, m.env.sender, false);
			check_form(text, id);
			assert_int_equal(count(text, "SECRET"), 0);
			assert_int_equal(count(text, "\r\nThe message is at the end"), 0);
			assert_int_equal(count(text, "\r\nIts header is at the end"), 1);
			assert_int_equal(count(text, "Content-Type: text/rfc822-headers\r\n\r\n" HEADER
				"\r\n--"), 1);
			message_close(&r);
			report_failed(&r, again, rows[i].text);
			assert_int_equal(dsn_queue(&r, &sp, &conf, false, id, lane), DSN_NOBODY);
		}
		message_close(&r);
		message_close(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_original),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_require_tls),
		cmocka_unit_test(test_alabel),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_shorter),
	};
	return cmocka_run_group_tests_name("dsn", tests, setup, teardown);
}

/* report: who is told of what, and when the whole message goes back (R78 to R80, E10, E12). */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/resource.h>

#include "report/dsn.h"
#include "report/report.h"

#define HEADER "Received: from x\r\n\tby y\r\nSubject: hello\r\n"
#define TEXT   HEADER "\r\nPAYLOAD\r\n"

static struct conf conf = { .who.hostname = (char *)(uintptr_t)"relay.example",
	.relay = { .bounce_size = 64 * 1024, .expire = 86400 } };

/* ---- what is said about one recipient ------------------------------------------------------ */

enum { SAID_NOTHING = 0, SUCCESS = NOTIFY_SUCCESS, FAILURE = NOTIFY_FAILURE, DELAY = NOTIFY_DELAY,
	NEVER = NOTIFY_NEVER, ALL = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY };

static const struct row {
	enum outcome outcome;
	unsigned notify;
	enum report_kind want;
	/* itself: it is double_bounce's own mailbox */
	bool settled, waiting, double_bounce, itself;
	bool dsn, deliverby, final;                   /* the host that took it */
	/* "R", "N", and "T" for a trace; NULL: none */
	const char *by;
} rows[] = {
	{ HARD, SAID_NOTHING, .want = REPORT_FAILED },
	{ HARD, FAILURE, .want = REPORT_FAILED },
	{ HARD, ALL, .want = REPORT_FAILED, .waiting = true },
	{ HARD, NEVER, .want = REPORT_NOTHING },
	{ HARD, SUCCESS, .want = REPORT_NOTHING },
	{ HARD, DELAY | SUCCESS, .want = REPORT_NOTHING },
	{ HARD, SAID_NOTHING, .want = REPORT_NOTHING, .settled = true },

	{ SOFT, SAID_NOTHING, .want = REPORT_NOTHING },
	{ SOFT, SAID_NOTHING, .want = REPORT_DELAYED, .waiting = true },
	{ SOFT, DELAY, .want = REPORT_DELAYED, .waiting = true },
	{ SOFT, DELAY, .want = REPORT_NOTHING },
	{ SOFT, NEVER, .want = REPORT_NOTHING, .waiting = true },
	{ SOFT, FAILURE | SUCCESS, .want = REPORT_NOTHING, .waiting = true },
	{ SOFT, DELAY, .want = REPORT_NOTHING, .waiting = true, .settled = true },

	{ DONE, SAID_NOTHING, .want = REPORT_NOTHING },
	{ DONE, FAILURE | DELAY, .want = REPORT_NOTHING, .waiting = true },
	{ DONE, SUCCESS, .want = REPORT_RELAYED },
	/* the host tells, or the next one */
	{ DONE, SUCCESS, .want = REPORT_NOTHING, .dsn = true },
	{ DONE, SUCCESS, .want = REPORT_NOTHING, .settled = true },
	{ DONE, SUCCESS, .want = REPORT_DELIVERED, .final = true },
	{ DONE, SUCCESS, .want = REPORT_NOTHING, .final = true, .dsn = true },
	{ DONE, SAID_NOTHING, .want = REPORT_NOTHING, .final = true },
	{ DONE, NEVER, .want = REPORT_NOTHING, .final = true },

	/* RFC 2852 section 4 */
	{ DONE, SAID_NOTHING, .want = REPORT_RELAYED, .by = "N" },
	{ DONE, SAID_NOTHING, .want = REPORT_NOTHING, .by = "N", .deliverby = true },
	{ DONE, SAID_NOTHING, .want = REPORT_RELAYED, .by = "NT", .deliverby = true },
	{ DONE, SAID_NOTHING, .want = REPORT_RELAYED, .by = "RT", .deliverby = true },
	{ DONE, SAID_NOTHING, .want = REPORT_NOTHING, .by = "R", .deliverby = true },
	{ DONE, SAID_NOTHING, .want = REPORT_NOTHING, .by = "RT" },
	{ DONE, NEVER, .want = REPORT_NOTHING, .by = "N" },
	{ DONE, SAID_NOTHING, .want = REPORT_NOTHING, .by = "N", .final = true },

	/*
	 * Mail without a sender: failures alone, and none about the mailbox that they go to (E12).
	 */
	{ HARD, SAID_NOTHING, .want = REPORT_FAILED, .double_bounce = true },
	{ HARD, NEVER, .want = REPORT_FAILED, .double_bounce = true },
	{ HARD, SAID_NOTHING, .want = REPORT_NOTHING, .double_bounce = true, .itself = true },
	{ SOFT, SAID_NOTHING, .want = REPORT_NOTHING, .double_bounce = true, .waiting = true },
	{ DONE, SUCCESS, .want = REPORT_NOTHING, .double_bounce = true },
	{ HARD, SAID_NOTHING, .want = REPORT_NOTHING, .double_bounce = true, .settled = true },
};

static void
test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *w = &rows[i];
		struct message m = MESSAGE_CLOSED;
		struct rcpt to = { .address = span_of(w->itself ? "\"Odd\"@relay.example" : "u@d.example"),
			.terms.notify = w->notify, .settled = w->settled, .outcome = w->outcome,
			.taker = { .dsn = w->dsn, .deliverby = w->deliverby, .final = w->final } };
		if (w->by != NULL) {
			m.env.by = 1700000000;
			m.env.by_mode = w->by[0];
			m.env.by_trace = w->by[1] == 'T';
		}
		struct report r = { .m = &m, .conf = &conf, .waiting = w->waiting,
			.double_bounce = w->double_bounce,
			.to = span_of(w->double_bounce ? "odd@relay.example" : "s@s.example") };
		enum report_kind got = report_kind(&r, &to);
		if (got != w->want)
			fail_msg("row %zu: %d", i, (int)got);
	}
}

/* ---- the whole message, or its header ------------------------------------------------------- */

/* A message with one recipient, opened; its text is the body that is queued. */
static void
queued(struct message *m, const char *text, struct envelope e)
{
	struct lane l;
	e.sender = span_of("s@s.example");
	assert_int_equal(draft_begin(&d, &sp, &e), 0);
	add("d.example", "u@d.example");
	draft_body(&d, span_of(text));
	assert_int_equal(draft_commit(&d), 0);
	open_lane(&l, "d.example");
	assert_int_equal(message_open(m, &l, d.id), 0);
	lane_close(&l);
}

static bool
holds(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text)) != NULL;
}

/* Does the report hold the text, and not the header alone? */
static bool
is_whole(struct message *m, enum outcome o, bool double_bounce)
{
	struct buf b;
	struct report r = { .m = m, .conf = &conf, .id = m->id, .waiting = true,
		.double_bounce = double_bounce,
		.to = span_of(double_bounce ? "odd@relay.example" : "s@s.example") };
	m->rcpt[0].outcome = o;
	buf_reset(&m->rcpt[0].text);
	buf_puts(&m->rcpt[0].text, "mx[192.0.2.1]:25: 550 5.1.1 no");
	assert_int_equal(report_write(&r, &b), 0);
	assert_true(holds(&b, "Subject: hello\r\n"));
	assert_true(holds(&b, "\r\nAuto-Submitted: auto-replied\r\n")); /* E9 */
	bool whole = holds(&b, "PAYLOAD");
	assert_int_equal(whole, holds(&b, "\r\nThe message is at the end"));
	buf_free(&b);
	return whole;
}

static void
test_whole(void **state)
{
	(void)state;
	static const struct envelope asked = { .ret = RET_FULL, .whole = true }, stranger = { .ret = RET_FULL };
	struct message m;
	queued(&m, TEXT, asked);
	assert_true(is_whole(&m, HARD, false));
	assert_false(is_whole(&m, SOFT, false)); /* RFC 3461 section 4.3 */
	message_close(&m);

	queued(&m, TEXT, (struct envelope){ .ret = RET_FULL, .whole = true, .require_tls = true });
	assert_false(is_whole(&m, HARD, false)); /* R85, S24: as if RET=HDRS had been said */
	assert_false(is_whole(&m, HARD, true));
	message_close(&m);

	queued(&m, TEXT, stranger); /* E10, M5 */
	assert_false(is_whole(&m, HARD, false));
	assert_true(is_whole(&m, HARD, true)); /* the operator's own mailbox */
	message_close(&m);

	queued(&m, TEXT, asked);
	conf.relay.bounce_size = (int64_t)m.length;
	assert_true(is_whole(&m, HARD, false));
	conf.relay.bounce_size = (int64_t)m.length - 1;
	assert_false(is_whole(&m, HARD, false));
	assert_false(is_whole(&m, HARD, true));
	conf.relay.bounce_size = 64 * 1024;
	message_close(&m);

	static const char *const odd[] = { HEADER "\r\nPAYLOAD\rx\r\n", HEADER "\r\nPAYLOAD\nx\r\n",
		HEADER "\r\nPAYLOAD\r\n\r" };
	for (size_t i = 0; i < ROWS(odd); i++) { /* lines or nothing */
		queued(&m, odd[i], asked);
		assert_false(is_whole(&m, HARD, false));
		message_close(&m);
	}
}

/* A21, R68: 8-bit text that a 7-bit host could not have would take the report with it. */
static void
test_whole_for_any_host(void **state)
{
	(void)state;
	static const struct { const char *text; bool whole; } cases[] = {
		{ HEADER "\r\nPAYLOAD \xc3\xa9\r\n", true },
		{ HEADER "From: \xe9@s.example\r\n\r\nPAYLOAD\r\n", false },
		{ HEADER "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nPAYLOAD \xe9\r\n"
		  "--b--\r\n", false },
	};
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct message m;
		queued(&m, cases[i].text, (struct envelope){ .ret = RET_FULL, .whole = true });
		assert_int_equal(is_whole(&m, HARD, false), cases[i].whole);
		assert_int_equal(is_whole(&m, HARD, true), cases[i].whole);
		message_close(&m);
	}
}

/* A recipient beyond ASCII, to a sender whose host need not take that (RFC 6533 section 3). */
static void
test_address(void **state)
{
	(void)state;
	struct message m;
	struct buf b;
	queued(&m, TEXT, (struct envelope){ .utf8 = true });
	m.rcpt[0].address = span_of("\xc3\xa9@d.example");
	m.rcpt[0].outcome = HARD;
	struct report r = { .m = &m, .conf = &conf, .id = m.id, .to = span_of("s@s.example") };
	assert_int_equal(report_write(&r, &b), 0);
	assert_true(holds(&b, "utf-8; \\x{E9}@d.example\r\n"));
	assert_true(span_is_ascii(buf_span(&b)));
	buf_free(&b);
	message_close(&m);
}

/* An ordinary report where SMTPUTF8 was said and not needed: the text does not count (L1). */
static void
test_not_global(void **state)
{
	(void)state;
	static const struct { const char *text; bool whole; } cases[] = {
		{ HEADER "\r\nPAYLOAD \xc3\xa9\r\n", true },
		{ HEADER "X: \xc3\xa9\r\n\r\nPAYLOAD\r\n", false },
	};
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct message m;
		struct buf b;
		queued(&m, cases[i].text,
			(struct envelope){ .utf8 = true, .ret = RET_FULL, .whole = true });
		m.rcpt[0].address = span_of("u@\xc3\xa4.example");
		m.rcpt[0].outcome = HARD;
		struct report r = { .m = &m, .conf = &conf, .id = m.id, .to = span_of("s@s.example") };
		assert_int_equal(report_write(&r, &b), 0);
		assert_int_equal(holds(&b, "PAYLOAD"), cases[i].whole);
		assert_false(holds(&b, "message/global"));
		assert_true(holds(&b, "\r\nFinal-Recipient: rfc822; u@xn--4ca.example\r\n"));
		assert_true(holds(&b, "\r\n<u@xn--4ca.example>\r\n"));
		buf_free(&b);
		message_close(&m);
	}
}

/* R85: what was wished of the message is wished of its report (RFC 8689 section 6). */
static void
test_tls_optional(void **state)
{
	(void)state;
	for (int said = 0; said < 2; said++) {
		struct message m;
		struct buf b;
		queued(&m, said ? "TLS-Required: No\r\n" TEXT : TEXT, (struct envelope){ .by = 0 });
		m.rcpt[0].outcome = HARD;
		struct report r = { .m = &m, .conf = &conf, .id = m.id, .to = span_of("s@s.example") };
		assert_int_equal(report_write(&r, &b), 0);
		const char *body = memmem(b.p, b.n, "\r\n\r\n", 4);
		struct span header = span_from(b.p, body);
		bool has = memmem(header.p, header.n, "\r\nTLS-Required: No\r\n", 20) != NULL;
		assert_int_equal(has, said);
		buf_free(&b);
		message_close(&m);
	}
}

/* What cannot be read or written is no report: the failure waits until it can be told (E16). */
static void
test_trouble(void **state)
{
	(void)state;
	struct message m;
	char lane[LANE_NAME_SIZE];
	struct rlimit old, small = { 100, 0 };
	char id[ID_SIZE];
	queued(&m, TEXT, (struct envelope){ .by = 0 });
	m.rcpt[0].outcome = HARD;
	int fd = m.fd;
	m.fd = -1; /* as if it could not be read */
	assert_true(dsn_queue(&m, &sp, &conf, false, id, lane) < 0);
	m.fd = fd;
	assert_int_equal(names("lane/s.example"), -1);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = dsn_queue(&m, &sp, &conf, false, id, lane);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(names("lane/s.example"), -1);
	assert_int_equal(dsn_queue(&m, &sp, &conf, false, id, lane), 0);
	assert_int_equal(names("lane/s.example"), 1);
	message_close(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		TEST(test_whole),
		TEST(test_whole_for_any_host),
		TEST(test_address),
		TEST(test_not_global),
		TEST(test_tls_optional),
		TEST(test_trouble),
	};
	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

/* transaction: what stands in the file of a message that is queued. */
#include "tests/unit/session/transacting.h"

/* The file of the message that was queued last. */
static struct span
queued_file(void)
{
	char path[sizeof("lane/") + LANE_NAME_SIZE + ID_SIZE];
	snprintf(path, sizeof(path), "lane/%s/%s", t.draft.lane[0], t.draft.id);
	return slurp(sp.root, path);
}

static struct span
queued(void)
{
	int err;
	size_t used;
	assert_int_equal(transaction_data(&t, span_of(HELLO ".\r\n"), &used), DOT_END);
	expect(transaction_finish(&t, &err), R_QUEUED, "finish");
	return queued_file();
}

static bool
holds(struct span s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* R30, R31: one field on top; FOR with one recipient only. A client without an address has none. */
static void
test_received(void **state)
{
	(void)state;
	struct trace trace = { .helo = "c.example", .peer = "[192.0.2.1]",
		.hostname = "mx.test.example", .with = "ESMTPS", .cipher = "SOME_CIPHER" };
	begin_with(RELAYS);
	start_data(&known, "FROM:<a@b.example>", false);
	transaction_drop(&t);
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&known, "TO:<Who@Example.Org>"), R_RCPT_OK, "RCPT");
	transaction_start_data(&t, &trace, false, false);
	struct span text = queued();
	assert_true(holds(text, "\n\nReceived: from c.example ([192.0.2.1])\r\n"
		"\tby mx.test.example with ESMTPS id "));
	assert_true(holds(text, "\r\n\tfor <Who@Example.Org>\r\n\ttls SOME_CIPHER;\r\n\t"));
	assert_true(holds(text, "0000\r\n" HELLO));
	transaction_drop(&t);

	trace.peer = trace.cipher = NULL;
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&known, "TO:<a@example.org>"), R_RCPT_OK, "RCPT");
	expect(rcpt_to(&known, "TO:<b@example.org>"), R_RCPT_OK, "RCPT");
	transaction_start_data(&t, &trace, false, false);
	text = queued();
	assert_true(holds(text, "\n\nReceived: from c.example\r\n\tby "));
	assert_false(holds(text, "\r\n\tfor <") || holds(text, "\r\n\ttls "));
}

/* L53, E1: what a client calls itself never makes our field another one, nor a line too long. */
static void
test_received_name(void **state)
{
	(void)state;
	static const struct {
		const char *helo, *peer, *from, *user;
	} rows[] = {
		{ "localhost", NULL, "from localhost (uid=33)", "uid=33" },
		{ "mail.bank.example", NULL, "from mail.bank.example (uid=33)", "uid=33" },
		{ "x(uid=0)", NULL, "from localhost (uid=33) (helo=x\\(uid=0\\))", "uid=33" },
		{ "uid=0", NULL, "from localhost (uid=33) (helo=uid=0)", "uid=33" },
		{ "my_printer", "[192.0.2.1]", "from my_printer ([192.0.2.1])", "" },
		{ "host.example.", "[192.0.2.1]", "from [192.0.2.1] (helo=host.example.)", "" },
		{ "host:8443", NULL, "from localhost (helo=host:8443)", "" },
		{ "[2001:db8::1]", "[IPv6:2001:db8::1]",
			"from [IPv6:2001:db8::1] (helo=[2001:db8::1])", "" },
		{ "x)(by", "[192.0.2.1]", "from [192.0.2.1] (helo=x\\)\\(by)", "" },
		{ "a\\)\xc3\xbc", NULL, "from localhost (helo=a\\x5c\\)\\xc3\\xbc)", "" },
	};
	struct trace trace = { .hostname = "mx.test.example", .with = "ESMTP" };
	begin_with(RELAYS);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char want[128];
		trace.helo = rows[i].helo;
		trace.peer = rows[i].peer;
		snprintf(trace.user, sizeof(trace.user), "%s", rows[i].user);
		expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
		expect(rcpt_to(&known, "TO:<a@example.org>"), R_RCPT_OK, "RCPT");
		transaction_start_data(&t, &trace, false, false);
		snprintf(want, sizeof(want), "\n\nReceived: %s\r\n\tby ", rows[i].from);
		if (!holds(queued(), want))
			fail_msg("%s", rows[i].helo);
		transaction_drop(&t);
	}
}

static void
test_received_long_name(void **state)
{
	(void)state;
	char name[LIMIT_DOMAIN + 1] = "";
	struct trace trace = { .helo = name, .hostname = "mx.test.example", .with = "ESMTP" };
	memset(name, 0xff, LIMIT_DOMAIN);
	begin_with(RELAYS);
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&known, "TO:<a@example.org>"), R_RCPT_OK, "RCPT");
	transaction_start_data(&t, &trace, false, false);
	struct span text = queued();
	const char *field = memmem(text.p, text.n, "\nReceived: ", strlen("\nReceived: "));
	assert_non_null(field);
	struct span line = { field + 1, text.n - (size_t)(field + 1 - text.p) };
	line = span_cut(&line, '\n');
	assert_true(line.n <= LIMIT_TEXT_LINE && holds(line, "\\xff...)\r"));
}

static const struct received_row {
	const char *mail, *to;
	const char *text; /* NULL: a header longer than what is held back */
	const char *with; /* the words in our field */
	const char *rcpt; /* ... and the recipient there; NULL: as it was given */
} received[] = {
	{ "a@b.example> SMTPUTF8", "u@example.org", HELLO, "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@example.org", "", "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@example.org", "A: b\r\n", "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@example.org", NULL, "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@example.org", "A: b\r\n\r\n\xc3\xa4\r\n", "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@example.org", "\xc3\xa4\r\n", "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@example.org", "A: b\r\nB: \xc3\xa4\r\n", "UTF8SMTP", NULL },
	{ "a@b.example>", "u@example.org", "A: \xc3\xa4\r\n", "ESMTP", NULL },
	{ "\xc3\xa4@b.example> SMTPUTF8", "u@example.org", HELLO, "UTF8SMTP", NULL },
	{ "a@\xc3\xa4.example> SMTPUTF8", "u@example.org", HELLO, "ESMTP", NULL },
	{ "a@b.example> SMTPUTF8", "\xc3\xa4@example.org", HELLO, "UTF8SMTP", NULL },
	{ "a@b.example> SMTPUTF8", "u@\xc3\xa4.example", HELLO, "ESMTP", "u@xn--4ca.example" },
};

static void
check_received(const struct received_row *row, struct span text, size_t step)
{
	const struct trace trace = { .helo = "c.example", .hostname = "mx.test.example",
		.with = "ESMTP", .with_utf8 = "UTF8SMTP" };
	char mail[64], rcpt[64], want[256];
	snprintf(mail, sizeof(mail), "FROM:<%s", row->mail);
	snprintf(rcpt, sizeof(rcpt), "TO:<%s>", row->to);
	expect(mail_from(&known, mail), R_SENDER_OK, mail);
	expect(rcpt_to(&known, rcpt), R_RCPT_OK, rcpt);
	transaction_start_data(&t, &trace, true, false);
	expect(send_data(text, true, step), R_QUEUED, mail);
	struct span got = queued_file();
	snprintf(want, sizeof(want), "\n\nReceived: from c.example\r\n\tby mx.test.example with %s "
		"id %s\r\n\tfor <%s>;\r\n\t", row->with, t.draft.id, row->rcpt != NULL ? row->rcpt : row->to);
	if (!holds(got, want) || memmem(got.p, got.n, text.p, text.n) == NULL)
		fail_msg("%s %s %zu: %.*s", mail, rcpt, step, 300, got.p);
	transaction_drop(&t);
}

/*
 * R36, L1: our field says UTF8SMTP where SMTPUTF8 was needed, not where it was said. The text
 * follows it whole, in whatever pieces it comes.
 */
static void
test_received_utf8(void **state)
{
	(void)state;
	static char long_header[100 * 1024];
	memset(long_header, 'x', sizeof(long_header));
	memcpy(long_header, "X: ", 3);
	memcpy(long_header + sizeof(long_header) - 2, "\r\n", 2);
	begin_with(RELAYS);
	for (size_t i = 0; i < ROWS(received); i++) {
		struct span text = { long_header, sizeof(long_header) };
		if (received[i].text != NULL)
			text = span_of(received[i].text);
		check_received(&received[i], text, 10000);
		check_received(&received[i], text, 1);
	}
}

/* E10: a report gives a whole message back only to a client that may send anywhere. */
static void
test_whole(void **state)
{
	(void)state;
	static const struct {
		const struct rights *may;
		const char *mail;
		bool want;
	} rows[] = {
		{ &known, "FROM:<a@b.example> RET=FULL", true },
		{ &stranger, "FROM:<a@b.example> RET=FULL", false },
		{ &known, "FROM:<a@b.example> RET=HDRS", false },
		{ &known, "FROM:<a@b.example>", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin_with(RELAYS);
		start_data(rows[i].may, rows[i].mail, false);
		assert_int_equal(holds(queued(), "\nWhole: yes\n"), rows[i].want);
	}
}

/* What a stranger sends to relay_domains is passed on, and is not signed as if it were ours. */
static void
test_ours(void **state)
{
	(void)state;
	begin_with(RELAYS);
	start_data(&stranger, "FROM:<a@b.example>", false);
	assert_false(holds(queued(), "\nOurs: "));
	begin_with(RELAYS);
	start_data(&known, "FROM:<a@b.example>", false);
	struct span text = queued();
	assert_true(holds(text, "\nOurs: yes\n"));
	assert_false(holds(text, "\nBound: "));
}

/* Of a user who may not send from any address, by either list. */
static void
test_bound(void **state)
{
	(void)state;
	struct rights users[] = { known, known, known };
	users[0].senders = span_of(" x@b.example a@b.example");
	users[1].bound = true;
	users[2].senders = span_of(" ");
	for (int i = 0; i < 3; i++) {
		begin_with(RELAYS);
		start_data(&users[i], "FROM:<a@b.example>", false);
		assert_int_equal(holds(queued(), "\nOurs: yes\nBound: yes\n"), i < 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_received),
		TEST(test_received_name),
		TEST(test_received_long_name),
		TEST(test_received_utf8),
		TEST(test_whole),
		TEST(test_ours),
		TEST(test_bound),
	};
	return cmocka_run_group_tests_name("transaction_queued", tests, NULL, NULL);
}

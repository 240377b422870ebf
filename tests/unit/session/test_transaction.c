/* transaction: which client may send what to which address, and when. */
#include "tests/unit/session/transacting.h"

/* ---- MAIL ------------------------------------------------------------------------------------ */

static const struct mail_row {
	const char *conf, *senders; /* what the user may send from */
	const char *arg;
	enum reply want;
	bool asks; /* a program of the site, if there is one */
} mails[] = {
	{ "", "", "FROM:<a@b.example>", R_SENDER_OK, true },
	{ "", "", "FROM:<>", R_SENDER_OK, true },
	{ "", "", "FROM:a@b.example", R_MAIL_SYNTAX, false },
	{ "", "", "FROM:<a@b.example> X=1", R_UNKNOWN_PARAMETER, false },
	{ "", "", "FROM:<a@b.example> RET=X", R_BAD_PARAMETER, false },
	{ "", "", "FROM:<a@b.example> AUTH=<>", R_SENDER_OK, true },
	{ "", "", "FROM:<\xc3\xa9@b.example>", R_NEED_UTF8, false },
	/* S6: a domain that no mail can be sent to */
	{ "", "", "FROM:<a@b\xc3\xa9.example> SMTPUTF8", R_SENDER_OK, true },
	{ "", "", "FROM:<a@\xe2\x98\x83-.example> SMTPUTF8", R_MAIL_SYNTAX, false },
	{ "", "", "FROM:<a@[192.0.2.1]>", R_SENDER_OK, true },
	/* the senders of a user */
	{ "", "a@b.example", "FROM:<a@b.example>", R_SENDER_OK, true },
	{ "", "a@b.example", "FROM:<A@B.Example>", R_SENDER_OK, true },
	{ "", "a@b.example", "FROM:<>", R_SENDER_OK, true },
	{ "", "a@b.example", "FROM:<c@b.example>", R_SENDER_DENIED, false },
	{ "", "@b.example", "FROM:<c@b.example>", R_SENDER_OK, true },
	{ "", "@b.example", "FROM:<c@sub.b.example>", R_SENDER_DENIED, false },
	/* SIZE (R63) */
	{ "max_size = 100K\n", "", "FROM:<a@b.example> SIZE=102400", R_SENDER_OK, true },
	{ "max_size = 100K\n", "", "FROM:<a@b.example> SIZE=102401", R_TOO_LARGE, false },
	{ "max_size = 100K\n", "", "FROM:<a@b.example> SIZE=99999999999999999999", R_TOO_LARGE,
		false },
};

static void
test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(mails); i++) {
		const struct mail_row *row = &mails[i];
		struct rights may = known;
		may.senders = span_of(row->senders);
		begin_with(row->conf);
		expect(mail_from(&may, row->arg), row->want, row->arg);
		assert_int_equal(times_asked, row->asks);
		assert_int_equal(t.open, row->want == R_SENDER_OK);
	}
}

/* J3: the reserve must stay free, and a message that tells its size must fit besides. */
static void
test_mail_room(void **state)
{
	(void)state;
	begin_with("");
	conf.receive.max_size = INT64_MAX; /* no disk has as much */
	conf.receive.min_free = 0;
	expect(mail_from(&known, "FROM:<a@b.example> SIZE=4611686018427387904"), R_QUEUE_FULL,
		"size");
	assert_int_equal(times_asked, 0);
	expect(mail_from(&known, "FROM:<a@b.example> SIZE=1"), R_SENDER_OK, "a small one");
	transaction_drop(&t);
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "no size");
	transaction_drop(&t);
	conf.receive.min_free = INT64_MAX / 2;
	expect(mail_from(&known, "FROM:<a@b.example>"), R_QUEUE_FULL, "reserve");
	assert_int_equal(times_asked, 2);
	conf.receive.max_size = 10;
	expect(mail_from(&known, "FROM:<a@b.example> SIZE=11"), R_TOO_LARGE, "for good");
}

/* A parameter that was not offered to this client is unknown, and so to transaction_mail (R14). */
static void
test_mail_not_offered(void **state)
{
	(void)state;
	begin_with("");
	expect(mail_from(&stranger, "FROM:<a@b.example> AUTH=<>"), R_UNKNOWN_PARAMETER, "AUTH");
	expect(mail_from(&known, "FROM:<a@b.example> AUTH=<>"), R_SENDER_OK, "AUTH");
}

/* A refusal of the site ends it; the address is the one that was given. */
static void
test_mail_asks(void **state)
{
	(void)state;
	begin_with("");
	opinion = R_CHECK_DEFER;
	expect(mail_from(&known, "FROM:<A@B.example> SIZE=1"), R_CHECK_DEFER, "refused");
	assert_string_equal(asked, "A@B.example");
	assert_false(t.open);
	expect(rcpt_to(&known, "TO:<c@d.example>"), R_NEED_MAIL, "no transaction");
	opinion = R_QUOTA;
	expect(mail_from(&known, "FROM:<>"), R_QUOTA, "refused");
	assert_string_equal(asked, "");
}

/* R90: a second MAIL is refused and changes nothing. */
static void
test_nested_mail(void **state)
{
	(void)state;
	begin_with("");
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "first");
	expect(rcpt_to(&known, "TO:<c@d.example>"), R_RCPT_OK, "first");
	expect(mail_from(&known, "FROM:<e@f.example>"), R_NESTED_MAIL, "second");
	expect(mail_from(&known, "nonsense"), R_NESTED_MAIL, "whatever it says");
	assert_string_equal(t.reverse, "a@b.example");
	assert_int_equal(t.draft.recipients, 1);
}

/* ---- RCPT ------------------------------------------------------------------------------------ */

static const struct rcpt_row {
	const char *arg;
	enum reply to_stranger, to_known;
	const char *lane; /* where it is accepted */
} rcpts[] = {
	/* R45: mail for listed domains only, in any case, and what lies below a dot */
	{ "TO:<a@example.org>", R_RCPT_OK, R_RCPT_OK, "example.org" },
	{ "TO:<a@EXAMPLE.Org>", R_RCPT_OK, R_RCPT_OK, "example.org" },
	{ "TO:<a@sub.example.org>", R_NO_RELAY, R_RCPT_OK, "sub.example.org" },
	{ "TO:<a@example.net>", R_NO_RELAY, R_RCPT_OK, "example.net" },
	{ "TO:<a@sub.example.net>", R_RCPT_OK, R_RCPT_OK, "sub.example.net" },
	{ "TO:<a@notexample.net>", R_NO_RELAY, R_RCPT_OK, "notexample.net" },
	{ "TO:<a@example.org.example>", R_NO_RELAY, R_RCPT_OK, "example.org.example" },
	{ "TO:<a@elsewhere.example>", R_NO_RELAY, R_RCPT_OK, "elsewhere.example" },
	{ "TO:<a@mx.test.example>", R_NO_RELAY, R_RCPT_OK, "mx.test.example" },
	/* D8: what the next host could take for a route of its own */
	{ "TO:<a%elsewhere.example@example.org>", R_NO_RELAY, R_RCPT_OK, "example.org" },
	{ "TO:<elsewhere.example!a@example.org>", R_NO_RELAY, R_RCPT_OK, "example.org" },
	{ "TO:<\"a@elsewhere.example\"@example.org>", R_NO_RELAY, R_RCPT_OK, "example.org" },
	{ "TO:<\"@elsewhere.example:a\"@example.org>", R_NO_RELAY, R_RCPT_OK, "example.org" },
	{ "TO:<\"x:a\"@example.org>", R_NO_RELAY, R_RCPT_OK, "example.org" },
	{ "TO:<@elsewhere.example:a@example.org>", R_RCPT_OK, R_RCPT_OK, "example.org" }, /* R15 */
	{ "TO:<a@[192.0.2.1]>", R_NO_RELAY, R_RCPT_OK, "[192.0.2.1]" },
	/* the postmaster is everybody's */
	{ "TO:<postmaster>", R_RCPT_OK, R_RCPT_OK, "far.example" },
	{ "TO:<PostMaster>", R_RCPT_OK, R_RCPT_OK, "far.example" },
	{ "TO:<postmaster@mx.test.example>", R_RCPT_OK, R_RCPT_OK, "far.example" },
	{ "TO:<postmaster@MX.Test.Example>", R_RCPT_OK, R_RCPT_OK, "far.example" },
	{ "TO:<postmaster@elsewhere.example>", R_NO_RELAY, R_RCPT_OK, "elsewhere.example" },
	{ "TO:<postmasters@mx.test.example>", R_NO_RELAY, R_RCPT_OK, "mx.test.example" },
	/* what is no recipient */
	{ "TO:<>", R_RCPT_SYNTAX, R_RCPT_SYNTAX, NULL },
	{ "TO:<a>", R_RCPT_SYNTAX, R_RCPT_SYNTAX, NULL },
	{ "TO:<a@example.org> NOTIFY=X", R_BAD_PARAMETER, R_BAD_PARAMETER, NULL },
	{ "TO:<\xc3\xa9@example.org>", R_NEED_UTF8, R_NEED_UTF8, NULL },
};

static void
check_rcpt(const struct rcpt_row *row, const struct rights *may, enum reply want)
{
	begin_with(RELAYS);
	expect(mail_from(may, "FROM:<a@b.example>"), R_SENDER_OK, row->arg);
	times_asked = 0;
	expect(rcpt_to(may, row->arg), want, row->arg);
	assert_int_equal(times_asked, want == R_RCPT_OK);
	assert_int_equal(t.draft.recipients, want == R_RCPT_OK);
	if (want == R_RCPT_OK)
		assert_string_equal(t.draft.lane[0], row->lane);
}

static void
test_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rcpts); i++) {
		check_rcpt(&rcpts[i], &stranger, rcpts[i].to_stranger);
		check_rcpt(&rcpts[i], &known, rcpts[i].to_known);
	}
}

/* S5: mail for a postmaster that nobody set, and nothing takes, would come back to a forged name. */
static void
test_postmaster(void **state)
{
	(void)state;
	static const struct {
		const char *conf, *sender;
		enum reply to_stranger;
	} rows[] = {
		{ "", "<a@b.example>", R_NO_POSTMASTER },
		{ "", "<>", R_NO_POSTMASTER },
		{ "postmaster =\n", "<a@b.example>", R_NO_POSTMASTER },
		{ "postmaster = root@mx.test.example\n", "<a@b.example>", R_RCPT_OK },
		/* written out, the default is no other address */
		{ "postmaster = postmaster@mx.test.example\n", "<a@b.example>", R_NO_POSTMASTER },
		{ "postmaster = \"Post\\master\"@MX.Test.example\n", "<>", R_NO_POSTMASTER },
		{ "postmaster = postmaster@mx.test.example\nrelay_domains = mx.test.example\n",
			"<a@b.example>", R_RCPT_OK },
		{ "postmaster = postmaster@mx.test.example\n"
		  "[route own]\ndomains = mx.test.example\nhosts = h.example:25\n",
			"<a@b.example>", R_RCPT_OK },
		{ "postmaster = postmaster@test.example\n", "<a@b.example>", R_RCPT_OK },
		{ "relay_domains = .test.example\n", "<a@b.example>", R_RCPT_OK },
		{ "relay_domains = d.example\n", "<a@b.example>", R_NO_POSTMASTER },
		{ "[route all]\ndomains = *\nhosts = h.example:25\n", "<>", R_RCPT_OK },
		{ "[route own]\ndomains = MX.test.example\nhosts = h.example:25\n", "<a@b.example>",
			R_RCPT_OK },
		{ "[route other]\ndomains = d.example\nhosts = h.example:25\n", "<a@b.example>",
			R_NO_POSTMASTER },
		{ "[route ours]\nsenders = d.example\nhosts = h.example:25\n", "<a@b.example>",
			R_NO_POSTMASTER },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char mail[64];
		snprintf(mail, sizeof(mail), "FROM:%s", rows[i].sender);
		begin_with(rows[i].conf);
		expect(mail_from(&stranger, mail), R_SENDER_OK, "MAIL");
		expect(rcpt_to(&stranger, "TO:<Postmaster>"), rows[i].to_stranger, rows[i].conf);
		expect(rcpt_to(&stranger, "TO:<postmaster@mx.test.example>"), rows[i].to_stranger,
			rows[i].conf);
		begin_with(rows[i].conf);
		expect(mail_from(&known, mail), R_SENDER_OK, "MAIL");
		expect(rcpt_to(&known, "TO:<postmaster>"), R_RCPT_OK, rows[i].conf);
	}
}

/* D8: even if every domain were listed, a literal or a route in an address is not plain. */
static void
test_rcpt_anywhere(void **state)
{
	(void)state;
	begin_with("");
	free(conf.receive.relay_domains);
	conf.receive.relay_domains = strdup("*"); /* more than can be configured */
	expect(mail_from(&stranger, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&stranger, "TO:<a@elsewhere.example>"), R_RCPT_OK, "a domain");
	expect(rcpt_to(&stranger, "TO:<a@[192.0.2.1]>"), R_NO_RELAY, "a literal");
	expect(rcpt_to(&stranger, "TO:<a%b@elsewhere.example>"), R_NO_RELAY, "a route");
}

/* The site is asked about the address that is queued, and a refusal leaves the others (R91). */
static void
test_rcpt_asks(void **state)
{
	(void)state;
	begin_with(RELAYS);
	expect(mail_from(&stranger, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&stranger, "TO:<a@example.org>"), R_RCPT_OK, "first");
	opinion = R_CHECK_REJECT;
	expect(rcpt_to(&stranger, "TO:<postmaster>"), R_CHECK_REJECT, "second");
	assert_string_equal(asked, "boss@far.example");
	assert_int_equal(t.draft.recipients, 1);
	assert_true(t.open);
	expect(transaction_ready(&t, false), R_START_DATA, "with the first");
}

/* R25: a recipient too many is refused before the site is asked, and only if it could be one. */
static void
test_rcpt_limit(void **state)
{
	(void)state;
	begin_with(RELAYS "max_recipients = 100\n");
	expect(mail_from(&stranger, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	for (int i = 0; i < 100; i++)
		expect(rcpt_to(&stranger, "TO:<a@example.org>"), R_RCPT_OK, "below the limit");
	times_asked = 0;
	expect(rcpt_to(&stranger, "TO:<a@example.org>"), R_TOO_MANY_RCPT, "above it");
	expect(rcpt_to(&stranger, "TO:<a@elsewhere.example>"), R_NO_RELAY, "above it");
	assert_int_equal(times_asked, 0);
	assert_int_equal(t.draft.recipients, 100);
}

/* R71: a message goes to DRAFT_LANES domains at the most; more recipients there are welcome. */
static void
test_rcpt_domains(void **state)
{
	(void)state;
	char arg[64];
	begin_with("");
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	for (int i = 0; i < DRAFT_LANES; i++) {
		snprintf(arg, sizeof(arg), "TO:<a@d%d.example>", i);
		expect(rcpt_to(&known, arg), R_RCPT_OK, arg);
	}
	expect(rcpt_to(&known, "TO:<a@more.example>"), R_TOO_MANY_RCPT, "a new domain");
	expect(rcpt_to(&known, "TO:<b@d0.example>"), R_RCPT_OK, "one that is there");
}

/* A route that matches domain and sender names the lane; it gives a stranger no rights. */
static void
test_rcpt_route(void **state)
{
	(void)state;
	begin_with("relay_domains = example.org\n[route special]\nsenders = a@b.example\n"
		"domains = *\nhosts = h.example\n");
	expect(mail_from(&stranger, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&stranger, "TO:<c@example.org>"), R_RCPT_OK, "of the sender");
	assert_string_equal(t.draft.lane[0], "route:special");
	expect(rcpt_to(&stranger, "TO:<c@elsewhere.example>"), R_NO_RELAY, "not of our domains");
	transaction_drop(&t);
	expect(mail_from(&stranger, "FROM:<c@b.example>"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&stranger, "TO:<c@example.org>"), R_RCPT_OK, "of another sender");
	assert_string_equal(t.draft.lane[0], "example.org");
}

/* ---- the order ------------------------------------------------------------------------------- */

/* R13, R67: what may follow what. */
static void
test_ready(void **state)
{
	(void)state;
	begin_with(RELAYS);
	expect(transaction_ready(&t, false), R_NEED_MAIL, "nothing");
	expect(transaction_ready(&t, true), R_NEED_MAIL, "nothing");
	expect(mail_from(&known, "FROM:<a@b.example>"), R_SENDER_OK, "MAIL");
	expect(transaction_ready(&t, false), R_NEED_RCPT, "MAIL");
	expect(transaction_ready(&t, true), R_NEED_RCPT, "MAIL");
	expect(rcpt_to(&known, "TO:<a@example.org>"), R_RCPT_OK, "RCPT");
	expect(transaction_ready(&t, false), R_START_DATA, "RCPT");
	expect(transaction_ready(&t, true), R_START_DATA, "RCPT");
	transaction_drop(&t);
	start_data(&known, "FROM:<a@b.example>", true);
	expect(transaction_ready(&t, true), R_START_DATA, "a chunk");
	expect(transaction_ready(&t, false), R_NOT_AFTER_BDAT, "a chunk");
	expect(rcpt_to(&known, "TO:<a@example.org>"), R_NOT_AFTER_BDAT, "a chunk");
	transaction_drop(&t);
	expect(mail_from(&known, "FROM:<a@b.example> BODY=BINARYMIME"), R_SENDER_OK, "MAIL");
	expect(rcpt_to(&known, "TO:<a@example.org>"), R_RCPT_OK, "RCPT");
	expect(transaction_ready(&t, false), R_BINARY_NEEDS_BDAT, "binary");
	expect(transaction_ready(&t, true), R_START_DATA, "binary");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mail),
		TEST(test_mail_room),
		TEST(test_mail_not_offered),
		TEST(test_mail_asks),
		TEST(test_nested_mail),
		TEST(test_rcpt),
		TEST(test_postmaster),
		TEST(test_rcpt_anywhere),
		TEST(test_rcpt_asks),
		TEST(test_rcpt_limit),
		TEST(test_rcpt_domains),
		TEST(test_rcpt_route),
		TEST(test_ready),
	};
	return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}

/* transaction: which client may send what to which address, and what becomes of the data. */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/resource.h>

#include "lib/limits.h"
#include "session/arguments.h"
#include "session/transaction.h"
#include "tests/unit/session/configured.h"

#define HELLO "Subject: x\r\n\r\nHello\r\n"

static struct conf conf;
static struct transaction t;
static const struct rights stranger;
static const struct rights known = { .any_domain = true, .offered = OFFER_AUTH };

/* The last question, and what it is answered. */
static char asked[LIMIT_ADDRESS + 1];
static int times_asked;
static enum reply opinion;

static enum reply
approve(void *ctx, struct span address)
{
	assert_ptr_equal(ctx, &t);
	snprintf(asked, sizeof(asked), "%.*s", (int)address.n, address.p);
	times_asked++;
	return opinion;
}

/* Begins anew with this configuration. */
static void
begin_with(const char *text)
{
	configure(&conf, text);
	transaction_drop(&t);
	opinion = R_FINE;
	times_asked = 0;
}

static enum reply
mail_from(const struct rights *may, const char *arg)
{
	return transaction_mail(&t, &sp, &conf, may, guarded(span_of(arg)), approve, &t);
}

static enum reply
rcpt_to(const struct rights *may, const char *arg)
{
	return transaction_rcpt(&t, &conf, may, guarded(span_of(arg)), approve, &t);
}

static void
expect(enum reply got, enum reply want, const char *where)
{
	if (got != want)
		fail_msg("%s: \"%s\", not \"%s\"", where, reply_row(got)->text,
			reply_row(want)->text);
}

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

#define RELAYS "relay_domains = example.org .example.net\npostmaster = boss@far.example\n"

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

static void
start_data(const struct rights *may, const char *mail, bool chunked)
{
	static const struct trace trace = { .helo = "c.example", .peer = "[192.0.2.1]",
		.hostname = "mx.test.example", .with = "ESMTP" };
	expect(mail_from(may, mail), R_SENDER_OK, mail);
	expect(rcpt_to(may, "TO:<a@example.org>"), R_RCPT_OK, mail);
	expect(transaction_ready(&t, chunked), R_START_DATA, mail);
	transaction_start_data(&t, &trace, chunked, false);
}

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

/* ---- data ------------------------------------------------------------------------------------ */

/* The verdict on a message in pieces of `step` octets. */
static enum reply
send_data(struct span text, bool chunked, size_t step)
{
	int err;
	enum dot_result end = DOT_MORE;
	while (text.n > 0 && end == DOT_MORE) {
		struct span piece = guarded((struct span){ text.p, text.n < step ? text.n : step });
		size_t used = piece.n;
		if (chunked)
			(void)transaction_chunk(&t, piece);
		else
			end = transaction_data(&t, piece, &used);
		text = span_skip(text, used);
	}
	assert_true(chunked || end == DOT_END);
	assert_int_equal(text.n, 0);
	enum reply r = transaction_finish(&t, &err);
	assert_int_equal(err, 0);
	return r;
}

static const struct data_row {
	const char *mail;
	bool chunked;
	const char *text;
	size_t n; /* 0: its length */
	enum reply want;
} data[] = {
	{ "", false, HELLO ".\r\n", 0, R_QUEUED },
	{ "", false, ".\r\n", 0, R_QUEUED },
	{ "", false, "\r\nx\r\n.\r\n", 0, R_QUEUED },
	{ "", false, "a\nb\r\n.\r\n", 0, R_BARE_IN_DATA },
	{ "", false, "a\rb\r\n.\r\n", 0, R_BARE_IN_DATA },
	{ "", false, "a\0b\r\n.\r\n", 8, R_NUL_IN_DATA },
	{ "", false, " folded\r\n.\r\n", 0, R_BEGINS_FOLDED },
	{ "", false, "\tfolded\r\n.\r\n", 0, R_BEGINS_FOLDED },
	{ "", false, "a: b\r\n folded\r\n.\r\n", 0, R_QUEUED },
	{ "", true, HELLO, 0, R_QUEUED },
	{ "", true, ".\r\n.\r\n", 0, R_QUEUED },
	{ "", true, "a\nb\r\n", 0, R_BARE_IN_CHUNK },
	{ "", true, "a\rb\r\n", 0, R_BARE_IN_CHUNK },
	{ "", true, "a\r", 0, R_BARE_IN_CHUNK },
	{ "", true, "a\0b\r\n", 5, R_BARE_IN_CHUNK },
	{ "", true, " folded\r\n", 0, R_BEGINS_FOLDED },
	{ "", true, "", 0, R_QUEUED }, /* whatever the one before was */
	{ " BODY=BINARYMIME", true, "a\nb\rc\0d", 7, R_QUEUED },
	{ " BODY=BINARYMIME", true, "\tfolded\r\n", 0, R_BEGINS_FOLDED },
	{ " BODY=8BITMIME", true, "a\nb\r\n", 0, R_BARE_IN_CHUNK },
};

/* Whatever pieces it comes in; what is refused is in no lane. */
static void
test_data(void **state)
{
	(void)state;
	char mail[64];
	begin_with(RELAYS);
	for (size_t i = 0; i < ROWS(data); i++) {
		const struct data_row *row = &data[i];
		size_t n = row->n > 0 ? row->n : strlen(row->text);
		snprintf(mail, sizeof(mail), "FROM:<a@b.example>%s", row->mail);
		for (size_t step = n + 1; step > 0; step = step > 1 ? 1 : 0) {
			int before = names("lane/example.org");
			start_data(&stranger, mail, row->chunked);
			struct span text = { row->text, n };
			expect(send_data(text, row->chunked, step), row->want, row->text);
			transaction_drop(&t);
			int new = names("lane/example.org") - (before < 0 ? 0 : before);
			assert_int_equal(new, before < 0 && row->want != R_QUEUED ? -1
				: row->want == R_QUEUED);
			assert_int_equal(names("tmp"), 0);
		}
	}
}

/* Each chunk is told whether the message is fine so far; what is wrong stays wrong. */
static void
test_chunks(void **state)
{
	(void)state;
	int err;
	begin_with(RELAYS);
	start_data(&known, "FROM:<a@b.example>", true);
	expect(transaction_chunk(&t, guarded(span_of(HELLO))), R_CHUNK_OK, "good");
	expect(transaction_chunk(&t, guarded(span_of("a\nb\r\n"))), R_BARE_IN_CHUNK, "bad");
	expect(transaction_chunk(&t, guarded(span_of(HELLO))), R_BARE_IN_CHUNK, "good again");
	expect(transaction_finish(&t, &err), R_BARE_IN_CHUNK, "end");
	assert_int_equal(err, 0);
}

enum { RECEIVED = 256 }; /* more than our field has */

/* A message of `n` octets, as DATA or as a chunk. */
static enum reply
send_octets(size_t n, bool chunked)
{
	static char text[128 * 1024];
	assert_true(n + 3 <= sizeof(text));
	memset(text, 'x', n);
	memcpy(text + n - 2, "\r\n.\r\n", 5);
	start_data(&known, "FROM:<a@b.example>", chunked);
	enum reply r = send_data((struct span){ text, chunked ? n : n + 3 }, chunked, 10000);
	assert_true(t.draft.length <= 65536 + RECEIVED); /* nothing is kept beyond the limit */
	transaction_drop(&t);
	assert_int_equal(names("tmp"), 0);
	return r;
}

/* R24: max_size octets, and not one more; the dot at the end and our field do not count. */
static void
test_size(void **state)
{
	(void)state;
	begin_with(RELAYS "max_size = 65536\n");
	for (int chunked = 0; chunked < 2; chunked++) {
		expect(send_octets(65536, chunked), R_QUEUED, "all that is allowed");
		expect(send_octets(65537, chunked), R_TOO_LARGE, "more");
		expect(send_octets(100000, chunked), R_TOO_LARGE, "much more");
		expect(send_octets(3, chunked), R_QUEUED, "the next one");
	}
}

static enum reply
send_hops(int received, const char *rest)
{
	struct buf b = buf_new(64 * 1024);
	for (int i = 0; i < received; i++)
		buf_puts(&b, "Received: from x\r\n");
	buf_puts(&b, rest);
	start_data(&known, "FROM:<a@b.example>", false);
	enum reply r = send_data(buf_span(&b), false, 10000);
	transaction_drop(&t);
	buf_free(&b);
	return r;
}

/* R35: hops count in the header only, and anew for each message. */
static void
test_hops(void **state)
{
	(void)state;
	begin_with(RELAYS);
	for (int again = 0; again < 2; again++) {
		expect(send_hops(LIMIT_HOPS, "\r\nx\r\n.\r\n"), R_QUEUED, "the last hop");
		expect(send_hops(LIMIT_HOPS, "\r\nReceived: from x\r\n.\r\n"), R_QUEUED, "body");
		expect(send_hops(LIMIT_HOPS + 1, "\r\nx\r\n.\r\n"), R_TOO_MANY_HOPS, "too far");
	}
}

/* ---- what is queued ------------------------------------------------------------------------ */

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

/* J3, J5: a spool that fails is trouble of ours, and why is told apart for the client. */
static void
test_spool_fails(void **state)
{
	(void)state;
	struct rlimit before, none;
	int err;
	size_t used;
	begin_with(RELAYS);
	start_data(&known, "FROM:<a@b.example>", false);
	assert_int_equal(transaction_data(&t, span_of(HELLO ".\r\n"), &used), DOT_END);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	enum reply r = transaction_finish(&t, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, old);
	expect(r, R_QUEUE_FULL, "no room");
	assert_int_equal(err, -EFBIG);
	transaction_drop(&t);

	struct spool gone = sp;
	gone.tmp = -1;
	start_data(&known, "FROM:<a@b.example>", false);
	t.draft.spool = &gone;
	assert_int_equal(transaction_data(&t, span_of(HELLO ".\r\n"), &used), DOT_END);
	expect(transaction_finish(&t, &err), R_QUEUE_ERROR, "no directory");
	assert_int_equal(err, -EBADF);
	transaction_drop(&t);
	assert_false(t.open);
}

static int
tidy(void **state)
{
	transaction_drop(&t);
	conf_free(&conf);
	conf = (struct conf){ 0 };
	return teardown(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, tidy)

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
		TEST(test_data),
		TEST(test_chunks),
		TEST(test_size),
		TEST(test_hops),
		TEST(test_received),
		TEST(test_received_name),
		TEST(test_received_long_name),
		TEST(test_received_utf8),
		TEST(test_whole),
		TEST(test_ours),
		TEST(test_bound),
		TEST(test_spool_fails),
	};
	return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}

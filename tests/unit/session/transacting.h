/* transacting: a transaction with a configuration, a client and a spool, for a group of tests. */
#ifndef POSTERN_TRANSACTING_H
#define POSTERN_TRANSACTING_H

#include "tests/unit/spooled.h"

#include "lib/limits.h"
#include "session/arguments.h"
#include "session/transaction.h"
#include "tests/unit/session/configured.h"

#define HELLO "Subject: x\r\n\r\nHello\r\n"
#define RELAYS "relay_domains = example.org .example.net\npostmaster = boss@far.example\n"

static struct conf conf;
static struct transaction t;
static const struct rights stranger;
static const struct rights known = { .any_domain = true, .offered = OFFER_AUTH };

/* The last question, and what it is answered. */
static char asked[LIMIT_ADDRESS + 1];
static int times_asked;
static enum reply opinion;

static inline enum reply
approve(void *ctx, struct span address)
{
	assert_ptr_equal(ctx, &t);
	snprintf(asked, sizeof(asked), "%.*s", (int)address.n, address.p);
	times_asked++;
	return opinion;
}

/* Begins anew with this configuration. */
static inline void
begin_with(const char *text)
{
	configure(&conf, text);
	transaction_drop(&t);
	opinion = R_FINE;
	times_asked = 0;
}

static inline enum reply
mail_from(const struct rights *may, const char *arg)
{
	return transaction_mail(&t, &sp, &conf, may, guarded(span_of(arg)), approve, &t);
}

static inline enum reply
rcpt_to(const struct rights *may, const char *arg)
{
	return transaction_rcpt(&t, &conf, may, guarded(span_of(arg)), approve, &t);
}

static inline void
expect(enum reply got, enum reply want, const char *where)
{
	if (got != want)
		fail_msg("%s: \"%s\", not \"%s\"", where, reply_row(got)->text,
			reply_row(want)->text);
}

static inline void
start_data(const struct rights *may, const char *mail, bool chunked)
{
	static const struct trace trace = { .helo = "c.example", .peer = "[192.0.2.1]",
		.hostname = "mx.test.example", .with = "ESMTP" };
	expect(mail_from(may, mail), R_SENDER_OK, mail);
	expect(rcpt_to(may, "TO:<a@example.org>"), R_RCPT_OK, mail);
	expect(transaction_ready(&t, chunked), R_START_DATA, mail);
	transaction_start_data(&t, &trace, chunked, false);
}

/* The verdict on a message in pieces of `step` octets. */
static inline enum reply
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

static inline int
tidy(void **state)
{
	transaction_drop(&t);
	conf_free(&conf);
	conf = (struct conf){ 0 };
	return teardown(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, tidy)

#endif

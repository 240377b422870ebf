/* refusal: what a 5yz is about, and which words are worth a try without them (L2, L13, L16). */
#include "tests/unit/sending/sent.h"

#include <stdlib.h>

#include "sending/refusal.h"

static struct link l; /* large */

/* As if the host had said this, or we in its place. */
static void
hear(const char *reply)
{
	l.code = reply[0] >= '0' && reply[0] <= '9' ? (int)strtol(reply, NULL, 10) : 0;
	struct span text = guarded(span_of(reply));
	l.text = (struct buf){ .p = (char *)(uintptr_t)text.p, .n = text.n, .max = text.n };
}

enum way { AS_OFFERED, CLEAR, HELO, FEWER, NOT_OFFERED, NONE, OWN, OWN_CLEAR };

static void
come(enum way way)
{
	l.terms = patient_terms();
	l.host = (struct link_host){ .helo = way == HELO };
	l.flow = (struct link_flow){ .dropped = way == FEWER ? CAN_SIZE : 0 };
	l.terms.clear = way == CLEAR || way == OWN_CLEAR;
	l.terms.own = way == OWN || way == OWN_CLEAR;
	l.terms.policy = way == NOT_OFFERED ? DELIVERY_TLS_MAY : DELIVERY_TLS_NONE;
}

#define M REFUSAL_MAIL
#define F REFUSAL_FALLBACK
#define U REFUSAL_US
#define B (REFUSAL_FALLBACK | REFUSAL_US)

static const struct {
	const char *reply;
	/* as offered, in clear, HELO, fewer words, TLS not offered, TLS not wanted, route, both */
	unsigned want[OWN_CLEAR + 1];
} rows[] = {
	{ "530 5.7.0 Must issue a STARTTLS command first", { M, F, F, F, F, M, U, B } },
	{ "530", { M, F, F, F, F, M, U, B } },
	{ "523 no", { M, F, F, F, F, M, U, B } },
	{ "538 no", { M, F, F, F, F, M, U, B } },
	{ "550 5.7.10 no", { M, F, F, F, F, M, U, B } },
	{ "554-5.7.11 no", { M, F, F, F, F, M, U, B } },
	{ "550-5.7.29 not over TLS", { M, F, F, F, F, M, U, B } },
	{ "503 5.5.1 EHLO first", { M, F, F, F, M, M, U, B } },
	{ "534 5.7.9 no", { M, F, F, F, M, M, U, B } },
	{ "535 no", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.57 not authenticated", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.13 disabled", { M, F, F, F, M, M, U, B } },
	{ "554 TLS only", { M, F, F, F, M, M, M, F } },
	{ "550 no", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.1 no", { M, F, F, F, M, M, M, F } },
	{ "554 5.0.0 no", { M, F, F, F, M, M, M, F } },
	/* what is said of an address or a mailbox counts however we came */
	{ "550 5.1.1 unknown", { M, M, M, M, M, M, M, M } },
	{ "550-5.2.1 disabled", { M, M, M, M, M, M, M, M } },
	{ "552 5.2.2 full", { M, M, M, M, M, M, M, M } },
	{ "554 5.7.1 <a@b.example>: Relay access denied", { M, F, F, F, M, M, U, B } },
	{ "550 relay not permitted", { M, F, F, F, M, M, U, B } },
	/* where no enhanced code says so, words do (RFC 5321 appendix D, sendmail, qmail, Exim) */
	{ "550 No such user here", { M, M, M, M, M, M, M, M } },
	{ "550-<u@b.example>... User unknown", { M, M, M, M, M, M, M, M } },
	{ "553 sorry, no mailbox here by that name", { M, M, M, M, M, M, M, M } },
	{ "550 Unknown user", { M, M, M, M, M, M, M, M } },
	{ "551 recipient does not exist", { M, M, M, M, M, M, M, M } },
	{ "554 no such user", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.1 no such user", { M, F, F, F, M, M, M, F } },
	{ "550 unknown client", { M, F, F, F, M, M, M, F } },
	{ "550 no suc", { M, F, F, F, M, M, M, F } },
	{ "not sent: no such user", { M, F, F, F, M, M, M, F } },
	/* an account that is refused, in words (Postfix, Exim, qmail, Exchange, Amazon, SendGrid) */
	{ "550 Authentication required", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.1 Authentication is required", { M, F, F, F, M, M, U, B } },
	{ "550 SMTP AUTH is required for submission", { M, F, F, F, M, M, U, B } },
	{ "550 smtp auth required", { M, F, F, F, M, M, U, B } },
	{ "550 5.5.1 please authenticate first", { M, F, F, F, M, M, U, B } },
	{ "553 5.7.1 <a@b.example>: Sender address rejected: not logged in",
		{ M, F, F, F, M, M, U, B } },
	{ "553 5.7.1 <a@b.example>: not owned by user joe", { M, F, F, F, M, M, U, B } },
	{ "554 5.7.1 <c.example[192.0.2.1]>: Client host rejected: Access denied",
		{ M, F, F, F, M, M, U, B } },
	{ "553 sorry, not in my list of allowed rcpthosts (#5.7.1)", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.60 no permission to send as this sender", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.708 traffic not accepted from this IP", { M, F, F, F, M, M, U, B } },
	{ "554 Message rejected: Email address is not verified.", { M, F, F, F, M, M, U, B } },
	{ "550 The from address does not match a verified Sender Identity",
		{ M, F, F, F, M, M, U, B } },
	{ "550 5.4.5 Daily user sending limit exceeded", { M, F, F, F, M, M, U, B } },
	{ "550 5.1.90 daily limit of recipients", { M, M, M, M, M, M, U, U } },
	{ "521 no mail here", { M, F, F, F, M, M, U, B } },
	{ "554 5.3.2 closed", { M, F, F, F, M, M, U, B } },
	{ "554 5.3.5 local configuration error", { M, F, F, F, M, M, U, B } },
	{ "552 5.3.4 too large", { M, F, F, F, M, M, M, F } },
	{ "525 5.7.13 no", { M, F, F, F, M, M, U, B } },
	{ "525 Unauthorized address", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.25 no name for your address", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.64 TenantAttribution", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.606 banned", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.649 banned", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.700 too much of it", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.1 no permissions to send as this sender", { M, F, F, F, M, M, U, B } },
	{ "554 5.2.252 SendAsDenied; a@b.example", { M, M, M, M, M, M, U, U } },
	{ "550 5.1.8 Access denied, bad outbound sender", { M, M, M, M, M, M, U, U } },
	{ "554 5.1.8 Email Outgoing Blocked", { M, M, M, M, M, M, U, U } },
	{ "504 5.5.2 <c>: Helo command rejected: need a name with dots",
		{ M, F, F, F, M, M, U, B } },
	{ "550 EHLO name is not valid", { M, F, F, F, M, M, U, B } },
	{ "554 5.7.1 [192.0.2.1] blocked using a list", { M, F, F, F, M, M, U, B } },
	{ "550 Your IP is on a list", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.0 your account is suspended", { M, F, F, F, M, M, U, B } },
	{ "502 5.7.0 Your SMTP account is not yet activated", { M, F, F, F, M, M, U, B } },
	{ "550 POP before SMTP", { M, F, F, F, M, M, U, B } },
	{ "553 Mail from must equal authorized user", { M, F, F, F, M, M, U, B } },
	{ "501 mail from must be that of the authorization user", { M, F, F, F, M, M, U, B } },
	{ "551 5.7.1 Not authorised to send from this address", { M, F, F, F, M, M, U, B } },
	{ "551 5.7.1 Not authorized to send from this address", { M, F, F, F, M, M, U, B } },
	{ "554 User joe is not authorized to perform this", { M, F, F, F, M, M, U, B } },
	{ "550 no Sender Signature of this account", { M, F, F, F, M, M, U, B } },
	{ "550 mailbox unavailable, Sender address is not allowed.", { M, F, F, F, M, M, U, B } },
	{ "550 not local sender over smtp", { M, F, F, F, M, M, U, B } },
	/* (SendGrid, cPanel, Exchange, iCloud, and hosts that know no mail command without a login) */
	{ "550 Unauthenticated senders not allowed", { M, F, F, F, M, M, U, B } },
	{ "550 Please turn on SMTP Authentication in your mail client",
		{ M, F, F, F, M, M, U, B } },
	{ "553 5.3.0 Authentication failed", { M, F, F, F, M, M, U, B } },
	{ "501 5.7.0 Authentication needed", { M, F, F, F, M, M, U, B } },
	{ "554 5.7.3 Authentication unsuccessful", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.1 Must be authenticated", { M, F, F, F, M, M, U, B } },
	{ "500 5.5.1 AUTH first", { M, F, F, F, M, M, U, B } },
	{ "502 5.7.0 login first", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.0 From address is not one of your addresses", { M, F, F, F, M, M, U, B } },
	{ "550 Domain b.example has exceeded the max emails per hour (150/100)",
		{ M, F, F, F, M, M, U, B } },
	{ "550 Outgoing mail from b.example has been suspended.", { M, F, F, F, M, M, U, B } },
	/* ... and what only sounds like it is about the mail */
	{ "550 5.7.20 no authenticated signature", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.28 authentication", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.19 authentication", { M, F, F, F, M, M, U, B } },
	{ "550 5.7.29 authentication", { M, F, F, F, F, M, U, B } },
	{ "550 DKIM: authentication failed", { M, F, F, F, M, M, M, F } },
	{ "550 SPF authentication failed", { M, F, F, F, M, M, M, F } },
	{ "550 This message fails to pass authentication checks", { M, F, F, F, M, M, M, F } },
	{ "550 It does not have authentication information", { M, F, F, F, M, M, M, F } },
	{ "500 5.1.2 no", { M, M, M, M, M, M, M, M } },
	{ "504 5.5.2 <u>: Recipient address rejected: need fully-qualified address",
		{ M, F, F, F, M, M, M, F } },
	{ "550 5.7.605 no", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.751 no", { M, F, F, F, M, M, M, F } },
	{ "550 5.4.708 no", { M, F, F, F, M, M, M, F } },
	{ "550 5.1.8 no such sender's domain", { M, M, M, M, M, M, M, M } },
	{ "550 5.7.1 You are not authorized to send to this list", { M, F, F, F, M, M, M, F } },
	{ "550-5.7.26 This mail is unauthenticated", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.1 Unauthenticated email, see DMARC", { M, F, F, F, M, M, M, F } },
	{ "550 5.7.515 required authentication level", { M, F, F, F, M, M, M, F } },
	{ "550 5.4.1 no", { M, F, F, F, M, M, M, F } },
	{ "550 5.1.1 <relay@b.example>: unknown", { M, M, M, M, M, M, M, M } },
	{ "550 rela", { M, F, F, F, M, M, M, F } },
	/* what only looks like a code is none */
	{ "550 5.1", { M, F, F, F, M, M, M, F } },
	{ "550 5.1. no", { M, F, F, F, M, M, M, F } },
	{ "550 4.1.1 no", { M, F, F, F, M, M, M, F } },
	{ "550 5", { M, F, F, F, M, M, M, F } },
	{ "550 5.", { M, F, F, F, M, M, M, F } },
	{ "550 5.x.1", { M, F, F, F, M, M, M, F } },
	/* ours, in place of a reply */
	{ "not sent: 550 5.6.7 the host does not take SMTPUTF8", { M, F, F, F, M, M, M, F } },
	{ "", { M, F, F, F, M, M, M, F } },
};

static void
test_about(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (enum way way = AS_OFFERED; way <= OWN_CLEAR; way++) {
			come(way);
			hear(rows[i].reply);
			unsigned got = refusal_about(&l);
			if (got != rows[i].want[way])
				fail_msg("%s, %d: %d", rows[i].reply, (int)way, (int)got);
		}
}

/* In TLS nothing asks for TLS. */
static void
test_in_tls(void **state)
{
	(void)state;
	come(NOT_OFFERED);
	l.proof.tls = (struct tls *)(void *)&l; /* not looked into */
	hear("530 5.7.0 Authentication required");
	assert_int_equal(refusal_about(&l), REFUSAL_MAIL);
	l.terms.own = true;
	assert_int_equal(refusal_about(&l), REFUSAL_US);
	l.proof.tls = NULL;
}

/* In clear by a choice of ours, for good or for now. */
static void
test_misses_tls(void **state)
{
	(void)state;
	static const struct { const char *reply; enum way way; bool want; } cases[] = {
		{ "530 TLS first", CLEAR, true },
		{ "450 4.7.10 TLS first", CLEAR, true },
		{ "421-4.7.29 TLS first", NOT_OFFERED, true },
		{ "450 4.7.10 TLS first", AS_OFFERED, false },
		{ "450 4.7.1 grey", CLEAR, false },
		{ "550 no", CLEAR, false },
		{ "250 2.7.10 ok", CLEAR, false },
		{ "TLS: 530", CLEAR, false },
	};
	for (size_t i = 0; i < ROWS(cases); i++) {
		come(cases[i].way);
		hear(cases[i].reply);
		if (refusal_misses_tls(&l) != cases[i].want)
			fail_msg("%s, %d", cases[i].reply, (int)cases[i].way);
	}
	come(CLEAR);
	hear("530 no");
	l.proof.tls = (struct tls *)(void *)&l; /* not looked into */
	assert_false(refusal_misses_tls(&l));
	l.proof.tls = NULL;
}

/* Too many recipients are no fault of theirs (R26). */
static void
test_too_many(void **state)
{
	(void)state;
	static const struct { const char *reply; bool want; } cases[] = {
		{ "550 5.5.3 no", true },
		{ "450-4.5.3 no", true },
		{ "550 Too many recipients", true },
		{ "554 5.7.1 too many rcpts here", true },
		{ "550 maximum number of recipients exceeded", true },
		{ "250 2.5.3 ok", false },
		{ "250 not too many recipients", false },
		{ "550 4.5.3 no", false },
		{ "550 5.7.3 no", false },
		{ "550 5.5.2 no", false },
		{ "554 5.4.6 too many hops", false },
		{ "550 no", false },
	};
	come(AS_OFFERED);
	for (size_t i = 0; i < ROWS(cases); i++) {
		hear(cases[i].reply);
		if (refusal_counts_recipients(&l) != cases[i].want)
			fail_msg("%s", cases[i].reply);
	}
}

/* One connection has brought enough (L8); how much an hour may bring is not about it. */
static void
test_names_connection(void **state)
{
	(void)state;
	static const struct { const char *reply; bool want; } cases[] = {
		{ "554 5.7.1 too many messages in this session", true },
		{ "452 4.5.3 Too many mails", true },
		{ "550 5.1.0 too many messages", true },
		{ "451 limit of this connection reached", true },
		{ "450 4.7.0 too many messages per hour in this session", true },
		{ "450 4.7.0 too many messages per hour", false },
		{ "250 2.0.0 end of this session", false },
		{ "421 4.7.0 too many messages in this session", false },
		{ "550 5.1.1 no such user (session 17)", false },
		{ "550 5.7.1 no", false },
		{ "554 too many hops", false },
	};
	come(AS_OFFERED);
	for (size_t i = 0; i < ROWS(cases); i++) {
		hear(cases[i].reply);
		if (refusal_names_connection(&l) != cases[i].want)
			fail_msg("%s", cases[i].reply);
	}
}

/* ---- words ----------------------------------------------------------------------------------- */

enum { ALL = CAN_SIZE | CAN_DSN | CAN_PRIORITY | CAN_DELIVERBY | CAN_8BITMIME };

static const struct {
	const char *reply;
	unsigned words;
	bool eightbit, binary;
	char by_mode;
	unsigned dropped; /* 0: the refusal stands */
} words_refused[] = {
	{ "555 no", CAN_SIZE, false, false, 0, CAN_SIZE },
	{ "501 no", ALL, false, false, 'N', ALL },
	{ "504 no", CAN_DSN, false, false, 0, CAN_DSN },
	{ "555 5.5.4 no", ALL, false, false, 'R', ALL & ~(unsigned)CAN_DELIVERBY },
	{ "555 no", ALL, true, false, 'N', ALL & ~(unsigned)CAN_8BITMIME },
	/* then the text takes another form */
	{ "555 no", CAN_8BITMIME, true, false, 0, CAN_8BITMIME },
	{ "555 no", CAN_BINARYMIME, true, true, 0, CAN_BINARYMIME },
	{ "555 no", CAN_DELIVERBY, false, false, 'R', 0 },
	{ "501 bad address", 0, false, false, 0, 0 },
	/* who expects none takes it for a part of the address */
	{ "501 5.1.7 bad address", ALL, false, false, 'N', ALL },
	{ "501 5.1.3 bad address", CAN_DSN, false, false, 0, CAN_DSN },
	{ "550 5.1.3 bad address", CAN_DSN, false, false, 0, CAN_DSN },
	{ "553-5.1.3 bad address", CAN_DSN, false, false, 0, CAN_DSN },
	{ "553 5.1.7 bad address", CAN_SIZE, false, false, 0, CAN_SIZE },
	{ "553 5.1.7 bad address", 0, false, false, 0, 0 },
	{ "551 5.1.3 no", CAN_DSN, false, false, 0, 0 },
	{ "550 5.1.1 unknown", CAN_DSN, false, false, 0, 0 },
	{ "553 no", CAN_DSN, false, false, 0, 0 },
	{ "553 5.7.1 no", CAN_DSN, false, false, 0, 0 },
	{ "501 5.1.1 unknown", CAN_DSN, false, false, 0, 0 },
	{ "501 5.2.7 no", CAN_DSN, false, false, 0, 0 },
	/* the enhanced code says it */
	{ "550 5.5.4 no", ALL, false, false, 'N', ALL },
	{ "553 5.5.2 no", CAN_SIZE, false, false, 0, CAN_SIZE },
	{ "554 5.5.1 no", CAN_SIZE, false, false, 0, 0 },
	{ "554 5.6.1 no", ALL, true, false, 'N', CAN_8BITMIME },
	{ "550 5.6.3 no", CAN_BINARYMIME, true, true, 0, CAN_BINARYMIME },
	{ "550 5.6.3 no", CAN_DSN, true, false, 0, 0 },
	{ "550 5.6.0 no", CAN_8BITMIME, true, false, 0, 0 },
	/* or it cannot have them now, and never can */
	{ "455 no", CAN_SIZE, false, false, 0, CAN_SIZE },
	{ "451 4.5.4 no", CAN_SIZE, false, false, 0, CAN_SIZE },
	{ "451 5.5.4 no", CAN_SIZE, false, false, 0, 0 },
	{ "421 4.5.4 bye", CAN_SIZE, false, false, 0, 0 },
	{ "250 2.5.4 ok", CAN_SIZE, false, false, 0, 0 },
	{ "550 no", ALL, false, false, 'N', 0 },
	{ "552 5.3.4 too large", CAN_SIZE, false, false, 0, 0 },
	{ "250 ok", CAN_SIZE, false, false, 0, 0 },
	{ "451 later", CAN_SIZE, false, false, 0, 0 },
};

static void
test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(words_refused); i++) {
		struct message m = { .eightbit = words_refused[i].eightbit,
			.env = { .by_mode = words_refused[i].by_mode } };
		const struct text t = { .m = &m, .binary = words_refused[i].binary };
		come(AS_OFFERED);
		l.host.can = ~0U;
		hear(words_refused[i].reply);
		bool dropped = refusal_drops_words(&l, &t, words_refused[i].words);
		if (dropped != (words_refused[i].dropped != 0) || l.flow.dropped != words_refused[i].dropped)
			fail_msg("case %zu: %x", i, l.flow.dropped);
		assert_int_equal(l.host.can, ~words_refused[i].dropped);
	}
}

/* Refused without them too: they were not the reason, so they are said again. */
static void
test_words_are_cleared(void **state)
{
	(void)state;
	const struct message m = { 0 };
	const struct text t = { .m = &m };
	come(AS_OFFERED);
	l.host.can = CAN_SIZE | CAN_PIPELINING;
	hear("501 no");
	assert_true(refusal_drops_words(&l, &t, CAN_SIZE));
	assert_int_equal(l.host.can, CAN_PIPELINING);
	assert_int_equal(refusal_about(&l), REFUSAL_FALLBACK);
	assert_false(refusal_drops_words(&l, &t, 0));
	assert_int_equal(l.host.can, CAN_SIZE | CAN_PIPELINING);
	assert_int_equal(refusal_about(&l), REFUSAL_MAIL);
	/* nor were those that another connection did without from the first */
	l.terms.fewer = CAN_DSN;
	assert_int_equal(refusal_about(&l), REFUSAL_FALLBACK);
	assert_false(refusal_drops_words(&l, &t, 0));
	assert_int_equal(refusal_about(&l), REFUSAL_MAIL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_about),
		cmocka_unit_test(test_in_tls),
		cmocka_unit_test(test_misses_tls),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_names_connection),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_are_cleared),
	};
	return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}

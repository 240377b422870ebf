/*
 * body: in which form a host can have a text, what it cannot have, and why (L1, L10, L16, R73 to
 * R77).
 */
#include "tests/unit/sending/bodies.h"

/* ---- what fits --------------------------------------------------------------------------- */

enum { NOTHING_SAID, CONVERTED = 1, AS_BINARY = 2, NEEDS_UTF8 = 4 };

#define TEXT(t) { t, sizeof(t) - 1 }

static const struct form_row {
	unsigned can;
	enum body said; /* by the client */
	struct span text;
	bool binary;    /* it holds what is not lines */
	enum outcome want;
	unsigned form;
	const char *why; /* NULL: it fits */
} forms[] = {
	{ 0, BODY_UNSAID, TEXT(PLAIN), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_8BITMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_8BITMIME, TEXT(EIGHT), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_UNSAID, TEXT(EIGHT), false, DONE, 0, NULL },
	{ CAN_8BITMIME, BODY_7BIT, TEXT(EIGHT), false, DONE, 0, NULL },
	/* the octets count, and not what the client called them */
	{ 0, BODY_8BITMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ 0, BODY_8BITMIME, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ 0, BODY_7BIT, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ CAN_PIPELINING | CAN_CHUNKING, BODY_8BITMIME, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ 0, BODY_8BITMIME, TEXT(FIXED), false, HARD, 0, "554 5.6.3 the host takes 7-bit text" },
	/* binary goes to a host that has both, and as lines where it is lines (L1) */
	{ BINARY, BODY_BINARYMIME, TEXT(ODD), true, DONE, AS_BINARY, NULL },
	{ BINARY, BODY_BINARYMIME, TEXT(PLAIN), false, DONE, AS_BINARY, NULL },
	{ BINARY, BODY_8BITMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ BINARY | CAN_8BITMIME, BODY_BINARYMIME, TEXT(EIGHT), false, DONE, AS_BINARY, NULL },
	{ CAN_8BITMIME, BODY_BINARYMIME, TEXT(EIGHT), false, DONE, 0, NULL },
	{ 0, BODY_BINARYMIME, TEXT(PLAIN), false, DONE, 0, NULL },
	{ 0, BODY_BINARYMIME, TEXT(EIGHT), false, DONE, CONVERTED, NULL },
	{ CAN_CHUNKING | CAN_8BITMIME, BODY_BINARYMIME, TEXT(ODD), true, DONE, CONVERTED, NULL },
	{ CAN_BINARYMIME | CAN_8BITMIME, BODY_BINARYMIME, TEXT(ODD), true, DONE, CONVERTED, NULL },
	{ CAN_8BITMIME, BODY_BINARYMIME, TEXT(FIXED "\0"), true, HARD, 0,
		"554 5.6.3 the host takes lines of text only" },
};

static void
test_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(forms); i++) {
		const struct form_row *row = &forms[i];
		struct message m = message_of(row->text.p, row->text.n);
		struct text t = { .length = 1 };
		m.env.body = row->said;
		m.binary = row->binary;
		know_host(row->can);
		if (body_fit(&l, &m, &t) != row->want)
			fail_msg("row %zu: %.*s", i, (int)l.text.n, l.text.p);
		unsigned form = (t.converted ? CONVERTED : 0U) | (t.binary ? AS_BINARY : 0U);
		if (row->want == DONE && form != row->form)
			fail_msg("row %zu: form %u", i, form);
		if (row->want == DONE && !t.converted)
			assert_int_equal(t.length, m.length);
		if (row->why != NULL)
			assert_said(row->why);
		close(m.fd);
	}
}

/*
 * Of a host that is served without BDAT for a while: what only BDAT can carry waits for the end of
 * that, and what no form carries does not (L10).
 */
static void
test_form_for_now(void **state)
{
	(void)state;
	struct message m = message_of(FIXED, strlen(FIXED));
	struct text t;
	m.env.body = BODY_BINARYMIME;
	know_host(0);
	l.terms.avoided = CAN_CHUNKING | CAN_BINARYMIME;
	assert_int_equal(body_fit(&l, &m, &t), SOFT);
	l.terms.avoided = CAN_PIPELINING;
	assert_int_equal(body_fit(&l, &m, &t), HARD);
	l.terms.avoided = CAN_CHUNKING | CAN_BINARYMIME;
	m.env.body = BODY_8BITMIME;
	assert_int_equal(body_fit(&l, &m, &t), HARD);
	close(m.fd);
}

/* A spool that cannot be read now is no word about the mail. */
static void
test_form_of_what_cannot_be_read(void **state)
{
	(void)state;
	struct message m = message_of(EIGHT, strlen(EIGHT));
	struct text t;
	close(m.fd);
	m.fd = -1;
	know_host(0);
	assert_int_equal(body_fit(&l, &m, &t), SOFT);
	assert_said("spool: ");
	assert_int_equal(l.code, 0);
}

static void
test_size(void **state)
{
	(void)state;
	struct message m = message_of(PLAIN, strlen(PLAIN));
	struct message eight = message_of(EIGHT, strlen(EIGHT));
	const int64_t n = (int64_t)m.length;
	const struct { int64_t limit; enum outcome want; } rows[] = {
		{ 0, DONE }, { n + 1, DONE }, { n, DONE }, { n - 1, HARD }, { 1, HARD } };
	struct text t;
	for (size_t i = 0; i < ROWS(rows); i++) {
		know_host(CAN_SIZE);
		l.host.limit.size = rows[i].limit;
		assert_int_equal(body_fit(&l, &m, &t), rows[i].want);
		if (rows[i].want == HARD)
			assert_said("552 5.3.4 ");
	}
	/* of what is sent, and not of what is queued */
	know_host(CAN_SIZE);
	assert_int_equal(body_fit(&l, &eight, &t), DONE);
	assert_true(t.converted && t.length > eight.length);
	l.host.limit.size = (int64_t)t.length;
	assert_int_equal(body_fit(&l, &eight, &t), DONE);
	l.host.limit.size--;
	assert_int_equal(body_fit(&l, &eight, &t), HARD);
	close(m.fd);
	close(eight.fd);
}

/* ---- what the sender asked for ------------------------------------------------------------ */

static enum outcome
fit(unsigned can, struct envelope e, struct text *t)
{
	struct message m = message_of(PLAIN, strlen(PLAIN));
	m.env = e;
	know_host(can);
	l.host.limit.by = SOON;
	enum outcome o = body_fit(&l, &m, t);
	close(m.fd);
	return o;
}

/* DELIVERBY: with mode R the host has to promise it, and so soon (RFC 2852 section 4.1.4). */
static void
test_by(void **state)
{
	(void)state;
	const int64_t now = clock_wall();
	const struct {
		unsigned can;
		int64_t in; /* s from now */
		char mode;
		enum outcome want;
		const char *why;
	} rows[] = {
		{ CAN_DELIVERBY, 10 * SOON, 'R', DONE, NULL },
		{ CAN_DELIVERBY, SOON / 2, 'R', HARD, "no time of delivery as early as that" },
		{ 0, 10 * SOON, 'R', HARD, "does not promise a time of delivery" },
		/* to be told is a wish that we see to ourselves */
		{ CAN_DELIVERBY, SOON / 2, 'N', DONE, NULL },
		{ 0, SOON / 2, 'N', DONE, NULL },
	};
	struct text t;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct envelope e = { .sender = span_of("s@s.example"), .by = now + rows[i].in,
			.by_mode = rows[i].mode };
		assert_int_equal(fit(rows[i].can, e, &t), rows[i].want);
		if (rows[i].why != NULL)
			assert_said(rows[i].why);
	}
	assert_int_equal(fit(0, (struct envelope){ .by_mode = 'R' }, &t), DONE);
	/* what LMTP takes is delivered */
	struct message m = message_of(PLAIN, strlen(PLAIN));
	m.env.by = now + 1;
	m.env.by_mode = 'R';
	know_host(0);
	conf.protocol = PROTOCOL_LMTP;
	assert_int_equal(body_fit(&l, &m, &t), DONE);
	close(m.fd);
}

/* Both the extension and a certificate for the target; a report goes without (R85). */
static void
test_require_tls(void **state)
{
	(void)state;
	static const struct {
		unsigned can;
		bool tls, trusted, target;
		const char *sender;
		enum outcome want;
		const char *why; /* the codes of RFC 8689 section 4.2.1 */
	} rows[] = {
		{ CAN_REQUIRETLS, true, true, true, "s@s.example", DONE, NULL },
		{ CAN_REQUIRETLS, true, false, true, "s@s.example", HARD, "550 5.7.10 " },
		{ CAN_REQUIRETLS, false, true, true, "s@s.example", HARD, "550 5.7.10 " },
		{ CAN_REQUIRETLS, true, true, false, "s@s.example", HARD, "550 5.7.10 " },
		{ 0, true, true, true, "s@s.example", HARD, "550 5.7.30 " },
		{ 0, false, false, true, "s@s.example", HARD, "550 5.7.10 " },
		{ 0, false, false, true, "", DONE, NULL },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = message_of(PLAIN, strlen(PLAIN));
		struct text t;
		m.env.require_tls = true;
		m.env.sender = span_of(rows[i].sender);
		know_host(rows[i].can);
		if (!rows[i].tls)
			l.proof.tls = NULL;
		if (!rows[i].target)
			l.terms.target[0] = '\0';
		l.proof.trust = rows[i].trusted ? TRUSTED : NOT_TRUSTED;
		if (body_fit(&l, &m, &t) != rows[i].want)
			fail_msg("row %zu", i);
		assert_int_equal(t.unfit, rows[i].want == HARD);
		if (rows[i].why != NULL)
			assert_said(rows[i].why);
		close(m.fd);
	}
}

/* What is known of a host from another message is enough to know whether it can have this one. */
static void
test_would_fit(void **state)
{
	(void)state;
	const struct {
		struct body_taker host;
		struct envelope env;
		const char *text, *to;
		bool want;
	} rows[] = {
		{ { 0 }, NONE, PLAIN, "u@d.example", true },
		{ { .size = 10 }, NONE, PLAIN, "u@d.example", false },
		{ { .size = 1000 }, NONE, PLAIN, "u@d.example", true },
		{ { 0 }, NONE, PLAIN, "\xc3\xa9@d.example", false },
		{ { .can = CAN_SMTPUTF8 }, NONE, PLAIN, "\xc3\xa9@d.example", true },
		{ { 0 }, { .sender = span_of("\xc3\xa9@s.example") }, PLAIN, "u@d.example", false },
		{ { 0 }, NONE, "Subject: \xc3\xa9\r\n\r\nx\r\n", "u@d.example", true },
		{ { 0 }, NONE, "From: \xc3\xa9@s.example\r\n\r\nx\r\n", "u@d.example", false },
		{ { .can = CAN_8BITMIME }, NONE, "Subject: \xc3\xa9\r\n\r\nx\r\n", "u@d.example",
			true },
		{ { .can = CAN_REQUIRETLS, .tls = true, .proved = true },
			{ .sender = span_of("s@s.example"), .require_tls = true }, PLAIN,
			"u@d.example", true },
		{ { .can = CAN_REQUIRETLS, .tls = true },
			{ .sender = span_of("s@s.example"), .require_tls = true }, PLAIN,
			"u@d.example", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = message_of(rows[i].text, strlen(rows[i].text));
		m.env = rows[i].env;
		m.eightbit = !span_is_ascii(span_of(rows[i].text));
		if (body_would_fit(&rows[i].host, &m, span_of(rows[i].to)) != rows[i].want)
			fail_msg("row %zu", i);
		close(m.fd);
	}
	/* and it is known as it is; the certificate is not judged unless it matters */
	know_host(CAN_REQUIRETLS | CAN_SIZE);
	l.host.limit.size = 7;
	l.host.limit.by = 8;
	l.proof.trust = TRUSTED;
	struct body_taker h = body_taker_of(&l, true);
	assert_true(h.can == (CAN_REQUIRETLS | CAN_SIZE) && h.size == 7 && h.by == 8);
	assert_true(h.tls && h.proved && !h.final && !h.broken);
	l.terms.clear = true;
	assert_true(body_taker_of(&l, false).broken);
	assert_false(body_taker_of(&l, false).proved);
	know_host(0);
	l.proof.trust = TRUSTED;
	assert_false(body_taker_of(&l, true).proved);
}

/* SMTPUTF8 where the header or the sender needs it, whatever the client said (L1). */
static void
test_utf8(void **state)
{
	(void)state;
	static const struct {
		bool said, header;
		const char *sender;
		bool needed;
	} rows[] = {
		{ false, false, "s@s.example", false },
		{ true, false, "s@s.example", false },
		{ false, true, "s@s.example", false }, /* 8 bits as of old: 8BITMIME will do */
		{ true, true, "s@s.example", true },
		{ false, false, A "@s.example", true },
		{ false, false, "s@" A ".example", false }, /* has a form in ASCII */
		{ true, false, "", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = message_of(PLAIN, strlen(PLAIN));
		struct text t;
		m.env.utf8 = rows[i].said;
		m.env.sender = span_of(rows[i].sender);
		m.header_eightbit = rows[i].header;
		know_host(CAN_8BITMIME | CAN_SMTPUTF8);
		assert_int_equal(body_fit(&l, &m, &t), DONE);
		assert_int_equal(t.utf8, rows[i].needed);
		know_host(CAN_8BITMIME);
		assert_int_equal(body_fit(&l, &m, &t), rows[i].needed ? HARD : DONE);
		if (rows[i].needed)
			assert_said("550 5.6.7 ");
		close(m.fd);
	}
	know_host(0);
	assert_true(body_address_fits(&l, span_of("r@r.example")));
	assert_true(body_address_fits(&l, span_of("r@" A ".example")));
	assert_false(body_address_fits(&l, span_of(A "@r.example")));
	assert_said("550 5.6.7 ");
	know_host(CAN_SMTPUTF8);
	assert_true(body_address_fits(&l, span_of(A "@r.example")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_form_for_now),
		cmocka_unit_test(test_form_of_what_cannot_be_read),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_by),
		cmocka_unit_test(test_require_tls),
		cmocka_unit_test(test_would_fit),
		cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}

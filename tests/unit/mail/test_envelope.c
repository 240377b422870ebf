/*
 * envelope: what a client asked for stands in a queued message, and is read back as it was (J13).
 */
#include "tests/unit/unit.h"

#include "mail/envelope.h"

static const struct {
	const char *text; /* its lines */
	struct envelope e;
} envelopes[] = {
	{ "", { .by = 0 } },
	{ "Body: 7BIT\n", { .body = BODY_7BIT } },
	{ "Body: 8BITMIME\n", { .body = BODY_8BITMIME } },
	{ "Body: BINARYMIME\n", { .body = BODY_BINARYMIME } },
	{ "Smtputf8: yes\n", { .utf8 = true } },
	{ "Require-Tls: yes\n", { .require_tls = true } },
	{ "Ret: FULL\nWhole: yes\n", { .ret = RET_FULL, .whole = true } },
	{ "Ours: yes\n", { .ours = true } },
	{ "Ours: yes\nBound: yes\n", { .ours = true, .bound = true } },
	{ "Ret: HDRS\n", { .ret = RET_HDRS } },
	{ "Envid: abc+20d\n", { .envid = { "abc+20d", 7 } } },
	{ "Auth: <>\n", { .auth = { "<>", 2 } } },
	{ "By: 1700000000 R\n", { .by = 1700000000, .by_mode = 'R' } },
	{ "By: -5 NT\n", { .by = -5, .by_mode = 'N', .by_trace = true } },
	{ "Hold: 1700000001\n", { .hold = 1700000001 } },
	{ "Priority: -9\n", { .priority = -9 } },
	{ "Priority: 9\n", { .priority = 9 } },
	{ "Body: 8BITMIME\nSmtputf8: yes\nRequire-Tls: yes\nRet: FULL\nEnvid: x\nBy: 7 RT\nHold: 8\nPriority: 1\n",
		{ .body = BODY_8BITMIME, .utf8 = true, .require_tls = true, .ret = RET_FULL, .envid = { "x", 1 },
			.by = 7, .by_mode = 'R', .by_trace = true, .hold = 8, .priority = 1 } },
};

static void
same(struct span a, struct span b)
{
	assert_true(span_eq(a, b));
}

static void
compare(const struct envelope *a, const struct envelope *b)
{
	assert_int_equal(a->body, b->body);
	assert_int_equal(a->utf8, b->utf8);
	assert_int_equal(a->require_tls, b->require_tls);
	assert_int_equal(a->ret, b->ret);
	assert_int_equal(a->whole, b->whole);
	assert_int_equal(a->ours, b->ours);
	assert_int_equal(a->bound, b->bound);
	same(a->envid, b->envid);
	same(a->auth, b->auth);
	assert_int_equal(a->by, b->by);
	assert_int_equal(a->by_mode, b->by_mode);
	assert_int_equal(a->by_trace, b->by_trace);
	assert_int_equal(a->hold, b->hold);
	assert_int_equal(a->priority, b->priority);
}

static void
test_envelopes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(envelopes); i++) {
		struct buf b = buf_new(1000);
		envelope_write(&b, &envelopes[i].e);
		if (!span_eq(buf_span(&b), span_of(envelopes[i].text)))
			fail_msg("%s: %.*s", envelopes[i].text, (int)b.n, b.p);
		struct envelope read = { .by = 0 };
		struct span rest = guarded(buf_span(&b));
		while (rest.n > 0)
			assert_true(envelope_read(span_cut(&rest, '\n'), &read));
		compare(&read, &envelopes[i].e);
		buf_free(&b);
	}
}

static const struct {
	const char *text;
	struct terms t;
} terms[] = {
	{ "", { 0 } },
	{ "Notify: NEVER\n", { .notify = NOTIFY_NEVER } },
	{ "Notify: SUCCESS,FAILURE,DELAY\n", { .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY } },
	{ "Orcpt: rfc822;a+40b\n", { .orcpt = { "rfc822;a+40b", 12 } } },
	{ "Notify: DELAY\nOrcpt: rfc822;x\n", { .notify = NOTIFY_DELAY, .orcpt = { "rfc822;x", 8 } } },
};

static void
test_terms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(terms); i++) {
		struct buf b = buf_new(1000);
		envelope_write_terms(&b, &terms[i].t);
		if (!span_eq(buf_span(&b), span_of(terms[i].text)))
			fail_msg("%s: %.*s", terms[i].text, (int)b.n, b.p);
		struct terms read = { 0 };
		struct span rest = guarded(buf_span(&b));
		while (rest.n > 0)
			assert_true(envelope_read_terms(span_cut(&rest, '\n'), &read));
		assert_int_equal(read.notify, terms[i].t.notify);
		same(read.orcpt, terms[i].t.orcpt);
		buf_free(&b);
	}
}

/* A line that is odd sets nothing that anybody did not ask for (K14). */
static const char *const odd[] = {
	"", "Body", "Body:", "Body: ", "Body:7BIT", "Body: 9BIT", "Bodyx 7BIT", "Body;x7BIT", "Smtputf8: no",
	"Smtputf8: YES", "Require-Tls: no", "Ret: ALL", "Whole: no", "Whole: ", "Ours: no", "Bound: no", "Envid", "Envidxx",
	"By: 7", "By: 7R", "By: R", "By: 7 X", "By: 7 RX", "By: 7 RTT", "By: 7 ", "Hold: ", "Hold: 7x",
	"Priority: 10", "Priority: -10", "Priority: x", "Priority: 1 ", "Unknown: 7",
};

static void
test_odd(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(odd); i++) {
		struct envelope e = { .by = 0 };
		struct terms t = { 0 };
		if (envelope_read(guarded(span_of(odd[i])), &e))
			fail_msg("%s", odd[i]);
		assert_false(e.utf8 || e.require_tls || e.whole);
		assert_int_equal(e.body, BODY_UNSAID);
		assert_int_equal(e.ret, RET_UNSAID);
		assert_int_equal(e.priority, 0);
		assert_false(envelope_read_terms(guarded(span_of(odd[i])), &t));
		assert_int_equal(t.notify, 0);
	}
}

static const struct {
	const char *in;
	unsigned want; /* 0: none */
} notifies[] = {
	{ "NEVER", NOTIFY_NEVER }, { "never", NOTIFY_NEVER }, { "DELAY,SUCCESS", NOTIFY_DELAY | NOTIFY_SUCCESS },
	{ "FAILURE", NOTIFY_FAILURE }, { "", 0 }, { "NEVER,DELAY", 0 }, { "DELAY,NEVER", 0 }, { "DELAY,DELAY", 0 },
	{ "DELAY,", 0 }, { ",DELAY", 0 }, { "DELAY, SUCCESS", 0 }, { "ALWAYS", 0 }, { "DELAYS", 0 },
};

static void
test_notify(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(notifies); i++) {
		unsigned got = 0;
		bool is = envelope_parse_notify(guarded(span_of(notifies[i].in)), &got);
		if (is != (notifies[i].want != 0) || got != notifies[i].want)
			fail_msg("%s: %d, %u", notifies[i].in, is, got);
	}
}

/* As it goes into a report: readable, and never a second line (E11). */
static const struct {
	const char *in, *want;
} coded[] = {
	{ "plain", "plain" },
	{ "a+20b", "a b" },
	{ "a+2Bb", "a+b" },
	{ "a+0D+0Ab", "a\\x0d\\x0ab" },
	{ "a+00b", "a\\x00b" },
	{ "a+7Fb", "a\\x7fb" },
	{ "a+C3+A9", "a\\xc3\\xa9" },
	{ "a\\x{E9}", "a\\x{E9}" },
	{ "a+2", "a+2" },
	{ "a+", "a+" },
	{ "+GG", "+GG" },
};

static void
test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(coded); i++) {
		struct buf b = buf_new(100);
		envelope_decode(&b, guarded(span_of(coded[i].in)));
		if (!span_eq(buf_span(&b), span_of(coded[i].want)))
			fail_msg("%s: %.*s", coded[i].in, (int)b.n, b.p);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelopes),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_decode),
	};
	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}

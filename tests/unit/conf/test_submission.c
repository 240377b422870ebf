/* submission: what becomes of sender, header and recipients of mail that is submitted. */
#include "tests/unit/unit.h"

#include "conf/submission.h"
#include "tests/unit/session/configured.h"

#define L64 "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
#define D60 "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd."

static struct conf conf;

static void
test_submitters(void **state)
{
	static const struct {
		const char *words;
		int want; /* -1: none */
	} rows[] = { { "", 0 }, { "no", 0 }, { "NO", 0 }, { "local", SUBMITTER_LOCAL },
		{ "Auth, nets", SUBMITTER_AUTH | SUBMITTER_NETS }, { "local local", SUBMITTER_LOCAL },
		{ "no local", -1 }, { "local no", -1 }, { "yes", -1 }, { "all", -1 } };
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned found = 77;
		bool valid = submission_submitters(guarded(span_of(rows[i].words)), &found);
		if (valid != (rows[i].want >= 0) || found != (valid ? (unsigned)rows[i].want : 77))
			fail_msg("\"%s\": %u", rows[i].words, found);
	}
}

static const struct {
	const char *conf, *given, *want;
} senders[] = {
	{ "", "a@h.example", "a@h.example" },
	{ "masquerade = h.example=example.org\n", "a@H.example", "a@example.org" },
	{ "masquerade = h.example=example.org\n", "\"a b\"@h.example", "\"a b\"@example.org" },
	{ "masquerade = h.example=example.org\n", "a@x.h.example", "a@x.h.example" },
	{ "masquerade = h.example=example.org\nmasquerade_except = root\n", "root@h.example",
		"root@h.example" },
	{ "masquerade = h.example=example.org\n", "", "" },
	{ "masquerade = h.example=example.org\n", "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "force_from = me@example.org\n", "a@h.example", "me@example.org" },
	{ "force_from = me@example.org\n", "", "" },
	{ "force_from = me@example.org\nmasquerade = example.org=other.example\n", "a@h.example",
		"me@example.org" },
	/* a path has 256 octets with its brackets */
	{ "masquerade = h=" D60 D60 D60 "abcdefgh\n", L64 "@h",
		L64 "@" D60 D60 D60 "abcdefgh" },
	{ "masquerade = h=" D60 D60 D60 "abcdefghi\n", L64 "l@h", L64 "l@h" },
};

static void
test_sender(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(senders); i++) {
		char room[SUBMISSION_SENDER];
		configure(&conf, senders[i].conf);
		struct span s = submission_sender(&conf, guarded(span_of(senders[i].given)), room);
		if (!span_eq(s, span_of(senders[i].want)))
			fail_msg("%s%s: %.*s", senders[i].conf, senders[i].given, (int)s.n, s.p);
	}
}

static void
test_plan(void **state)
{
	(void)state;
	configure(&conf, "");
	assert_true(rewrite_needed(&(struct rewrite_plan){ .add = 1 }));
	assert_int_equal(submission_plan(&conf, SUBMITTER_LOCAL).add,
		REWRITE_DATE | REWRITE_MESSAGE_ID | REWRITE_FROM);
	assert_int_equal(submission_plan(&conf, SUBMITTER_NETS).add, 0);
	assert_int_not_equal(submission_plan(&conf, SUBMITTER_NETS | SUBMITTER_AUTH).add, 0);
	configure(&conf, "add_missing = no\n");
	struct rewrite_plan p = submission_plan(&conf, ~0U);
	assert_false(rewrite_needed(&p));
	assert_string_equal(p.hostname, "mx.test.example");
	configure(&conf, "add_missing = no\nforce_from = me@example.org\nmasquerade = a=b\n"
		"masquerade_except = root\n");
	p = submission_plan(&conf, SUBMITTER_LOCAL);
	assert_int_equal(p.add, 0);
	assert_true(span_eq(p.force, span_of("me@example.org")));
	assert_string_equal(p.masquerade.rules, "a=b");
	assert_string_equal(p.masquerade.except, "root");
}

static const struct row {
	const char *guard, *map, *to;
	enum submission_verdict verdict;
	const char *want;
} recipients[] = {
	{ "no", "", "a@b.example", SUBMISSION_AS_GIVEN, "" },
	{ "no", "@b.example: @c.example, d@e.example", "a@b.example", SUBMISSION_ELSEWHERE,
		"a@c.example\nd@e.example\n" },
	{ "no", "root: a@b.example", "root@mx.test.example", SUBMISSION_ELSEWHERE, "a@b.example\n" },
	{ "no", "@h: @" D60 D60 D60 "abcdefghi", L64 "l@h", SUBMISSION_TOO_LONG, NULL },
	{ "no", "@h: @" D60 D60 D60 "abcdefgh", L64 "@h", SUBMISSION_ELSEWHERE,
		L64 "@" D60 D60 D60 "abcdefgh\n" },
	/* guard looks at what the map made of it */
	{ "allow c.example", "", "a@b.example", SUBMISSION_GUARDED, "" },
	{ "allow c.example", "", "a@c.example", SUBMISSION_AS_GIVEN, "" },
	{ "allow c.example", "@b.example: @c.example", "a@b.example", SUBMISSION_ELSEWHERE,
		"a@c.example\n" },
	{ "allow b.example", "@b.example: @c.example", "a@b.example", SUBMISSION_GUARDED, NULL },
	{ "allow c.example", "@b.example: @c.example x@y.example", "a@b.example",
		SUBMISSION_GUARDED, NULL },
	{ "allow c.example", "@b.example: x@y.example @c.example", "a@b.example",
		SUBMISSION_GUARDED, NULL },
	{ "sink /a", "@b.example: x@y.example", "a@b.example", SUBMISSION_SUNK, "" },
	{ "redirect me@c.example", "", "a@b.example", SUBMISSION_ELSEWHERE, "me@c.example\n" },
	{ "redirect me@c.example", "", "Me@c.example", SUBMISSION_AS_GIVEN, "" },
	{ "redirect me@c.example", "@b.example: x@y.example", "a@b.example", SUBMISSION_ELSEWHERE,
		"me@c.example\n" },
	{ "redirect me@c.example", "me@c.example: x@y.example", "me@c.example",
		SUBMISSION_AS_GIVEN, "" },
}, strangers[] = { /* the map is not for them, but guard is */
	{ "no", "@b.example: @c.example", "a@b.example", SUBMISSION_AS_GIVEN, "" },
	{ "allow c.example", "@b.example: @c.example", "a@b.example", SUBMISSION_GUARDED, "" },
	{ "allow c.example", "", "a@c.example", SUBMISSION_AS_GIVEN, "" },
	{ "sink /a", "", "a@b.example", SUBMISSION_SUNK, "" },
	{ "redirect me@c.example", "", "a@b.example", SUBMISSION_ELSEWHERE, "me@c.example\n" },
};

static void
test_row(const struct row *r, bool own)
{
	char text[256];
	struct address to;
	struct buf out = buf_new(SUBMISSION_RECIPIENTS);
	snprintf(text, sizeof(text), "guard = %s\n", r->guard);
	configure(&conf, text);
	conf.submission.map = buf_new(1024);
	buf_puts(&conf.submission.map, r->map);
	assert_int_equal(address_mailbox(guarded(span_of(r->to)), &to), 0);
	enum submission_verdict v = submission_recipients(&conf, own, &to, &out);
	if (v != r->verdict || (r->want != NULL && !span_eq(buf_span(&out), span_of(r->want))))
		fail_msg("%s, %s, %s: %d, %.*s", r->guard, r->map, r->to, (int)v, (int)out.n, out.p);
	buf_free(&out);
}

static void
test_recipients(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(recipients); i++)
		test_row(&recipients[i], true);
	for (size_t i = 0; i < ROWS(strangers); i++)
		test_row(&strangers[i], false);
}

static void
test_reports(void **state)
{
	(void)state;
	configure(&conf, "");
	assert_false(submission_redirects(&conf));
	assert_true(submission_may_report(&conf, span_of("a@b.example")));
	assert_true(submission_may_leave(&conf, span_of("a@b.example")));
	configure(&conf, "guard = allow c.example\n");
	assert_false(submission_may_leave(&conf, span_of("a@b.example")));
	assert_false(submission_may_leave(&conf, (struct span){ 0 }));
	assert_true(submission_may_leave(&conf, span_of("a@c.example")));
	assert_false(submission_redirects(&conf));
	assert_false(submission_may_report(&conf, span_of("a@b.example")));
	assert_true(submission_may_report(&conf, span_of("a@c.example")));
	assert_true(submission_may_report(&conf, (struct span){ 0 })); /* there is none */
	configure(&conf, "guard = redirect me@c.example\n");
	assert_true(submission_redirects(&conf));
	assert_false(submission_may_report(&conf, span_of("a@c.example")));
	assert_true(submission_may_report(&conf, span_of("me@c.example")));
	configure(&conf, "guard = sink /a\n");
	assert_false(submission_redirects(&conf));
	assert_false(submission_may_report(&conf, span_of("me@c.example")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_submitters),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_reports),
	};
	return cmocka_run_group_tests_name("submission", tests, NULL, NULL);
}

/* masquerade: which domain is exchanged for which, and who is left alone. */
#include "tests/unit/unit.h"

#include "mail/masquerade.h"

static const struct {
	const char *rules, *except, *address, *want; /* NULL: it stays */
} rows[] = {
	{ "h.example=example.org", NULL, "a@h.example", "example.org" },
	{ "h.example=example.org", NULL, "a@H.Example", "example.org" },
	{ "H.Example=example.org", NULL, "a@h.example", "example.org" },
	{ "h.example=example.org", NULL, "a@x.h.example", NULL },
	{ "h.example=example.org", NULL, "a@xh.example", NULL },
	{ "h.example=example.org", NULL, "a@example", NULL },
	{ NULL, NULL, "a@h.example", NULL },
	{ "", NULL, "a@h.example", NULL },
	/* all that are below */
	{ ".h.example=example.org", NULL, "a@x.h.example", "example.org" },
	{ ".h.example=example.org", NULL, "a@y.X.H.example", "example.org" },
	{ ".h.example=example.org", NULL, "a@h.example", NULL },
	{ ".h.example=example.org", NULL, "a@xh.example", NULL },
	/* the first that matches */
	{ "x.h.example=one.example, .h.example=two.example", NULL, "a@x.h.example", "one.example" },
	{ "x.h.example=one.example, .h.example=two.example", NULL, "a@y.h.example", "two.example" },
	{ ".h.example=two.example\tx.h.example=one.example", NULL, "a@x.h.example", "two.example" },
	/* exceptions */
	{ "h.example=example.org", "root", "root@h.example", NULL },
	{ "h.example=example.org", "root", "Root@h.example", NULL },
	{ "h.example=example.org", "root", "roo@h.example", "example.org" },
	{ "h.example=example.org", "a, root@h.example", "root@h.example", NULL },
	{ "h.example=example.org h2.example=example.org", "root@h.example", "root@h2.example",
		"example.org" },
	{ "h.example=example.org", "", "root@h.example", "example.org" },
	{ "h.example=example.org", "root", "\"root\"@h.example", NULL }, /* R16 */
	{ "h.example=example.org", "\"root\"@h.example", "root@h.example", NULL },
	{ "h.example=example.org", "root", "\"root \"@h.example", "example.org" },
	{ "h.example=example.org", "root@h.example", "\"root@h.example\"@h.example", "example.org" },
	/* a literal is none */
	{ "h.example=example.org", NULL, "a@[192.0.2.1]", NULL },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct masquerade m = { rows[i].rules, rows[i].except };
		struct address a;
		assert_int_equal(address_mailbox(guarded(span_of(rows[i].address)), &a), 0);
		struct span d = masquerade_domain(&m, &a);
		struct span want = span_of(rows[i].want != NULL ? rows[i].want : "");
		if ((d.p == NULL) != (rows[i].want == NULL) || !span_eq(d, want))
			fail_msg("%s, %s: %.*s", rows[i].rules, rows[i].address, (int)d.n, d.p);
	}
}

static void
test_valid(void **state)
{
	static const struct {
		const char *rules;
		bool valid;
	} words[] = { { "a.example=b.example", true }, { ".a.example=b.example,c=d", true },
		{ "", true }, { "a.example", false }, { "a.example=", false }, { "=b.example", false },
		{ ".=b.example", false }, { "a.example=.b.example", false },
		{ "a=b=c", false }, { "a.example = b.example", false },
		{ "a@a.example=b.example", false }, { "a\xc3\xa4.example=b.example", false },
		{ "a.example=b\xc3\xa4.example", false }, { "[192.0.2.1]=b.example", false } };
	(void)state;
	for (size_t i = 0; i < ROWS(words); i++)
		if (masquerade_valid(guarded(span_of(words[i].rules))) != words[i].valid)
			fail_msg("%s", words[i].rules);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_valid),
	};
	return cmocka_run_group_tests_name("masquerade", tests, NULL, NULL);
}

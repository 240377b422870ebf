/* match: who may relay to where, which sender a route is for, and who may send as whom (H6, S1). */
#include "tests/unit/unit.h"

#include "mail/match.h"

static const struct {
	const char *list, *domain;
	bool in;
} domains[] = {
	{ "", "a.example", false },
	{ " \t,", "a.example", false },
	{ "*", "a.example", true },
	{ "*", "", true },
	{ "b.example *", "a.example", true },
	{ "a.example", "a.example", true },
	{ "A.Example", "a.eXAMPLE", true },
	{ "a.example", "a.example.evil", false },
	{ "a.example", "evil-a.example", false },
	{ "a.example", "u.a.example", false },
	{ "a.example", "", false },
	{ "a.example", "a.exampl", false },
	{ "a.exampl", "a.example", false },
	{ "b.example,a.example", "a.example", true },
	{ "b.example\ta.example c.example", "a.example", true },
	{ ".a.example", "u.a.example", true },
	{ ".a.example", "v.u.A.example", true },
	{ ".a.example", "a.example", false },
	{ ".a.example", ".a.example", true }, /* no domain is written so */
	{ ".a.example", "ua.example", false },
	{ ".a.example", "u.a.example.evil", false },
	{ ".", "a.example", false },
	{ "**", "a.example", false },
	{ "[192.0.2.1]", "[192.0.2.1]", true },
	{ "[192.0.2.1]", "[192.0.2.11]", false },
};

static void
test_domain(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(domains); i++)
		if (match_domain(domains[i].list, guarded(span_of(domains[i].domain))) != domains[i].in)
			fail_msg("\"%s\": %s", domains[i].list, domains[i].domain);
}

static const struct {
	const char *list, *sender;
	bool in;
} lists[] = {
	{ "", "joe@a.example", false },
	{ "joe@a.example", "joe@a.example", true },
	{ "joe@a.example", "Joe@A.example", true },
	{ "joe@a.example", "xjoe@a.example", false },
	{ "joe@a.example", "joe@a.example.evil", false },
	{ "a.example", "joe@a.example", true },
	{ "a.example", "\"joe@b.example\"@a.example", true }, /* behind the last "@" */
	{ "b.example", "\"joe@b.example\"@a.example", false },
	{ ".a.example", "joe@u.a.example", true },
	{ ".a.example", "joe@a.example", false },
	{ "*", "joe@a.example", true },
	{ "*", "", false }, /* the null sender is in no list */
	{ "*", "joe", false },
	{ "joe@a.example, c.example", "any@c.example", true },
};

static void
test_sender(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lists); i++)
		if (match_sender(lists[i].list, guarded(span_of(lists[i].sender))) != lists[i].in)
			fail_msg("\"%s\": %s", lists[i].list, lists[i].sender);
}

static const struct {
	const char *senders, *address;
	bool may;
} senders[] = {
	{ "", "any@where.example", true },
	{ " \t", "any@where.example", true },
	{ "joe@a.example", "", true },
	{ "joe@a.example", "joe@a.example", true },
	{ "joe@a.example", "JOE@A.Example", true },
	{ "joe@a.example", "joe@a.example.evil", false },
	{ "joe@a.example", "xjoe@a.example", false },
	{ "x@c.example joe@a.example", "joe@a.example", true },
	{ "@b.example", "any@b.example", true },
	{ "@b.example", "any@B.EXAMPLE", true },
	{ "@b.example", "any@sub.b.example", false },
	{ "@b.example", "any@xb.example", false },
	{ "@b.example", "@b.example", false },
	{ "@b.example", "any@b.exampl", false },
	{ "  @b.example   joe@a.example ", "joe@a.example", true },
};

static void
test_user_sender(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(senders); i++)
		if (match_user_sender(guarded(span_of(senders[i].senders)), span_of(senders[i].address)) !=
			senders[i].may)
			fail_msg("\"%s\": %s", senders[i].senders, senders[i].address);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_user_sender),
	};
	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}

/*
 * dns: what a domain says, by MX records and without, and by whose fault nothing is known (G3, G8,
 * G9, G10, G11, R48).
 */
#include "tests/unit/dns/looked_up.h"

static const struct zone zone[] = {
	HOSTS
	{ "order", "MX", "@ MX 300 b.example\n@ MX 2 a.example\n@ MX 65535 c.example" },
	{ "double", "MX", "@ MX 10 b.example\n@ MX 20 alias.example\n@ MX 5 b.example" },
	{ "alias.example", "*", "@ CNAME b.example\nb.example A 192.0.2.3" },
	{ "null10", "MX", "@ MX 10 ." },
	{ "nullmore", "MX", "@ MX 0 .\n@ MX 10 b.example" },
	{ "nulltwice", "MX", "@ MX 0 .\n@ MX 0 ." },
	{ "nx", "*", "!rcode 3" },
	{ "implicit6", "AAAA", "@ AAAA 2001:db8::9" },
	{ "unsaid", "MX", "!nosoa" },
	{ "unsaid", "A", "@ A 192.0.2.9" },
	{ "halfgone", "A", "!rcode 3" },
	{ "halfgone", "AAAA", "!rcode 3" },
	{ "implicitfail", "A", "!rcode 2" },
	{ "nohost", "MX", "@ MX 10 gone.example" },
	{ "nohost", "A", "@ A 192.0.2.9" },
	{ "emptyhost", "MX", "@ MX 10 empty.example" },
	{ "onefails", "MX", "@ MX 10 fail.example\n@ MX 20 b.example" },
	{ "allfail", "MX", "@ MX 10 fail.example\n@ MX 20 gone.example" },
	{ "half6", "MX", "@ MX 10 half6.example" },
	{ "half6.example", "A", "@ A 192.0.2.1" },
	{ "half6.example", "AAAA", "!rcode 2" },
	{ "bad6", "MX", "@ MX 10 bad6.example" },
	{ "bad6.example", "A", "@ A 192.0.2.1" },
	{ "bad6.example", "AAAA", "@ AAAA # c0000201" },
	{ "badboth", "MX", "@ MX 10 badboth.example" },
	{ "badboth.example", "A", "@ A # c00002" },
	{ "longboth", "MX", "@ MX 10 longboth.example" },
	{ "longboth.example", "A", "@ A # c0000201ff" },
	{ "longboth.example", "AAAA", "@ AAAA # 20010db800000000000000000000000001" },
	{ "mxcname", "MX", "@ MX 10 alias.example" },
	{ "numbers", "MX", "@ MX 10 10.0.0.1." },
	{ "10.0.0.1", "A", "@ A 192.0.2.10" },

	{ "cnamequiet", "*", "@ CNAME quiet.example" },
	{ "quietmx", "MX", "@ MX 10 quiet.example" },
	{ "quietone", "MX", "@ MX 10 quiet.example\n@ MX 20 b.example" },
	{ "*.evil.test", "MX", "@ MX 10 b.example" },
};

static const struct row rows[] = {
	{ "two", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 5 },
	{ "TWO", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 5 },
	{ "order", ANSWER_FOUND, "2 a.example 2001:db8::1, 2 a.example 192.0.2.1, "
		"2 a.example 192.0.2.2, 300 b.example 192.0.2.3, 65535 c.example 2001:db8::c", NULL,
		0, 7 },
	{ "double", ANSWER_FOUND, "5 b.example 192.0.2.3, 20 alias.example 192.0.2.3", NULL, 0, 0 },
	{ "null", ANSWER_NULL_MX, NULL, "", 0, 1 }, /* G9 */
	{ "null10", ANSWER_NULL_MX, NULL, "", 0, 1 },
	{ "nullmore", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "nulltwice", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "nx", ANSWER_NO_NAME, NULL, "NXDOMAIN", 0, 1 }, /* G3 */
	{ "nothing", ANSWER_NO_DATA, NULL, "none", 0, 3 }, /* G10 */
	{ "implicit", ANSWER_FOUND, "0 implicit 192.0.2.9", NULL, 0, 3 },
	{ "implicit6", ANSWER_FOUND, "0 implicit6 2001:db8::9", NULL, 0, 3 },
	{ "halfgone", ANSWER_NO_NAME, NULL, "none", 0, 3 },
	{ "implicitfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 0 },
	{ "nohost", ANSWER_NO_HOST, NULL, "none", 0, 3 }, /* G10, R48: never its own address */
	{ "emptyhost", ANSWER_NO_HOST, NULL, "none", 0, 3 },
	{ "onefails", ANSWER_FOUND, "20 b.example 192.0.2.3", NULL, 0, 0 },
	{ "allfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 0 },
	{ "half6", ANSWER_FOUND, "10 half6.example 192.0.2.1", NULL, 0, 0 },
	{ "bad6", ANSWER_FOUND, "10 bad6.example 192.0.2.1", NULL, 0, 0 },
	{ "badboth", ANSWER_TEMPORARY, NULL, "garbage", 0, 0 },
	{ "longboth", ANSWER_TEMPORARY, NULL, "garbage", 0, 0 },
	{ "mxcname", ANSWER_FOUND, "10 alias.example 192.0.2.3", NULL, 0, 0 }, /* G11 */
	{ "numbers", ANSWER_FOUND, "10 10.0.0.1 192.0.2.10", NULL, 0, 3 },

	{ "cnamequiet", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 },
	{ "quietmx", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 },
	{ "quietone", ANSWER_FOUND, "20 b.example 192.0.2.3", NULL, LONG, 0 },
	{ "single", ANSWER_NO_DATA, NULL, "none", 0, 3 }, /* G8 */

	{ "[192.0.2.7]", ANSWER_FOUND, "0 [192.0.2.7] 192.0.2.7", NULL, 0, 0 },
	{ "[ipv6:2001:db8::7]", ANSWER_FOUND, "0 [ipv6:2001:db8::7] 2001:db8::7", NULL, 0, 0 },
	{ "[x]", ANSWER_NO_NAME, NULL, "literal", 0, 0 },
	{ "a..b", ANSWER_NO_NAME, NULL, "not a domain name", 0, 0 },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ANSWER_NO_NAME, NULL,
		"not a domain name", 0, 0 },
};

static void
test_rows(void **state)
{
	(void)state;
	run_all(rows, ROWS(rows));
}

/*
 * L5: an answer without records and SOA leads to the domain's own addresses, and does not say that
 * they are all: there may be MX records, which would count more.
 */
static void
test_unsaid(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		int unknown;
	} sets[] = { { "unsaid", EXCHANGER_ABOVE }, { "implicit", EXCHANGER_BEYOND } };
	for (size_t i = 0; i < ROWS(sets); i++) {
		struct exchangers x;
		enum answer a = resolver_exchangers(resolver, sets[i].domain, FAMILY_ANY,
			clock_ms() + MUCH, &x);
		assert_int_equal(a, ANSWER_FOUND);
		assert_int_equal(x.n, 1);
		assert_true(x.implicit);
		assert_int_equal(x.unknown, sets[i].unknown);
		assert_true((strstr(x.why, "MX: ") != NULL) == (i == 0));
		exchangers_free(&x);
	}
}

/* L17: who was not asked, for there was no time left, is not said to be silent. */
static void
test_not_asked(void **state)
{
	(void)state;
	struct exchangers x;
	enum answer a = resolver_addresses(resolver, "b.example", FAMILY_ANY, clock_ms() - 1, &x);
	assert_int_equal(a, ANSWER_TEMPORARY);
	assert_string_equal(x.why, "b.example addresses: not asked, no time was left");
	exchangers_free(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_unsaid),
	};
	serve(zone, ROWS(zone));
	return cmocka_run_group_tests_name("dns", tests, start, stop);
}

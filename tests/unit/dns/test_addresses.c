/*
 * addresses: of both families or one, of as many hosts as there may be (G5), and what is unknown of
 * them.
 */
#include "tests/unit/dns/looked_up.h"

static const struct zone zone[] = {
	HOSTS
	{ "halfgone", "A", "!rcode 3" },
	{ "halfgone", "AAAA", "!rcode 3" },
	{ "nohost", "MX", "@ MX 10 gone.example" },
	{ "nohost", "A", "@ A 192.0.2.9" },
	{ "onefails", "MX", "@ MX 10 fail.example\n@ MX 20 b.example" },
	{ "half6", "MX", "@ MX 10 half6.example" },
	{ "half6.example", "A", "@ A 192.0.2.1" },
	{ "half6.example", "AAAA", "!rcode 2" },
	{ "bad6", "MX", "@ MX 10 bad6.example" },
	{ "bad6.example", "A", "@ A 192.0.2.1" },
	{ "bad6.example", "AAAA", "@ AAAA # c0000201" },
	{ "chain8", "*", "!chain 8" },
	{ "nosoahost2", "MX", "@ MX 10 half.example" },
	{ "half.example", "AAAA", "!nosoa" },
	{ "half.example", "A", "@ A 192.0.2.1" },

	{ "many", "MX", "!tc\n!mx 1000" },
	{ "manygone", "MX", "!tc\n!mx 101" },
	{ "*.manygone", "*", "!rcode 3" },
	{ "m999.many", "A", "@ A 192.0.2.99" },
	{ "*.many", "A", "@ A 192.0.2.1" },
	{ "manya", "A", "!tc\n!a 500" },
	{ "heavy", "MX", "!mx 100" },
	{ "*.heavy", "*", "!tc\n!a 3000" },
	{ "wide", "MX", "!tc\n!mx 1000" },
	{ "*.wide", "A", "!each 20" },
};

static const struct row rows[] = {
	/* G5 */
	/* what was not looked up is not known to have no address */
	{ "manygone", ANSWER_TEMPORARY, NULL, "m0.manygone addresses: not looked up", 0, 201 },
};

static void
test_rows(void **state)
{
	(void)state;
	run_all(rows, ROWS(rows));
}

/* The same of a number that may be less. */
static bool
asked_at_most(int before, int most, int64_t start)
{
	return ns.counts->udp - before <= most || clock_ms() - start >= AGAIN;
}

/*
 * Answers of 48 KB about each of a hundred hosts: what is not kept is not known, and not taken for
 * "no address" (G5).
 */
static void
test_heavy(void **state)
{
	(void)state;
	struct exchangers x;
	int64_t start = clock_ms();
	assert_int_equal(resolver_exchangers(resolver, "heavy", FAMILY_IPV4, clock_deadline(60), &x),
		ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_ADDRESSES_MAX);
	assert_string_equal(x.v[0].host, "m99.heavy");
	if (x.unknown <= 1 || x.unknown > 20 || strstr(x.why, "more than is kept") == NULL)
		fail_msg("from %d on: %s", x.unknown, x.why);
	assert_true(clock_ms() - start < SLACK);
	exchangers_free(&x);
}

/* More than anybody needs: bounded, and the best first (G5). */
static void
test_many(void **state)
{
	(void)state;
	struct exchangers x;
	assert_int_equal(resolver_exchangers(resolver, "manya", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_ADDRESSES_MAX);
	exchangers_free(&x);
	int before = ns.counts->udp;
	int64_t start = clock_ms();
	assert_int_equal(resolver_exchangers(resolver, "many", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_HOSTS_MAX); /* though they have two addresses */
	assert_string_equal(x.v[0].host, "m999.many");
	assert_int_equal(x.v[x.n - 1].preference, EXCHANGER_HOSTS_MAX);
	assert_true(asked_at_most(before, 1 + 2 * EXCHANGER_HOSTS_MAX, start));
	exchangers_free(&x);
	before = ns.counts->udp;
	start = clock_ms();
	assert_int_equal(resolver_exchangers(resolver, "wide", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_ADDRESSES_MAX); /* of 20 000 */
	assert_string_equal(x.v[0].host, "m999.wide");
	assert_int_equal(x.v[x.n - 1].preference, EXCHANGER_ADDRESSES_MAX / 20);
	assert_true(asked_at_most(before, 1 + 2 * EXCHANGER_HOSTS_MAX, start));
	assert_true(clock_ms() - start < SLACK);
	exchangers_free(&x);
}

/* One family is left out of the questions, not only of what they bring. */
static void
test_families(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		enum family family;
		enum answer want;
		const char *hosts;
		int asked;
	} families[] = {
		{ "two", FAMILY_IPV4, ANSWER_FOUND, "10 a.example 192.0.2.1, 10 a.example 192.0.2.2, "
			"20 b.example 192.0.2.3", 3 },
		{ "two", FAMILY_IPV6, ANSWER_FOUND, "10 a.example 2001:db8::1", 3 },
		{ "implicit", FAMILY_IPV4, ANSWER_FOUND, "0 implicit 192.0.2.9", 2 },
		{ "implicit", FAMILY_IPV6, ANSWER_NO_DATA, "", 2 },
		{ "halfgone", FAMILY_IPV4, ANSWER_NO_NAME, "", 2 },
		{ "[192.0.2.7]", FAMILY_IPV6, ANSWER_NO_DATA, "", 0 },
		{ "[ipv6:2001:db8::7]", FAMILY_IPV4, ANSWER_NO_DATA, "", 0 },
		{ "[192.0.2.7]", FAMILY_IPV4, ANSWER_FOUND, "0 [192.0.2.7] 192.0.2.7", 0 },
	};
	for (size_t i = 0; i < ROWS(families); i++) {
		struct exchangers x;
		char hosts[1000];
		int before = ns.counts->udp;
		int64_t start = clock_ms();
		assert_int_equal(resolver_exchangers(resolver, families[i].domain, families[i].family,
			clock_deadline(60), &x), families[i].want);
		render(&x, hosts, sizeof(hosts));
		assert_string_equal(hosts, families[i].hosts);
		assert_true(asked_since(before, families[i].asked, start));
		exchangers_free(&x);
	}
}

/* Of a host that a route names: its addresses, whatever its MX records are. */
static void
test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		enum answer want;
		const char *hosts;
	} hosts[] = {
		{ "b.example", ANSWER_FOUND, "0 b.example 192.0.2.3" },
		{ "nohost", ANSWER_FOUND, "0 nohost 192.0.2.9" },
		{ "chain8", ANSWER_FOUND, "0 chain8 192.0.2.1" },
		{ "null", ANSWER_NO_DATA, "" },
		{ "gone.example", ANSWER_NO_NAME, "" },
		{ "fail.example", ANSWER_TEMPORARY, "" },
		{ "a..b", ANSWER_NO_NAME, "" },
	};
	for (size_t i = 0; i < ROWS(hosts); i++) {
		struct exchangers x;
		char found[1000];
		assert_int_equal(resolver_addresses(resolver, hosts[i].host, FAMILY_ANY, clock_deadline(60),
			&x), hosts[i].want);
		render(&x, found, sizeof(found));
		assert_string_equal(found, hosts[i].hosts);
		exchangers_free(&x);
	}
}

/* `unknown` is the best of the hosts whose addresses could not be had for now (L3). */
static void
test_unknown(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		int unknown;
		bool implicit;
		const char *why;
	} domains[] = {
		{ "two", EXCHANGER_WORST + 1, false, "" },
		{ "onefails", 10, false, "fail.example addresses: SERVFAIL" },
		{ "half6", 10, false, "half6.example addresses: SERVFAIL" },
		{ "bad6", 10, false, "bad6.example addresses: garbage" },
		{ "nosoahost2", EXCHANGER_WORST + 1, false, "" },
		{ "implicit", EXCHANGER_WORST + 1, true, "" },
		{ "[192.0.2.7]", EXCHANGER_WORST + 1, false, "" },
	};
	for (size_t i = 0; i < ROWS(domains); i++) {
		struct exchangers x;
		assert_int_equal(resolver_exchangers(resolver, domains[i].domain, FAMILY_ANY,
			clock_deadline(60), &x), ANSWER_FOUND);
		assert_int_equal(x.unknown, domains[i].unknown);
		assert_int_equal(x.implicit, domains[i].implicit);
		assert_non_null(strstr(x.why, domains[i].why));
		exchangers_free(&x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_heavy),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_unknown),
	};
	serve(zone, ROWS(zone));
	return cmocka_run_group_tests_name("addresses", tests, start, stop);
}

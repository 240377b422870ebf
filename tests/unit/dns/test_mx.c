/* mx: which names are those of hosts (G12), and in which order they are asked (R49). */
#include "tests/unit/dns/looked_up.h"

static const struct zone zone[] = {
	HOSTS
	{ "equal", "MX", "@ MX 10 a.example\n@ MX 10 b.example" },
	{ "ours", "MX", "@ MX 40 Us.Example\n@ MX 30 b.example\n@ MX 20 us.example\n@ MX 10 a.example" },
	{ "nullmore", "MX", "@ MX 0 .\n@ MX 10 b.example" },

	{ "nul", "MX", "@ MX # 000a03610062076578616d706c6500" },
	{ "blank", "MX", "@ MX # 000a03612062076578616d706c6500" },
	{ "shell", "MX", "@ MX # 000a0524286964290161 00" },
	{ "eight", "MX", "@ MX # 000a02c3a9076578616d706c6500" },
	{ "slash", "MX", "@ MX # 000a035c2f2e0161 00" },
	{ "dot", "MX", "@ MX # 000a03612e62076578616d706c6500" },
	{ "someodd", "MX", "@ MX # 000503610062076578616d706c6500\n@ MX 10 b.example" },
	{ "under", "MX", "@ MX 10 _mx.under" },
	{ "_mx.under", "A", "@ A 192.0.2.8" },
};

static const struct row rows[] = {
	{ "nul", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 }, /* G12 */
	{ "blank", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "shell", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "eight", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "slash", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "dot", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "someodd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "under", ANSWER_FOUND, "10 _mx.under 192.0.2.8", NULL, 0, 3 },
};

static void
test_rows(void **state)
{
	(void)state;
	run_all(rows, ROWS(rows));
}

/* Hosts of equal preference in any order, the addresses of one host together (RFC 5321 5.1). */
static void
test_shuffle(void **state)
{
	(void)state;
	bool seen[2] = { false, false };
	for (int i = 0; i < 200 && !(seen[0] && seen[1]); i++) {
		struct exchangers x;
		assert_int_equal(resolver_exchangers(resolver, "equal", FAMILY_ANY, clock_deadline(60), &x),
			ANSWER_FOUND);
		assert_int_equal(x.n, 4);
		bool first = strcmp(x.v[0].host, "a.example") == 0;
		assert_string_equal(x.v[first ? 3 : 0].host, "b.example");
		seen[first] = true;
		exchangers_free(&x);
	}
	assert_true(seen[0] && seen[1]);
}

/* Where our own name stands is told, though it has no address (R51). */
static void
test_own_name(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		int own;
	} domains[] = { { "ours", 20 }, { "two", EXCHANGER_WORST + 1 }, { "nullmore", EXCHANGER_WORST + 1 },
		{ "implicit", EXCHANGER_WORST + 1 }, { "[192.0.2.7]", EXCHANGER_WORST + 1 } };
	for (size_t i = 0; i < ROWS(domains); i++) {
		struct exchangers x;
		assert_int_equal(resolver_exchangers(resolver, domains[i].domain, FAMILY_ANY,
			clock_deadline(60), &x), ANSWER_FOUND);
		assert_int_equal(x.own, domains[i].own);
		exchangers_free(&x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_own_name),
	};
	serve(zone, ROWS(zone));
	return cmocka_run_group_tests_name("mx", tests, start, stop);
}

/* policy: which TLS a host must have, for which name, and why (M3, S1, S15, R84). */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "delivery/policy.h"

/* By the settings: what they ask for, and the name that somebody vouches for. */
static void
test_setting(void **state)
{
	(void)state;
	static const struct {
		const char *lane, *host, *domain;
		bool named;
		enum conf_delivery_tls tls;

		const char *target, *words;
	} rows[] = {
		{ "d.example", "mx.e.example", "", false, DELIVERY_TLS_MAY, "d.example",
			"delivery_tls = may" },
		{ "d.example", "mx.e.example", "", false, DELIVERY_TLS_NONE, "d.example",
			"delivery_tls = none" },
		{ "d.example", "mx.e.example", "", false, DELIVERY_TLS_ENCRYPT, "d.example",
			"delivery_tls = encrypt" },
		{ "[192.0.2.1]", "[192.0.2.1]", "", false, DELIVERY_TLS_VERIFY, "192.0.2.1",
			"delivery_tls = verify" },
		/* a name that only the DNS told is nobody that mail is for */
		{ "route:r", "mx.e.example", "e.example", false, DELIVERY_TLS_VERIFY, "",
			"delivery_tls = verify" },
		{ "route:r", "mail.example", "", true, DELIVERY_TLS_VERIFY, "mail.example",
			"delivery_tls = verify" },
		{ "route:r", "[192.0.2.1]", "", true, DELIVERY_TLS_VERIFY, "192.0.2.1",
			"delivery_tls = verify" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_delivery delivery = { .tls = rows[i].tls };
		struct exchanger to = { .named = rows[i].named };
		struct policy p;
		snprintf(to.host, sizeof(to.host), "%s", rows[i].host);
		snprintf(to.domain, sizeof(to.domain), "%s", rows[i].domain);
		assert_int_equal(netaddr_parse(span_of("192.0.2.1"), &to.addr), 0);
		policy_decide(&p, &(struct policy_facts){ .delivery = &delivery, .lane = rows[i].lane,
			.to = &to });
		assert_int_equal(p.source, POLICY_SETTING);
		assert_int_equal(p.tls, rows[i].tls);
		assert_false(p.clear);
		assert_string_equal(p.target, rows[i].target);
		assert_string_equal(p.domain, rows[i].domain);
		assert_string_equal(p.words, rows[i].words);
	}
}

/* A host whose TLS does not work: only who asked for no TLS does without. */
static void
test_without(void **state)
{
	(void)state;
	static const struct {
		enum conf_delivery_tls tls;
		bool does;
	} rows[] = {
		{ DELIVERY_TLS_NONE, false },
		{ DELIVERY_TLS_MAY, true },
		{ DELIVERY_TLS_ENCRYPT, false },
		{ DELIVERY_TLS_VERIFY, false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct policy p = { .tls = rows[i].tls };
		assert_int_equal(policy_do_without(&p), rows[i].does);
		assert_int_equal(p.clear, rows[i].does);
		assert_int_equal(p.tls, rows[i].does ? DELIVERY_TLS_NONE : rows[i].tls);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setting),
		cmocka_unit_test(test_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

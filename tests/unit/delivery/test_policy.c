/* policy: which TLS a host must have, for which name, and why (M3, S1, S15, R79, R80, R84). */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "delivery/policy.h"
#include "dns/tlsa.h"
#include "lib/cleanup.h"

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

enum records { NONE, USABLE, UNUSABLE };

/* What the DNS says of the host's certificates; never freed, for nobody holds it. */
static struct tlsa *
records_of(enum records which)
{
	static struct tlsa usable, unusable;
	struct tlsa *t = which == USABLE ? &usable : &unusable;
	*t = (struct tlsa){ .holders = 1, .base = "mx.d.example", .n = 1 };
	t->v[0] = (struct tlsa_record){ .usage = which == USABLE ? 3 : 1, .selector = 1,
		.matching = 1, .n = 32 };
	return which != NONE ? t : NULL;
}

#define SAID_OF(numbers) "DANE: " numbers " of mx.d.example, DNSSEC secure"
#define NOT_USABLE SAID_OF("1 1 1") ": no record that can be used, so any certificate"

/* R80: DANE above `may` and `encrypt`, in addition to `verify`, and not where no TLS is wanted. */
static void
test_dane(void **state)
{
	(void)state;
	static const struct {
		enum conf_delivery_tls tls;
		enum conf_dane dane;
		enum records records;

		enum policy_source source;
		enum conf_delivery_tls asked;
		bool match, barred;
		const char *words;
	} rows[] = {
		{ DELIVERY_TLS_MAY, CONF_DANE_AUTO, NONE, POLICY_SETTING, DELIVERY_TLS_MAY, false, false,
			"delivery_tls = may" },
		{ DELIVERY_TLS_MAY, CONF_DANE_AUTO, USABLE, POLICY_DANE, DELIVERY_TLS_ENCRYPT, true,
			false, SAID_OF("3 1 1") },
		{ DELIVERY_TLS_ENCRYPT, CONF_DANE_AUTO, USABLE, POLICY_DANE, DELIVERY_TLS_ENCRYPT, true,
			false, SAID_OF("3 1 1") },
		{ DELIVERY_TLS_VERIFY, CONF_DANE_AUTO, USABLE, POLICY_DANE, DELIVERY_TLS_VERIFY, true,
			false, SAID_OF("3 1 1") "; and delivery_tls = verify" },
		{ DELIVERY_TLS_NONE, CONF_DANE_AUTO, USABLE, POLICY_SETTING, DELIVERY_TLS_NONE, false,
			false, "delivery_tls = none" },
		{ DELIVERY_TLS_MAY, CONF_DANE_OFF, USABLE, POLICY_SETTING, DELIVERY_TLS_MAY, false,
			false, "delivery_tls = may" },
		{ DELIVERY_TLS_MAY, CONF_DANE_AUTO, UNUSABLE, POLICY_DANE, DELIVERY_TLS_ENCRYPT, false,
			false, NOT_USABLE },
		{ DELIVERY_TLS_VERIFY, CONF_DANE_AUTO, UNUSABLE, POLICY_DANE, DELIVERY_TLS_VERIFY,
			false, false, NOT_USABLE "; and delivery_tls = verify" },
		{ DELIVERY_TLS_MAY, CONF_DANE_ONLY, USABLE, POLICY_DANE, DELIVERY_TLS_ENCRYPT, true,
			false, SAID_OF("3 1 1") },
		{ DELIVERY_TLS_MAY, CONF_DANE_ONLY, UNUSABLE, POLICY_DANE, DELIVERY_TLS_ENCRYPT, false,
			true, "dane = only, and mx.d.example has no TLSA record that counts" },
		{ DELIVERY_TLS_NONE, CONF_DANE_ONLY, USABLE, POLICY_SETTING, DELIVERY_TLS_NONE, false,
			true, "delivery_tls = none" }, /* which no configuration says */
		{ DELIVERY_TLS_MAY, CONF_DANE_ONLY, NONE, POLICY_SETTING, DELIVERY_TLS_MAY, false, true,
			"dane = only, and mx.d.example has no TLSA record that counts" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_delivery delivery = { .tls = rows[i].tls, .dane = rows[i].dane };
		struct exchanger to = { .host = "mx.d.example", .tlsa = records_of(rows[i].records) };
		struct policy p;
		policy_decide(&p, &(struct policy_facts){ .delivery = &delivery,
			.lane = "d.example", .to = &to });
		assert_int_equal(p.source, rows[i].source);
		assert_int_equal(p.tls, rows[i].asked);
		assert_ptr_equal(p.tlsa, rows[i].match ? to.tlsa : NULL);
		assert_int_equal(p.barred, rows[i].barred);
		assert_string_equal(p.words, rows[i].words);
		assert_string_equal(p.target, "d.example");
		if (p.source == POLICY_DANE) /* it never goes in clear */
			assert_false(policy_do_without(&p));
	}
}

/* S15, R84: the name of a host counts if DNSSEC says that mail is for it. */
static void
test_vouched(void **state)
{
	(void)state;
	const struct conf_delivery delivery = { .tls = DELIVERY_TLS_VERIFY };
	for (int vouched = 0; vouched < 2; vouched++) {
		struct exchanger to = { .host = "mx.e.example", .vouched = vouched };
		struct policy p;
		policy_decide(&p, &(struct policy_facts){ .delivery = &delivery,
			.lane = "d.example", .to = &to });
		assert_string_equal(p.target, "d.example");
		assert_string_equal(p.vouched, vouched ? "mx.e.example" : "");
	}
}

/* Hosts that get no mail are left out; of all of them the best one says why. */
static void
test_sift(void **state)
{
	(void)state;
	enum { HOSTS = 3, TEXT = 200 };
	static const char *const left[] = { "", "0", "1", "01", "2", "02", "12", "012" };
	const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY, .dane = CONF_DANE_ONLY };
	const struct policy_facts facts = { .delivery = &delivery, .lane = "d.example" };
	for (unsigned good = 0; good < ROWS(left); good++) {
		struct exchanger v[HOSTS] = { 0 };
		struct exchangers x = { .v = v, .n = HOSTS };
		auto_buf why = buf_new(TEXT);
		char names[HOSTS + 1] = "";
		for (unsigned i = 0; i < HOSTS; i++) {
			snprintf(v[i].host, sizeof(v[i].host), "%u", i);
			v[i].addr.ip[0] = (uint8_t)i;
			v[i].tlsa = records_of((good & 1U << i) != 0 ? USABLE : NONE);
		}
		assert_int_equal(policy_sift(&x, &facts, &why), good != 0);
		for (size_t i = 0; i < x.n; i++)
			names[i] = v[i].host[0];
		assert_string_equal(names, left[good]);
		if (good == 0) {
			static const char said[] =
				"dane = only, and 0 has no TLSA record that counts";
			assert_int_equal(why.n, sizeof(said) - 1);
			assert_memory_equal(why.p, said, why.n);
		}
	}
	struct exchangers nobody = { 0 };
	auto_buf why = buf_new(TEXT);
	assert_true(policy_sift(&nobody, &facts, &why));
}

static const struct {
	const char *text; /* of the policy; NULL: none */
	const char *target, *words;
	enum conf_delivery_tls tls; /* what is asked for, where delivery_tls asks for `may` */
} sts[] = {
#define BEGIN "version: STSv1\nmax_age: 1\nmx: *.d.example\n"
	{ NULL, "d.example", "delivery_tls = may", DELIVERY_TLS_MAY },
	{ BEGIN "mode: none", "d.example", "delivery_tls = may", DELIVERY_TLS_MAY },
	{ BEGIN "mode: testing", "d.example", "delivery_tls = may", DELIVERY_TLS_MAY },
	{ BEGIN "mode: enforce", "mx.d.example", "MTA-STS: enforce, id 7: mx.d.example",
		DELIVERY_TLS_VERIFY },
#undef BEGIN
};

/* A policy of MTA-STS asks for a certificate for the host whose name it vouches for (R82). */
static void
test_sts(void **state)
{
	(void)state;
	const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY };
	struct exchanger to = { .host = "mx.d.example" };
	for (size_t i = 0; i < ROWS(sts); i++) {
		struct sts_policy s;
		struct policy p;
		if (sts[i].text != NULL)
			assert_null(sts_policy(span_of(sts[i].text), &s));
		const struct policy_facts facts = { .delivery = &delivery, .lane = "d.example",
			.to = &to, .sts = sts[i].text != NULL ? &s : NULL, .sts_id = "7" };
		policy_decide(&p, &facts);
		assert_int_equal(p.tls, sts[i].tls);
		assert_int_equal(p.source,
			p.tls == DELIVERY_TLS_VERIFY ? POLICY_STS : POLICY_SETTING);
		assert_string_equal(p.target, sts[i].target);
		assert_string_equal(p.words, sts[i].words);
		assert_int_equal(policy_do_without(&p), sts[i].tls == DELIVERY_TLS_MAY);
	}
}

/* Under one of mode enforce no other host gets mail (R82, B10). */
static void
test_sts_bars(void **state)
{
	(void)state;
	enum { TEXT = 200 };
	static const char said[] = "MTA-STS: enforce, id 7, does not name mx.e.example";
	const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY };
	for (size_t i = 0; i < ROWS(sts); i++) {
		struct sts_policy s;
		struct exchanger v[] = { { .host = "mx.d.example", .preference = 1 },
			{ .host = "a.mx.d.example" }, { .host = "d.example" },
			{ .host = "mx.e.example" }, { .host = "mx2.d.example" } };
		struct exchangers x = { .v = v, .n = 5 }, other = { .v = v + 3, .n = 1 };
		for (uint8_t k = 0; k < ROWS(v); k++)
			v[k].addr.ip[0] = k;
		bool enforce = sts[i].tls == DELIVERY_TLS_VERIFY;
		auto_buf why = buf_new(TEXT);
		if (sts[i].text != NULL)
			assert_null(sts_policy(span_of(sts[i].text), &s));
		const struct policy_facts facts = { .delivery = &delivery, .lane = "d.example",
			.sts = sts[i].text != NULL ? &s : NULL, .sts_id = "7" };
		assert_int_equal(policy_sift(&other, &facts, &why), !enforce);
		assert_int_equal(other.n, enforce ? 0 : 1);
		assert_true(!enforce || span_eq(buf_span(&why), span_of(said)));
		assert_true(policy_sift(&x, &facts, &why));
		assert_int_equal(x.n, enforce ? 2 : 5);
		assert_string_equal(x.v[0].host, "mx.d.example");
		assert_string_equal(x.v[1].host, enforce ? "mx2.d.example" : "a.mx.d.example");
	}
}

/*
 * Of several names of one address those are left that may make a difference: a policy names the one
 * and not the other, or a certificate is good for one of them (R80, R82).
 */
static void
test_sift_names(void **state)
{
	(void)state;
	enum { TEXT = 200 };
	static const struct {
		int sts; /* row of those above */
		struct {
			const char *host;
			uint8_t address;
			uint16_t port;
			enum records records;
			bool named;
		} v[3];
		const char *left;
	} rows[] = {
		{ 0, { { "a.d.example", 1, 25, NONE, false }, { "b.d.example", 1, 25, NONE, false },
			{ "c.d.example", 1, 25, NONE, false } }, "a" },
		{ 0, { { "a.d.example", 1, 25, NONE, false }, { "b.d.example", 2, 25, NONE, false },
			{ "c.d.example", 1, 25, NONE, false } }, "ab" },
		{ 0, { { "a.d.example", 1, 25, NONE, false }, { "b.d.example", 1, 26, NONE, false },
			{ "c.d.example", 2, 25, NONE, false } }, "abc" },
		{ 0, { { "a.d.example", 1, 25, NONE, true }, { "b.d.example", 1, 25, NONE, true },
			{ "c.d.example", 1, 25, NONE, false } }, "abc" },
		{ 0, { { "a.d.example", 1, 25, NONE, false }, { "b.d.example", 1, 25, NONE, true },
			{ "c.d.example", 1, 25, NONE, false } }, "ab" },
		{ 2, { { "a.e.example", 1, 25, NONE, false }, { "b.d.example", 1, 25, NONE, false },
			{ "c.d.example", 2, 25, NONE, false } }, "ac" },
		{ 3, { { "a.e.example", 1, 25, NONE, false }, { "b.d.example", 1, 25, NONE, false },
			{ "c.d.example", 1, 25, NONE, false } }, "bc" },
		{ 0, { { "a.d.example", 1, 25, USABLE, false }, { "b.d.example", 1, 25, NONE, false },
			{ "c.d.example", 1, 25, NONE, false } }, "ab" },
		{ 0, { { "a.d.example", 1, 25, NONE, false }, { "b.d.example", 1, 25, USABLE, false },
			{ "c.d.example", 1, 25, UNUSABLE, false } }, "abc" },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY,
			.dane = CONF_DANE_AUTO };
		struct sts_policy s;
		struct exchanger v[3];
		struct exchangers x = { .v = v, .n = 3 };
		char left[4] = "";
		auto_buf why = buf_new(TEXT);
		if (sts[rows[i].sts].text != NULL)
			assert_null(sts_policy(span_of(sts[rows[i].sts].text), &s));
		for (int k = 0; k < 3; k++) {
			v[k] = (struct exchanger){ .addr.ip[0] = rows[i].v[k].address,
				.port = rows[i].v[k].port, .named = rows[i].v[k].named,
				.tlsa = records_of(rows[i].v[k].records) };
			snprintf(v[k].host, sizeof(v[k].host), "%s", rows[i].v[k].host);
		}
		assert_true(policy_sift(&x, &(struct policy_facts){ .delivery = &delivery,
			.lane = "d.example", .sts = sts[rows[i].sts].text != NULL ? &s : NULL,
			.sts_id = "7" }, &why));
		for (size_t k = 0; k < x.n; k++)
			left[k] = x.v[k].host[0];
		assert_string_equal(left, rows[i].left);
	}
}

/*
 * Where nothing depends on the name, one connection is enough for all names of an address; but mail
 * that is to be sure of its host may be so by each of them, if DNSSEC says that it has them (R84).
 */
static void
test_sift_vouched(void **state)
{
	(void)state;
	enum { MOST = 7, TEXT = 200, LONG = EXCHANGER_ALSO - 2 }; /* too long beside another */
	static char longest[LONG + 1];
	static const struct {
		const char *hosts[MOST]; /* "-": nobody vouches for it; "!": of another address */
		size_t left;
		const char *vouched;     /* of the first */
	} rows[] = {
		{ { "a" }, 1, "a" },
		{ { "a", "b" }, 1, "a b" },
		{ { "a", "b", "c", "d" }, 1, "a b c d" },
		{ { "a", "b", "c", "d", "e", "f" }, 1, "a b c d" }, /* POLICY_NAMES */
		{ { "-a" }, 1, "" },
		{ { "-a", "b" }, 1, "" },
		{ { "a", "-b", "c" }, 1, "a c" },
		{ { "a", "!b", "c" }, 2, "a c" },
		{ { "a", "b", longest, "c" }, 1, "a b c" },
	};
	memset(longest, 'x', LONG);
	longest[LONG / 2] = '.';
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY };
		struct exchanger v[MOST];
		struct exchangers x = { .v = v, .n = 0 };
		struct policy p;
		auto_buf why = buf_new(TEXT);
		for (; x.n < MOST && rows[i].hosts[x.n] != NULL; x.n++) {
			const char *host = rows[i].hosts[x.n];
			v[x.n] = (struct exchanger){ .addr.ip[0] = host[0] == '!',
				.vouched = host[0] != '-' };
			snprintf(v[x.n].host, sizeof(v[x.n].host), "%s",
				host + strspn(host, "!-"));
		}
		struct policy_facts facts = { .delivery = &delivery, .lane = "d.example" };
		assert_true(policy_sift(&x, &facts, &why));
		assert_int_equal(x.n, rows[i].left);
		facts.to = &v[0];
		policy_decide(&p, &facts);
		assert_string_equal(p.vouched, rows[i].vouched);
	}
	struct exchanger most = { .vouched = true };
	memset(most.host, 'a', sizeof(most.host) - 1);
	memset(most.also, 'b', sizeof(most.also) - 1);
	struct policy p;
	const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY };
	policy_decide(&p, &(struct policy_facts){ .delivery = &delivery, .lane = "d.example",
		.to = &most });
	assert_int_equal(strlen(p.vouched), sizeof(p.vouched) - 1);
}

/*
 * A stranger's domain has a hundred names for an address of somebody else: that is connected to by a
 * few of them, and so is each address of its own. An operator's names are all meant (R80, R82).
 */
static void
test_sift_many_names(void **state)
{
	(void)state;
	enum { NAMES = 100, TEXT = 200 };
	static const struct {
		int sts; /* row of those above */
		enum records records;
		bool named;
		uint8_t addresses;
		size_t left;
	} rows[] = {
		{ 0, NONE, false, 1, 1 },
		{ 0, NONE, false, 10, 10 },
		{ 3, NONE, false, 1, POLICY_NAMES },
		{ 3, NONE, false, 2, 2 * POLICY_NAMES },
		{ 3, NONE, false, NAMES, NAMES },
		{ 0, USABLE, false, 1, POLICY_NAMES },
		{ 3, NONE, true, 1, NAMES },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY,
			.dane = CONF_DANE_AUTO };
		static struct exchanger v[NAMES];
		struct sts_policy s;
		struct exchangers x = { .v = v, .n = NAMES };
		auto_buf why = buf_new(TEXT);
		if (sts[rows[i].sts].text != NULL)
			assert_null(sts_policy(span_of(sts[rows[i].sts].text), &s));
		for (int k = 0; k < NAMES; k++) {
			v[k] = (struct exchanger){ .addr.ip[0] = (uint8_t)(k % rows[i].addresses),
				.named = rows[i].named, .tlsa = records_of(rows[i].records) };
			snprintf(v[k].host, sizeof(v[k].host), "mx%d.d.example", k);
		}
		assert_true(policy_sift(&x, &(struct policy_facts){ .delivery = &delivery,
			.lane = "d.example", .sts = sts[rows[i].sts].text != NULL ? &s : NULL,
			.sts_id = "7" }, &why));
		assert_int_equal(x.n, rows[i].left);
		assert_string_equal(x.v[0].host, "mx0.d.example");
	}
}

/* R83: where the host's TLSA records can be compared with, they decide; else both are asked for. */
static void
test_sts_and_dane(void **state)
{
	(void)state;
	struct sts_policy s;
	assert_null(sts_policy(span_of(sts[3].text), &s));
	for (enum records which = NONE; which <= UNUSABLE; which++)
		for (int named = 0; named < 2; named++) {
			const struct conf_delivery delivery = { .tls = DELIVERY_TLS_MAY,
				.dane = CONF_DANE_AUTO };
			struct exchanger to = { .host = "mx.e.example",
				.tlsa = records_of(which) };
			const struct policy_facts facts = { .delivery = &delivery,
				.lane = "d.example", .to = &to, .sts = &s, .sts_id = "7" };
			struct policy p;
			if (named)
				snprintf(to.host, sizeof(to.host), "mx.d.example");
			policy_decide(&p, &facts);
			assert_int_equal(p.source, which == USABLE ? POLICY_DANE : POLICY_STS);
			assert_ptr_equal(p.tlsa, which == USABLE ? to.tlsa : NULL);
			assert_int_equal(p.tls, which == USABLE ? DELIVERY_TLS_ENCRYPT
								: DELIVERY_TLS_VERIFY);
			assert_int_equal(p.barred, which != USABLE && !named);
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
		cmocka_unit_test(test_dane),
		cmocka_unit_test(test_vouched),
		cmocka_unit_test(test_sift),
		cmocka_unit_test(test_sts),
		cmocka_unit_test(test_sts_bars),
		cmocka_unit_test(test_sift_names),
		cmocka_unit_test(test_sift_vouched),
		cmocka_unit_test(test_sift_many_names),
		cmocka_unit_test(test_sts_and_dane),
		cmocka_unit_test(test_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

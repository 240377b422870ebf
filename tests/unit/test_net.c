/* net: what an address is for (H1, H2, D11), and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net.h"

static const struct {
	const char *text;
	enum netclass class;
} classes[] = {
	{ "192.0.2.1", NET_PUBLIC },
	{ "2001:db8::1", NET_PUBLIC },
	{ "127.0.0.1", NET_LOOPBACK },
	{ "127.255.255.255", NET_LOOPBACK },
	{ "::1", NET_LOOPBACK },
	{ "::ffff:127.0.0.1", NET_LOOPBACK },
	{ "::127.0.0.1", NET_LOOPBACK },
	{ "64:ff9b::7f00:1", NET_LOOPBACK },
	{ "2002:7f00:1::", NET_LOOPBACK },
	{ "10.0.0.1", NET_PRIVATE },
	{ "172.16.0.1", NET_PRIVATE },
	{ "172.32.0.1", NET_PUBLIC },
	{ "192.168.255.1", NET_PRIVATE },
	{ "100.64.0.1", NET_PRIVATE },
	{ "fc00::1", NET_PRIVATE },
	{ "fdff::1", NET_PRIVATE },
	{ "169.254.169.254", NET_LINK_LOCAL },
	{ "fe80::1", NET_LINK_LOCAL },
	{ "0.0.0.0", NET_UNSPECIFIED },
	{ "::", NET_UNSPECIFIED },
	{ "224.0.0.1", NET_MULTICAST },
	{ "255.255.255.255", NET_MULTICAST },
	{ "ff02::1", NET_MULTICAST },
};

static void
test_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		struct netaddr a;
		assert_int_equal(netaddr_parse(span_of(classes[i].text), &a), 0);
		if (netaddr_class(&a) != classes[i].class)
			fail_msg("%s is %s", classes[i].text, netclass_name(netaddr_class(&a)));
	}
}

static void
test_blocks(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10/8", "x",
		"10.0.0.0/", "10.0.0.0/-1", "::1/64", "1.2.3.4.5", "fe80::1%lo" };
	struct netblock b;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(netblock_parse(span_of(bad[i]), &b) < 0);
	struct netlist l = { 0 };
	struct netaddr a;
	assert_int_equal(netlist_parse(span_of("10.0.0.0/9, 2001:db8::/33\t192.0.2.1"), &l), 0);
	assert_int_equal(l.n, 3);
	static const struct {
		const char *text;
		bool in;
	} rows[] = { { "10.127.255.255", true }, { "10.128.0.0", false },
		{ "2001:db8:7fff::1", true }, { "2001:db8:8000::1", false }, { "192.0.2.1", true },
		{ "192.0.2.2", false }, { "::ffff:10.1.1.1", true } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(netaddr_parse(span_of(rows[i].text), &a), 0);
		assert_int_equal(netlist_contains(&l, &a), rows[i].in);
	}
	assert_true(netlist_parse(span_of("10.0.0.0/8 x"), &l) < 0);
	assert_int_equal(l.n, 3); /* untouched */
	netlist_free(&l);
}

static void
test_text(void **state)
{
	(void)state;
	struct netaddr a;
	char literal[NETADDR_LITERAL];
	assert_int_equal(netaddr_parse(span_of("2001:DB8::1"), &a), 0);
	netaddr_literal(&a, literal);
	assert_string_equal(literal, "[IPv6:2001:db8::1]");
	assert_int_equal(netaddr_parse(span_of("::ffff:192.0.2.1"), &a), 0);
	netaddr_literal(&a, literal);
	assert_string_equal(literal, "[192.0.2.1]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}

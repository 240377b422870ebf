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
} classes[] = { /* the ends of each range, and what lies beside it */
	{ "192.0.2.1", NET_PUBLIC },
	{ "2001:db8::1", NET_PUBLIC },
	{ "0.0.0.0", NET_UNSPECIFIED },
	{ "0.255.255.255", NET_UNSPECIFIED },
	{ "1.0.0.0", NET_PUBLIC },
	{ "9.255.255.255", NET_PUBLIC },
	{ "10.0.0.0", NET_PRIVATE },
	{ "10.255.255.255", NET_PRIVATE },
	{ "11.0.0.0", NET_PUBLIC },
	{ "100.63.255.255", NET_PUBLIC },
	{ "100.64.0.0", NET_PRIVATE },
	{ "100.127.255.255", NET_PRIVATE },
	{ "100.128.0.0", NET_PUBLIC },
	{ "126.255.255.255", NET_PUBLIC },
	{ "127.0.0.1", NET_LOOPBACK },
	{ "127.255.255.255", NET_LOOPBACK },
	{ "128.0.0.0", NET_PUBLIC },
	{ "169.253.255.255", NET_PUBLIC },
	{ "169.254.0.0", NET_LINK_LOCAL },
	{ "169.254.169.254", NET_LINK_LOCAL },
	{ "169.254.255.255", NET_LINK_LOCAL },
	{ "169.255.0.0", NET_PUBLIC },
	{ "172.15.255.255", NET_PUBLIC },
	{ "172.16.0.0", NET_PRIVATE },
	{ "172.31.255.255", NET_PRIVATE },
	{ "172.32.0.0", NET_PUBLIC },
	{ "191.255.255.255", NET_PUBLIC },
	{ "192.0.0.0", NET_PRIVATE },
	{ "192.0.0.255", NET_PRIVATE },
	{ "192.0.1.0", NET_PUBLIC },
	{ "192.0.2.1", NET_PUBLIC },
	{ "192.167.255.255", NET_PUBLIC },
	{ "192.168.0.0", NET_PRIVATE },
	{ "192.168.255.255", NET_PRIVATE },
	{ "192.169.0.0", NET_PUBLIC },
	{ "198.17.255.255", NET_PUBLIC },
	{ "198.18.0.0", NET_PRIVATE },
	{ "198.19.255.255", NET_PRIVATE },
	{ "198.20.0.0", NET_PUBLIC },
	{ "198.51.100.1", NET_PUBLIC },
	{ "203.0.113.1", NET_PUBLIC },
	{ "223.255.255.255", NET_PUBLIC },
	{ "224.0.0.0", NET_MULTICAST },
	{ "239.255.255.255", NET_MULTICAST },
	{ "240.0.0.0", NET_MULTICAST },
	{ "255.255.255.255", NET_MULTICAST },
	{ "::", NET_UNSPECIFIED },
	{ "::1", NET_LOOPBACK },
	{ "::2", NET_UNSPECIFIED }, /* 0.0.0.2 */
	{ "::ff:ffff", NET_UNSPECIFIED },
	{ "::1:0:0:0", NET_PUBLIC },
	{ "ff::1", NET_PUBLIC },
	{ "100::", NET_PRIVATE },
	{ "100::ffff:ffff:ffff:ffff", NET_PRIVATE },
	{ "100:0:0:1::", NET_PUBLIC },
	{ "2001:db8::1", NET_PUBLIC },
	{ "5eff::1", NET_PUBLIC },
	{ "5f00::1", NET_PRIVATE },
	{ "5f00:ffff::1", NET_PRIVATE },
	{ "5f01::1", NET_PUBLIC },
	{ "fbff::1", NET_PUBLIC },
	{ "fc00::", NET_PRIVATE },
	{ "fdff:ffff::1", NET_PRIVATE },
	{ "fe00::1", NET_PUBLIC },
	{ "fe80::", NET_LINK_LOCAL },
	{ "febf:ffff::1", NET_LINK_LOCAL },
	{ "fec0::1", NET_PRIVATE },
	{ "feff:ffff::1", NET_PRIVATE },
	{ "ff00::", NET_MULTICAST },
	{ "ff02::1", NET_MULTICAST },
	/* IPv4 inside IPv6 */
	{ "::ffff:127.0.0.1", NET_LOOPBACK },
	{ "::ffff:10.1.2.3", NET_PRIVATE },
	{ "::ffff:192.0.2.1", NET_PUBLIC },
	{ "::127.0.0.1", NET_LOOPBACK },
	{ "::192.168.0.1", NET_PRIVATE },
	{ "64:ff9b::7f00:1", NET_LOOPBACK },
	{ "64:ff9b::a9fe:a9fe", NET_LINK_LOCAL },
	{ "64:ff9b::192.0.2.1", NET_PUBLIC },
	/* RFC 8215: translated by the network that one is in */
	{ "64:ff9b:1::7f00:1", NET_PRIVATE },
	{ "64:ff9b:2::7f00:1", NET_PUBLIC },
	{ "2002:7f00:1::", NET_LOOPBACK },
	{ "2002:a01:203::1", NET_PRIVATE },
	{ "2002:c000:201::1", NET_PUBLIC },
	/* translated (RFC 2765) */
	{ "::ffff:0:127.0.0.1", NET_LOOPBACK },
	{ "::ffff:0:10.1.2.3", NET_PRIVATE },
	{ "::ffff:0:192.0.2.1", NET_PUBLIC },
	{ "::fffe:0:127.0.0.1", NET_PUBLIC },
	/* Teredo: the server's is in front, the client's is behind, and inverted */
	{ "2001:0:4136:e378:8000:63bf:80ff:fffe", NET_LOOPBACK },
	{ "2001:0:4136:e378:8000:63bf:f5fe:fdfc", NET_PRIVATE },
	{ "2001:0:4136:e378:8000:63bf:3fff:fdfe", NET_PUBLIC },
	{ "2001:0:7f00:1:8000:63bf:3fff:fdfe", NET_PUBLIC },
	{ "2001:1::80ff:fffe", NET_PUBLIC },
};

static void
test_class(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		struct netaddr a;
		assert_int_equal(netaddr_parse(span_of(classes[i].text), &a), 0);
		if (netaddr_class(&a) != classes[i].class)
			fail_msg("%s is of class %d", classes[i].text, netaddr_class(&a));
	}
}

/* Of a client nothing is believed that another network could translate (H6, D8). */
static void
test_loopback(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool here;
	} rows[] = { { "127.0.0.1", true }, { "127.255.255.255", true }, { "::1", true },
		{ "::ffff:127.0.0.1", true }, { "::127.0.0.1", false }, { "64:ff9b::7f00:1", false },
		{ "2002:7f00:1::", false }, { "::ffff:0:7f00:1", false },
		{ "2001:0:4136:e378:8000:63bf:80ff:fffe", false }, { "0.0.0.0", false }, { "::", false }, { "128.0.0.1", false } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct netaddr a;
		assert_int_equal(netaddr_parse(span_of(rows[i].text), &a), 0);
		assert_int_equal(netaddr_is_loopback(&a), rows[i].here);
	}
}

static void
test_blocks(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10/8", "x",
		"10.0.0.0/", "10.0.0.0/-1", "::1/64", "1.2.3.4.5", "fe80::1%lo",
		"[::1", "::1]", "[]", "[]/8", "[::1/128]", "[10.0.0.0]/104", "::ffff:10.0.0.0/8" };
	struct netblock b;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(netblock_parse(span_of(bad[i]), &b) < 0);
	/* L65: as Postfix has them; IPv4 that is written as IPv6 */
	static const struct {
		const char *text;
		uint8_t bits;
		bool private;
		int v4;
	} good[] = { { "10.0.0.0/8", 104, true, 8 }, { "[::1]/128", 128, true, 32 },
		{ "[::1]", 128, true, 32 }, { "[2001:db8::]/32", 32, false, -1 },
		{ "[::ffff:127.0.0.0]/104", 104, true, 8 }, { "::ffff:10.0.0.0/104", 104, true, 8 },
		{ "[192.0.2.0]/24", 120, false, 24 }, { "::ffff:192.0.2.1", 128, false, 32 },
		{ "0.0.0.0/0", 96, false, 0 }, { "::/0", 0, false, -1 }, { "fc00::/7", 7, true, -1 },
		{ "fc00::/6", 6, false, -1 }, { "fe80::/10", 10, true, -1 },
		{ "172.16.0.0/12", 108, true, 12 }, { "172.0.0.0/8", 104, false, 8 },
		{ "64:ff9b::/96", 96, false, 0 }, { "2002::/16", 16, false, 0 },
		{ "2002:c000::/18", 18, false, 2 }, { "::ffff:0:0:0/96", 96, false, 0 },
		{ "2001::/32", 32, false, 0 }, { "2001:0:4136:e378::/64", 64, false, 0 },
		{ "2001:0:4136:e378:8000:63bf:f500:0/104", 104, false, 8 },
		{ "2001::/31", 31, false, -1 } };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(netblock_parse(span_of(good[i].text), &b), 0);
		assert_int_equal(b.bits, good[i].bits);
		assert_int_equal(netblock_is_private(&b), good[i].private);
		assert_int_equal(netblock_v4_bits(&b), good[i].v4);
	}
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
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}

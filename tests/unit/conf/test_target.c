/* target: what the words of `hosts` and `source` mean, and which of them name a host (S1). */
#include "tests/unit/unit.h"

#include "conf/target.h"

#define L61 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg"
#define L63 L61 "hi"

static const struct {
	const char *word;
	int kind; /* -1: none */
	const char *what;
	int port;
} targets[] = {
	{ "[192.0.2.1]:2525", TARGET_ADDRESS, "192.0.2.1", 2525 },
	{ "[192.0.2.1]", TARGET_ADDRESS, "192.0.2.1", 0 },
	{ "[2001:db8::1]:25", TARGET_ADDRESS, "2001:db8::1", 25 },
	{ "[2001:db8::1]", TARGET_ADDRESS, "2001:db8::1", 0 },
	{ "mx.example.com:587", TARGET_HOST, "mx.example.com", 587 },
	{ "[mx.example.com]:587", TARGET_HOST, "mx.example.com", 587 },
	{ "[mx.example.com]", TARGET_HOST, "mx.example.com", 0 },
	{ "example.com", TARGET_DOMAIN, "example.com", 0 },
	{ "unix:/run/dovecot/lmtp", TARGET_SOCKET, "/run/dovecot/lmtp", 0 },
	{ "", -1, NULL, 0 },
	{ "[]", -1, NULL, 0 },
	{ "[]:25", -1, NULL, 0 },
	{ "[192.0.2.1", -1, NULL, 0 },
	{ "192.0.2.1]", -1, NULL, 0 },
	{ "[192.0.2.1]25", -1, NULL, 0 },
	{ "[192.0.2.1]:", -1, NULL, 0 },
	{ "[192.0.2.1]:0", -1, NULL, 0 },
	{ "[192.0.2.1]:65536", -1, NULL, 0 },
	{ "[192.0.2.1]:99999999999", -1, NULL, 0 },
	{ "[192.0.2.1]:+5", -1, NULL, 0 },
	/* L48: an address is one without brackets too */
	{ "192.0.2.7", TARGET_ADDRESS, "192.0.2.7", 0 },
	{ "192.0.2.7:25", TARGET_ADDRESS, "192.0.2.7", 25 },
	{ "2001:db8::1", TARGET_ADDRESS, "2001:db8::1", 0 },
	{ "::1", TARGET_ADDRESS, "::1", 0 },
	{ "[IPv6:2001:db8::1]:25", TARGET_ADDRESS, "2001:db8::1", 25 },
	{ "192.0.2.7:smtp", -1, NULL, 0 },
	{ "192.0.2.7:25:25", -1, NULL, 0 },
	/* ... and what cannot be a name is none */
	{ "192.0.2.300", -1, NULL, 0 },
	{ "192.0.2.300:25", -1, NULL, 0 },
	{ "[192.0.2.300]", -1, NULL, 0 },
	{ "192.0.2", -1, NULL, 0 },
	{ "1.2.3.4.5:25", -1, NULL, 0 },
	{ "0192.0.2.7", -1, NULL, 0 },
	{ "0xc0000207:25", -1, NULL, 0 },
	{ "mail.0x7f", -1, NULL, 0 },
	{ "3221226119", -1, NULL, 0 },
	{ "mail.25", -1, NULL, 0 },
	{ "mail.example.net.", TARGET_DOMAIN, "mail.example.net", 0 },
	{ "mail.example.net.:587", TARGET_HOST, "mail.example.net", 587 },
	{ "3com.example:25", TARGET_HOST, "3com.example", 25 },
	{ "mail.4u", TARGET_DOMAIN, "mail.4u", 0 },
	{ "relay:25", TARGET_HOST, "relay", 25 },
	{ "web-:25", TARGET_HOST, "web-", 25 },
	{ ".", -1, NULL, 0 },
	{ "..", -1, NULL, 0 },
	{ ".example:25", -1, NULL, 0 },
	{ "mail..:25", -1, NULL, 0 },
	{ "-oQ:25", -1, NULL, 0 },
	{ "b\xc3\xbc" "cher.example", -1, NULL, 0 },
	{ L63 ".example", TARGET_DOMAIN, L63 ".example", 0 },
	{ "a" L63 ".example", -1, NULL, 0 },
	{ L63 "." L63 "." L63 "." L61, TARGET_DOMAIN, L63 "." L63 "." L63 "." L61, 0 },
	{ L63 "." L63 "." L63 ".a" L61, -1, NULL, 0 },
	{ ":25", -1, NULL, 0 },
	{ "a..b:25", -1, NULL, 0 },
	{ "my_mail_1:25", TARGET_HOST, "my_mail_1", 25 }, /* L54 */
	{ "a_b", TARGET_DOMAIN, "a_b", 0 },
	{ "user@host", -1, NULL, 0 },
	{ "unix:run/lmtp", -1, NULL, 0 },
	{ "unix:", -1, NULL, 0 },
	{ "unix:/123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
	  "567890123456789012345678", -1, NULL, 0 },
};

static void
test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(targets); i++) {
		struct target t;
		char addr[NETADDR_TEXT];
		int r = target_parse(guarded(span_of(targets[i].word)), &t);
		if ((r < 0) != (targets[i].kind < 0))
			fail_msg("%s: %d", targets[i].word, r);
		if (r < 0)
			continue;
		netaddr_text(&t.addr, addr);
		assert_int_equal((int)t.kind, targets[i].kind);
		assert_string_equal(t.kind == TARGET_ADDRESS ? addr : t.name, targets[i].what);
		assert_int_equal(t.port, targets[i].port);
	}
}

static void
test_sources(void **state)
{
	(void)state;
	static const struct {
		const char *list;
		bool good, has4, has6;
	} rows[] = { { "", true, false, false }, { "192.0.2.1", true, true, false },
		{ "2001:db8::1", true, false, true }, { "2001:db8::1, 192.0.2.1", true, true, true },
		{ "192.0.2.1 192.0.2.2", false, false, false }, { "::1 ::2", false, false, false },
		{ "[::1]", false, false, false }, { "192.0.2.0/24", false, false, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sources s = { 0 };
		assert_int_equal(target_sources(guarded(span_of(rows[i].list)), &s) == 0, rows[i].good);
		assert_int_equal(s.has4, rows[i].has4);
		assert_int_equal(s.has6, rows[i].has6);
	}
}

static const struct {
	const char *hosts;
	bool ports, named;
} lists[] = {
	{ "", true, true }, /* no list: refused elsewhere */
	{ "h.example:25", true, true },
	{ "unix:/run/lmtp", true, true },
	{ "[192.0.2.1]", false, true },
	{ "[h.example]", false, true },
	{ "d.example", false, false },
	{ "h.example:25, d.example", false, false },
	{ "d.example h.example:25", false, false },
	{ "h.example:25 [192.0.2.1]:25\tunix:/s", true, true },
	{ "192.0.2.7:25", true, true },
	{ "192.0.2.7", false, true },
};

static void
test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lists); i++) {
		assert_int_equal(target_all_have_ports(lists[i].hosts), lists[i].ports);
		assert_int_equal(target_all_named(lists[i].hosts), lists[i].named);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_lists),
	};
	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}

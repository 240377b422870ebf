/* hosts_file: what this host's own file says of names that the operator wrote (L32). */
#include "tests/unit/dns/looked_up.h"

#include <unistd.h>

static const struct zone zone[] = { HOSTS };

/* What this host's own file says of names that the operator wrote (L32). */
static void
test_named(void **state)
{
	(void)state;
	static const char text[] = "\xef\xbb\xbf" "192.0.2.65 first.lan\n" /* L63 */
		"127.0.0.1 localhost\n# 192.0.2.1 comment.lan\n"
		"192.0.2.66\tmail.lan  Mail relay.lan # the old one: gone.lan\r\n"
		"2001:db8::66 mail.lan\n192.0.2.67 mail.lan two.lan\nnonsense mail.lan\n"
		"fe80::1%lo mail.lan\n\n  192.0.2.68 indented.lan\n192.0.2.69 last.lan";
	static const struct {
		const char *name;
		enum family family;
		const char *hosts; /* "": it is not there */
	} names[] = {
		{ "mail.lan", FAMILY_ANY, "0 mail.lan 192.0.2.66, 0 mail.lan 2001:db8::66, "
			"0 mail.lan 192.0.2.67" },
		{ "MAIL.lan", FAMILY_IPV4, "0 mail.lan 192.0.2.66, 0 mail.lan 192.0.2.67" },
		{ "mail.lan", FAMILY_IPV6, "0 mail.lan 2001:db8::66" },
		{ "mail", FAMILY_ANY, "0 mail 192.0.2.66" },
		{ "first.lan", FAMILY_ANY, "0 first.lan 192.0.2.65" },
		{ "relay.lan", FAMILY_ANY, "0 relay.lan 192.0.2.66" },
		{ "two.lan", FAMILY_IPV6, "" },
		{ "indented.lan", FAMILY_ANY, "0 indented.lan 192.0.2.68" },
		{ "last.lan", FAMILY_ANY, "0 last.lan 192.0.2.69" },
		{ "gone.lan", FAMILY_ANY, "" },
		{ "comment.lan", FAMILY_ANY, "" },
		{ "mail.la", FAMILY_ANY, "" },
		{ "192.0.2.66", FAMILY_ANY, "" },
	};
	char path[] = "/tmp/hosts-XXXXXX", found[1000];
	int fd = mkstemp(path);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	struct exchangers x;
	assert_int_equal(resolver_named(r, "mail.lan", FAMILY_ANY, &x), ANSWER_NO_NAME);
	exchangers_free(&x);
	resolver_use_hosts(r, path);
	unlink(path);
	int before = ns.counts->udp;
	for (size_t i = 0; i < ROWS(names); i++) {
		enum answer a = resolver_named(r, names[i].name, names[i].family, &x);
		render(&x, found, sizeof(found));
		assert_string_equal(found, names[i].hosts);
		assert_int_equal(a, names[i].hosts[0] != '\0' ? ANSWER_FOUND : ANSWER_NO_NAME);
		exchangers_free(&x);
	}
	assert_int_equal(ns.counts->udp, before);
	resolver_close(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named),
	};
	serve(zone, ROWS(zone));
	return cmocka_run_group_tests_name("hosts_file", tests, start, stop);
}

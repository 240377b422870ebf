/* ptr: the names of an address, and every kind of answer that is none. */
#include "tests/unit/unit.h"

#include <string.h>

#include "dns/ptr.h"
#include "lib/clock.h"
#include "tests/unit/dns/nameserver.h"

#define V6 "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
#define SILENT "192.0.2.6" /* about this one the server says nothing */

static const struct zone zone[] = {
	{ "1.2.0.192.in-addr.arpa", "PTR", "@ PTR MX.Example" },
	{ "2.2.0.192.in-addr.arpa", "PTR", "@ PTR a.example\n@ PTR b.example" },
	{ V6, "PTR", "@ PTR six.example" },
	{ "3.2.0.192.in-addr.arpa", "*", "!rcode 3" },
	{ "4.2.0.192.in-addr.arpa", "*", "!rcode 2" },
	{ "5.2.0.192.in-addr.arpa", "PTR", "@ PTR # 05616263" },
	{ "6.2.0.192.in-addr.arpa", "*", "!silent" },
	/* As those have it whose addresses are fewer than 256 (RFC 2317). */
	{ "7.2.0.192.in-addr.arpa", "*", "@ CNAME 7.0-63.2.0.192.in-addr.arpa\n"
		"7.0-63.2.0.192.in-addr.arpa PTR seven.example" },
	{ "9.2.0.192.in-addr.arpa", "PTR", "@ PTR a.x\n@ PTR b.x\n@ PTR c.x\n@ PTR d.x\n@ PTR e.x\n"
		"@ PTR f.x\n@ PTR g.x\n@ PTR h.x\n@ PTR i.x" },
};

enum { LONG = 60, SHORT = 1 }; /* s */

static const struct {
	const char *address;
	enum answer answer;
	size_t n;
	const char *first;
} rows[] = {
	{ "192.0.2.1", ANSWER_FOUND, 1, "mx.example" },
	{ "192.0.2.2", ANSWER_FOUND, 2, NULL },
	{ "2001:db8::1", ANSWER_FOUND, 1, "six.example" },
	{ "192.0.2.3", ANSWER_NO_NAME, 0, NULL },
	{ "192.0.2.4", ANSWER_TEMPORARY, 0, NULL },
	{ "192.0.2.5", ANSWER_TEMPORARY, 0, NULL },
	{ SILENT, ANSWER_TEMPORARY, 0, NULL },
	{ "192.0.2.7", ANSWER_FOUND, 1, "seven.example" },
	{ "192.0.2.8", ANSWER_NO_DATA, 0, NULL },
	{ "192.0.2.9", ANSWER_FOUND, PTR_NAMES, NULL },
};

static void
test_rows(void **state)
{
	struct nameserver *ns = *state;
	struct resolver *r = resolver_open(&ns->addr, 1, "us.example");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct netaddr a;
		struct ptr p;
		assert_int_equal(netaddr_parse(span_of(rows[i].address), &a), 0);
		int wait = strcmp(rows[i].address, SILENT) == 0 ? SHORT : LONG;
		assert_int_equal(ptr_find(r, &a, clock_deadline(wait), &p), rows[i].answer);
		assert_int_equal(p.n, rows[i].n);
		assert_int_equal(p.why[0] == '\0', rows[i].answer == ANSWER_FOUND);
		if (rows[i].first != NULL)
			assert_string_equal(p.name[0], rows[i].first);
	}
	resolver_close(r);
}

static int
start(void **state)
{
	static struct nameserver ns;
	nameserver_start(&ns, zone, sizeof(zone) / sizeof(zone[0]));
	*state = &ns;
	return 0;
}

static int
stop(void **state)
{
	nameserver_stop(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, start, stop);
}

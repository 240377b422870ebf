/*
 * nameservers: several, of both families, some of them dead; what somebody who forges answers must
 * guess.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "dns.h"
#include "lib/clock.h"
#include "tests/unit/dns/nameserver.h"

enum { SHORT = 300 };

static const struct zone zone[] = {
	{ "null", "MX", "@ MX 0 ." },
	{ "tc", "MX", "!tc\n@ MX 10 b.example" },
	{ "b.example", "A", "@ A 192.0.2.3" },
};
static const struct zone silent[] = { { "*", "*", "!silent" } };

static struct nameserver ns;

/* A server that answers nothing stands before one that does; one that is not there (G14). */
static void
test_servers(void **state)
{
	(void)state;
	struct nameserver quiet = { 0 };
	nameserver_start(&quiet, silent, ROWS(silent));
	struct sockaddr_storage both[] = { quiet.addr, ns.addr };
	struct exchangers x;
	struct resolver *r = resolver_open(both, 2, "us.example");
	assert_non_null(r);
	assert_int_equal(resolver_exchangers(r, "null", FAMILY_ANY, clock_deadline(20), &x), ANSWER_NULL_MX);
	exchangers_free(&x);
	resolver_close(r);
	nameserver_stop(&quiet); /* its port is closed now: ICMP */
	r = resolver_open(both, 1, "us.example");
	assert_non_null(r);
	assert_int_equal(resolver_exchangers(r, "null", FAMILY_ANY, clock_ms() + SHORT, &x), ANSWER_TEMPORARY);
	exchangers_free(&x);
	assert_int_equal(resolver_exchangers(r, "null", FAMILY_ANY, clock_ms(), &x), ANSWER_TEMPORARY);
	exchangers_free(&x);
	resolver_close(r);
}

/*
 * Nameservers of both families: whichever is first and whichever is dead, the other one answers
 * (G15).
 */
static void
test_mixed_servers(void **state)
{
	(void)state;
	struct nameserver six = { .family = AF_INET6 }, dead4 = { 0 }, dead6 = { .family = AF_INET6 };
	nameserver_start(&six, zone, ROWS(zone));
	nameserver_start(&dead4, silent, ROWS(silent));
	nameserver_start(&dead6, silent, ROWS(silent));
	const struct sockaddr_storage orders[][2] = { { six.addr, ns.addr }, { ns.addr, six.addr },
		{ dead6.addr, ns.addr }, { dead4.addr, six.addr }, { ns.addr, dead6.addr },
		{ six.addr, dead4.addr } };
	for (size_t i = 0; i < ROWS(orders); i++) {
		struct exchangers x;
		struct resolver *r = resolver_open(orders[i], 2, "us.example");
		assert_non_null(r);
		enum answer a = resolver_exchangers(r, "tc", FAMILY_ANY, clock_deadline(20), &x);
		if (a != ANSWER_FOUND)
			fail_msg("order %zu: answer %d: %s", i, (int)a, x.why);
		exchangers_free(&x);
		resolver_close(r);
	}
	assert_true(six.counts->udp > 0 && six.counts->tcp > 0);
	nameserver_stop(&six);
	nameserver_stop(&dead4);
	nameserver_stop(&dead6);
}

static int
compare_seen(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seen));
}

/*
 * What a forger must guess (G7). Each look-up has a port of the kernel's choice; an id comes from a
 * generator of udns, seeded by the clock, so it counts for little (docs/ARCHITECTURE.md). 2000
 * draws of 28 000 ports leave about 1930 different ones, of 65 536 ids 1970.
 */
static void
test_entropy(void **state)
{
	(void)state;
	enum { DRAWS = 2000, PORTS = 1800, IDS = 1900 };
	struct nameserver fresh = { 0 };
	static struct seen seen[3][DRAWS]; /* ports, ids, both */
	nameserver_start(&fresh, zone, ROWS(zone));
	for (int i = 0; i < DRAWS; i++) {
		struct exchangers x;
		struct resolver *r = resolver_open(&fresh.addr, 1, "us.example");
		assert_int_equal(resolver_exchangers(r, "null", FAMILY_ANY, clock_deadline(10), &x),
			ANSWER_NULL_MX);
		exchangers_free(&x);
		resolver_close(r);
		seen[0][i].port = fresh.counts->seen[i].port;
		seen[1][i].id = fresh.counts->seen[i].id;
		seen[2][i] = fresh.counts->seen[i];
	}
	assert_int_equal(fresh.counts->udp, DRAWS);
	nameserver_stop(&fresh);
	int different[3] = { 1, 1, 1 };
	for (int k = 0; k < 3; k++) {
		qsort(seen[k], DRAWS, sizeof(seen[k][0]), compare_seen);
		for (int i = 1; i < DRAWS; i++)
			different[k] += compare_seen(&seen[k][i], &seen[k][i - 1]) != 0;
	}
	if (different[0] < PORTS || different[1] < IDS || different[2] < DRAWS - 1)
		fail_msg("%d ports, %d ids, %d pairs", different[0], different[1], different[2]);
}

static int
start(void **state)
{
	(void)state;
	nameserver_start(&ns, zone, ROWS(zone));
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	nameserver_stop(&ns);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_mixed_servers),
		cmocka_unit_test(test_entropy),
	};
	return cmocka_run_group_tests_name("nameservers", tests, start, stop);
}

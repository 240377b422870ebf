/*
 * nameservers: several, of both families, some of them dead; what somebody who forges answers must
 * guess.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "dns.h"
#include "dns/question.h"
#include "lib/clock.h"
#include "tests/unit/dns/nameserver.h"

enum { SHORT = 300 }; /* ms */

/* ms that a question waits for its answer, that of a sign of life, too: as question.c has them. */
enum { AGAIN = 3000, AGAIN_PROBE = 1000, PROBE = 3000 };

/*
 * So many questions since, and no more; but one that had no answer for `patience`, because this
 * machine has much to do, is asked again, and rightly.
 */
static bool
asked_since(const struct nameserver *server, int before, int want, int64_t start, int patience)
{
	int asked = server->counts->udp - before;
	return asked == want || (asked > want && clock_ms() - start >= patience);
}

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
	assert_int_equal(resolver_exchangers(r, "null", FAMILY_ANY, clock_deadline(60), &x), ANSWER_NULL_MX);
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
		enum answer a = resolver_exchangers(r, "tc", FAMILY_ANY, clock_deadline(60), &x);
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

static struct sockaddr_storage
address(const char *text, uint16_t port)
{
	struct netaddr a;
	struct sockaddr_storage ss;
	assert_int_equal(netaddr_parse(span_of(text), &a), 0);
	netaddr_to(&a, port, &ss);
	return ss;
}

/*
 * What cannot be sent to one server is sent to the next one: no route, not allowed, nobody there,
 * no such family (L6). That none of them was reached is no fault of the domain (L33).
 */
static void
test_unreachable(void **state)
{
	(void)state;
	struct nameserver gone = { 0 };
	nameserver_start(&gone, silent, ROWS(silent));
	nameserver_stop(&gone);
	const struct sockaddr_storage dead[] = {
		address("255.255.255.255", 53), /* EACCES: no broadcasts */
		address("fe80::53", 53),        /* EINVAL: on which link? */
		gone.addr,                      /* ECONNREFUSED */
		{ .ss_family = AF_APPLETALK },  /* EAFNOSUPPORT, as IPv6 where it is off */
	};
	for (size_t i = 0; i < ROWS(dead); i++)
		for (int alone = 0; alone < 2; alone++) {
			struct sockaddr_storage both[] = { dead[i], ns.addr };
			struct exchangers x;
			struct resolver *r = resolver_open(both, 2 - alone, "us.example");
			assert_non_null(r);
			enum answer a = resolver_exchangers(r, "tc", FAMILY_ANY, clock_deadline(60), &x);
			if (a != (alone ? ANSWER_TEMPORARY : ANSWER_FOUND) || x.unreached != alone)
				fail_msg("server %zu: answer %d: %s", i, (int)a, x.why);
			exchangers_free(&x);
			resolver_close(r);
		}
}

/* Silence about one domain is not silence about everything (L33); no server at all is. */
static void
test_reached(void **state)
{
	(void)state;
	static const struct zone about_one[] = { { "null", "*", "!silent" } };
	struct nameserver quiet = { 0 }, half = { 0 };
	nameserver_start(&quiet, silent, ROWS(silent));
	nameserver_start(&half, about_one, ROWS(about_one));
	const struct {
		struct sockaddr_storage server;
		int n;
		bool unreached;
	} rows[] = { { quiet.addr, 1, true }, { half.addr, 1, false }, { quiet.addr, 0, true } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exchangers x;
		struct resolver *r = resolver_open(&rows[i].server, rows[i].n, "us.example");
		int64_t start = clock_ms();
		enum answer a = resolver_exchangers(r, "null", FAMILY_ANY, clock_ms() + SHORT, &x);
		assert_int_equal(a, ANSWER_TEMPORARY);
		assert_true(x.unreached == rows[i].unreached ||
			(x.unreached && clock_ms() - start >= PROBE));
		exchangers_free(&x);
		/* Of the next domain only if there is a sign of life. */
		int before = ns.counts->udp;
		r->server[0] = i == 0 ? ns.addr : r->server[0];
		start = clock_ms();
		a = resolver_exchangers(r, "null", FAMILY_ANY,
			i == 0 ? clock_deadline(60) : clock_ms() + SHORT, &x);
		assert_int_equal(a, i == 0 ? ANSWER_NULL_MX : ANSWER_TEMPORARY);
		assert_true(asked_since(&ns, before, i == 0 ? 2 : 0, start, AGAIN_PROBE));
		if (rows[i].n == 0)
			assert_non_null(strstr(x.why, "not asked for"));
		exchangers_free(&x);
		resolver_close(r);
	}
	nameserver_stop(&quiet);
	nameserver_stop(&half);
}

/* A server that has no answer is not the last word, and who answered is asked first from then on. */
static void
test_next_server(void **state)
{
	(void)state;
	static const struct zone lame[] = {
		{ "servfail", "*", "!rcode 2" },
		{ "refused", "*", "!rcode 5" },
		{ "empty", "*", "!nosoa" },
		{ "extended", "*", "!opt 1\n!rcode 3" },
		{ "referral", "*", "referral NS ns.example" },
		{ "garbage", "*", "@ MX #100 000a016100" },
	};
	static const struct zone whole[] = { { "*", "MX", "@ MX 0 ." } };
	struct nameserver bad = { 0 }, good = { 0 };
	nameserver_start(&bad, lame, ROWS(lame));
	nameserver_start(&good, whole, ROWS(whole));
	struct sockaddr_storage both[] = { bad.addr, good.addr };
	for (size_t i = 0; i < ROWS(lame); i++) {
		struct exchangers x;
		struct resolver *r = resolver_open(both, 2, "us.example");
		for (int again = 0; again < 2; again++) {
			int before = bad.counts->udp;
			int64_t start = clock_ms();
			enum answer a = resolver_exchangers(r, lame[i].name, FAMILY_ANY,
				clock_deadline(60), &x);
			if (a != ANSWER_NULL_MX ||
				!asked_since(&bad, before, 2 * !again, start, AGAIN))
				fail_msg("%s: answer %d: %s", lame[i].name, (int)a, x.why);
			exchangers_free(&x);
		}
		resolver_close(r);
	}
	nameserver_stop(&bad);
	nameserver_stop(&good);
}

/* Where the system's resolver uses TCP only, UDP is blocked. */
static void
test_tcp(void **state)
{
	(void)state;
	struct exchangers x;
	int before = ns.counts->udp;
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	resolver_use_tcp(r);
	assert_int_equal(resolver_exchangers(r, "tc", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(ns.counts->udp, before);
	exchangers_free(&x);
	resolver_close(r);
}

/*
 * L31: a server that is slow about one domain seems to choke on EDNS. What it says about others
 * need not fit into a small packet then, where TCP is blocked.
 */
static void
test_plain(void **state)
{
	(void)state;
	static const struct zone odd[] = {
		{ "slow", "MX", "!edns 2\n@ MX 0 ." },
		{ "large", "MX", "!plain tc\n!tcp close\n@ MX 0 ." },
		{ "larger", "MX", "!tc\n!tcp close\n@ MX 0 ." },
	};
	static const struct {
		const char *domain;
		enum answer want;
		unsigned plain;
	} rows[] = { { "large", ANSWER_NULL_MX, 0 }, { "slow", ANSWER_NULL_MX, 1 },
		{ "large", ANSWER_NULL_MX, 0 }, { "slow", ANSWER_NULL_MX, 1 },
		{ "larger", ANSWER_TEMPORARY, 0 }, { "large", ANSWER_NULL_MX, 0 } };
	struct nameserver one = { 0 };
	nameserver_start(&one, odd, ROWS(odd));
	struct resolver *r = resolver_open(&one.addr, 1, "us.example");
	assert_non_null(r);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exchangers x;
		enum answer a = resolver_exchangers(r, rows[i].domain, FAMILY_ANY,
			clock_deadline(60), &x);
		if (a != rows[i].want || r->plain != rows[i].plain)
			fail_msg("row %zu: answer %d, plain %u: %s", i, (int)a, r->plain, x.why);
		exchangers_free(&x);
	}
	resolver_close(r);
	nameserver_stop(&one);
}

/* L31: where TCP is blocked that is found out once: each wait for it may take long. */
static void
test_blocked_tcp(void **state)
{
	(void)state;
	static const struct zone cut[] = { { "large", "MX", "!tc\n!tcp close\n@ MX 0 ." } };
	struct nameserver one = { 0 };
	struct exchangers x;
	nameserver_start(&one, cut, ROWS(cut));
	struct resolver *r = resolver_open(&one.addr, 1, "us.example");
	assert_int_equal(resolver_exchangers(r, "large", FAMILY_ANY, clock_deadline(60), &x),
		ANSWER_TEMPORARY);
	assert_non_null(strstr(x.why, "truncated over UDP, no answer over TCP"));
	assert_int_equal(one.counts->tcp, 1);
	exchangers_free(&x);
	resolver_close(r);
	nameserver_stop(&one);
}

static int
compare_seen(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seen));
}

/*
 * What a forger must guess (G7): each look-up has a port of the kernel's choice, and an id of its
 * random numbers. 2000 draws of 28 000 ports leave about 1930 different ones, of 65 536 ids 1970.
 */
static void
test_entropy(void **state)
{
	(void)state;
	enum { DRAWS = 2000, PORTS = 1800, IDS = 1900 };
	struct nameserver fresh = { 0 };
	static struct seen seen[3][DRAWS]; /* ports, ids, both */
	nameserver_start(&fresh, zone, ROWS(zone));
	int64_t start = clock_ms();
	for (int i = 0; i < DRAWS; i++) {
		struct exchangers x;
		struct resolver *r = resolver_open(&fresh.addr, 1, "us.example");
		assert_int_equal(resolver_exchangers(r, "null", FAMILY_ANY, clock_deadline(60), &x),
			ANSWER_NULL_MX);
		exchangers_free(&x);
		resolver_close(r);
		seen[0][i].port = fresh.counts->seen[i].port;
		seen[1][i].id = fresh.counts->seen[i].id;
		seen[2][i] = fresh.counts->seen[i];
	}
	assert_true(asked_since(&fresh, 0, DRAWS, start, AGAIN));
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
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_reached),
		cmocka_unit_test(test_next_server),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_blocked_tcp),
		cmocka_unit_test(test_entropy),
	};
	return cmocka_run_group_tests_name("nameservers", tests, start, stop);
}

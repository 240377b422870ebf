/*
 * discovery: which TLSA records a host is found with, and what is asked for that: by MX, by its own
 * name, along aliases; what only looks secure, what fails, what would not count (R79, B9, G17).
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns.h"
#include "dns/question.h"
#include "dns/tlsa.h"
#include "lib/clock.h"
#include "tests/unit/dns/nameserver.h"

enum { TEXT = 400, WAIT = 60, HURRY = 300, AGAIN = 3000 /* ms, as question.c has it */ };

#define KEY "# 030101 000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f"
#define ZERO "# 000101 000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f"

/* "s" hosts are of a signed zone, "u" ones of one that is not. */
static const struct zone zone[] = {
	{ "signed", "MX", "!ad\n@ MX 10 mx.s" },
	{ "mx.s", "A", "!ad\n@ A 192.0.2.1" },
	{ "mx.s", "AAAA", "!ad" },
	{ "_25._tcp.mx.s", "TLSA", "!ad\n@ TLSA " KEY },
	{ "_465._tcp.mx.s", "TLSA", "!ad\n@ TLSA " KEY "\n@ TLSA " KEY },

	/* the MX answer is anybody's */
	{ "unsigned", "MX", "@ MX 10 mx.s" },
	/* the domain is signed, and its host not: what chokes on TLSA does no harm */
	{ "elsewhere", "MX", "!ad\n@ MX 10 mx.u" },
	{ "mx.u", "A", "@ A 192.0.2.2" },
	{ "_25._tcp.mx.u", "TLSA", "!silent" },
	{ "choking", "MX", "!ad\n@ MX 10 choking.u" },
	{ "choking.u", "A", "@ A 192.0.2.3" },
	{ "_25._tcp.choking.u", "TLSA", "!rcode 2" },
	/* ... and would not count if it were answered */
	{ "spoofed", "MX", "!ad\n@ MX 10 spoofed.u" },
	{ "spoofed.u", "A", "@ A 192.0.2.4" },
	{ "_25._tcp.spoofed.u", "TLSA", "@ TLSA " KEY },
	/* records that an insecure zone has for a secure host */
	{ "half", "MX", "!ad\n@ MX 10 half.s" },
	{ "half.s", "A", "!ad\n@ A 192.0.2.5" },
	{ "_25._tcp.half.s", "TLSA", "@ TLSA " KEY },
	/* one family is not what DNSSEC says */
	{ "mixed", "MX", "!ad\n@ MX 10 mixed.s" },
	{ "mixed.s", "A", "!ad\n@ A 192.0.2.6" },
	{ "mixed.s", "AAAA", "@ AAAA 2001:db8::6" },
	{ "_25._tcp.mixed.s", "TLSA", "!ad\n@ TLSA " KEY },
	/* it says that there is none; without a SOA, too */
	{ "none", "MX", "!ad\n@ MX 10 none.s" },
	{ "none.s", "A", "!ad\n@ A 192.0.2.7" },
	{ "_25._tcp.none.s", "TLSA", "!ad\n!rcode 3" },
	{ "nosoa", "MX", "!ad\n@ MX 10 nosoa.s" },
	{ "nosoa.s", "A", "!ad\n@ A 192.0.2.8" },
	{ "_25._tcp.nosoa.s", "TLSA", "!ad\n!nosoa" },
	{ "nosoa2", "MX", "!ad\n@ MX 10 nosoa2.s" },
	{ "nosoa2.s", "A", "!ad\n@ A 192.0.2.8" },
	{ "_25._tcp.nosoa2.s", "TLSA", "!nosoa" },
	/* it cannot say: another host is tried, or nobody knows */
	{ "fails", "MX", "!ad\n@ MX 10 fails.s" },
	{ "fails.s", "A", "!ad\n@ A 192.0.2.9" },
	{ "_25._tcp.fails.s", "TLSA", "!rcode 2" },
	{ "garbage", "MX", "!ad\n@ MX 10 garbage.s" },
	{ "garbage.s", "A", "!ad\n@ A 192.0.2.9" },
	{ "_25._tcp.garbage.s", "TLSA", "!ad\n@ TLSA # 0301" },
	{ "empty", "MX", "!ad\n@ MX 10 empty.s" },
	{ "empty.s", "A", "!ad\n@ A 192.0.2.9" },
	{ "_25._tcp.empty.s", "TLSA", "!ad\n@ TLSA #" },
	{ "short", "MX", "!ad\n@ MX 10 short.s" },
	{ "short.s", "A", "!ad\n@ A 192.0.2.9" },
	{ "_25._tcp.short.s", "TLSA", "!ad\n@ TLSA # 030101 000102030405060708090a0b0c0d0e0f" },
	{ "mute", "MX", "!ad\n@ MX 10 mute.s" },
	{ "mute.s", "A", "!ad\n@ A 192.0.2.9" },
	{ "_25._tcp.mute.s", "TLSA", "!silent" },
	{ "other", "MX", "!ad\n@ MX 10 fails.s\n@ MX 20 mx.s" },
	{ "unusable", "MX", "!ad\n@ MX 10 zero.s" },
	{ "zero.s", "A", "!ad\n@ A 192.0.2.10" },
	{ "_25._tcp.zero.s", "TLSA", "!ad\n@ TLSA " ZERO },
	/* with EDNS it has trouble: asked without it, it says that it validated, too */
	{ "plain", "MX", "!ad\n!edns 2\n@ MX 10 plain.s" },
	{ "plain.s", "A", "!ad\n!edns 2\n@ A 192.0.2.11" },
	{ "plain.s", "AAAA", "!ad\n!edns 2" },
	{ "_25._tcp.plain.s", "TLSA", "!ad\n!edns 2\n@ TLSA " KEY },
	/* over TCP, too */
	{ "large", "MX", "!tc\n!ad\n@ MX 10 large.s" },
	{ "large.s", "A", "!tc\n!ad\n@ A 192.0.2.12" },
	{ "_25._tcp.large.s", "TLSA", "!tc\n!ad\n@ TLSA " KEY },

	/* no MX record: the domain is its own host, if it is sure that there is none */
	{ "implicit.s", "MX", "!ad" },
	{ "implicit.s", "A", "!ad\n@ A 192.0.2.13" },
	{ "_25._tcp.implicit.s", "TLSA", "!ad\n@ TLSA " KEY },
	{ "hidden.s", "MX", "" },
	{ "hidden.s", "A", "!ad\n@ A 192.0.2.14" },
	{ "_25._tcp.hidden.s", "TLSA", "!ad\n@ TLSA " KEY },

	/* the records are an alias: the base stays */
	{ "shared", "MX", "!ad\n@ MX 10 shared.s" },
	{ "shared.s", "A", "!ad\n@ A 192.0.2.15" },
	{ "_25._tcp.shared.s", "TLSA", "!ad\n@ CNAME tlsa.s\ntlsa.s TLSA " KEY },
	{ "chained", "MX", "!ad\n@ MX 10 chained.s" },
	{ "chained.s", "A", "!ad\n@ A 192.0.2.15" },
	{ "_25._tcp.chained.s", "TLSA", "!ad\n@ CNAME tlsa.u" },
	{ "tlsa.u", "TLSA", "@ TLSA " KEY },

	/* the host is an alias (RFC 7672 section 2.2.2): its end first, if all of the way is secure */
	{ "both", "MX", "!ad\n@ MX 10 both.s" },
	{ "both.s", "A", "!ad\n@ CNAME end.s\nend.s A 192.0.2.16" },
	{ "both.s", "AAAA", "!ad\n@ CNAME end.s" },
	{ "end.s", "AAAA", "!ad" },
	{ "_25._tcp.both.s", "TLSA", "!ad\n@ TLSA " KEY },
	{ "_25._tcp.end.s", "TLSA", "!ad\n@ TLSA " KEY "\n@ TLSA " KEY },
	{ "first", "MX", "!ad\n@ MX 10 first.s" },
	{ "first.s", "A", "!ad\n@ CNAME bare.s\nbare.s A 192.0.2.17" },
	{ "_25._tcp.first.s", "TLSA", "!ad\n@ TLSA " KEY },
	{ "_25._tcp.bare.s", "TLSA", "!ad" },
	{ "endfails", "MX", "!ad\n@ MX 10 endfails.s" },
	{ "endfails.s", "A", "!ad\n@ CNAME fails.s\nfails.s A 192.0.2.9" },
	{ "_25._tcp.endfails.s", "TLSA", "!ad\n@ TLSA " KEY },
	{ "beside", "MX", "!ad\n@ MX 10 quiet.s\n@ MX 20 both.s" },
	{ "quiet.s", "*", "!silent" },
	/* ... and where its end is not signed, its own, if the alias is */
	{ "hosted", "MX", "!ad\n@ MX 10 hosted.s" },
	{ "hosted.s", "A", "@ CNAME farm.u\nfarm.u A 192.0.2.18" },
	{ "hosted.s", "AAAA", "@ CNAME farm.u\nfarm.u AAAA 2001:db8::18" },
	{ "hosted.s", "CNAME", "!ad\n@ CNAME farm.u" },
	{ "_25._tcp.hosted.s", "TLSA", "!ad\n@ TLSA " KEY },
	{ "lost", "MX", "!ad\n@ MX 10 lost.s" },
	{ "lost.s", "A", "@ CNAME farm.u\nfarm.u A 192.0.2.18" },
	{ "lost.s", "CNAME", "!rcode 2" },
	{ "loose", "MX", "!ad\n@ MX 10 loose.u" },
	{ "loose.u", "A", "@ CNAME farm.u\nfarm.u A 192.0.2.18" },
	{ "loose.u", "CNAME", "@ CNAME farm.u" },
	{ "_25._tcp.loose.u", "TLSA", "!ad\n@ TLSA " KEY },
	/* an alias to what is secure, from what is not */
	{ "into", "MX", "!ad\n@ MX 10 into.u" },
	{ "into.u", "A", "@ CNAME mx.s" },
	{ "into.u", "CNAME", "@ CNAME mx.s" },

	/* the domain is an alias */
	{ "alias.s", "MX", "!ad\n@ CNAME signed" },
	{ "badalias", "MX", "@ CNAME signed" },
};

static struct nameserver ns;

/* "host base(n) ..." of each, "host -": no records; a word of what else is known of it. */
static void
render(const struct exchangers *x, char out[static TEXT])
{
	out[0] = '\0';
	for (size_t i = 0; i < x->n; i++) {
		const struct exchanger *e = &x->v[i];
		size_t n = strlen(out);
		snprintf(out + n, TEXT - n, "%s%s ", i > 0 ? " " : "", e->host);
		n = strlen(out);
		if (e->tlsa == NULL)
			snprintf(out + n, TEXT - n, "-");
		else
			snprintf(out + n, TEXT - n, "%s(%zu)%s%s", e->tlsa->base, e->tlsa->n,
				e->tlsa->domain[0] != '\0' ? "=" : "", e->tlsa->domain);
		n = strlen(out);
		snprintf(out + n, TEXT - n, "%s", e->vouched ? "!" : "");
	}
}

static struct resolver *
open_resolver(uint16_t port)
{
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	assert_non_null(r);
	assert_true(resolver_is_trusted(r)); /* it is on loopback */
	resolver_use_dane(r, port);
	return r;
}

/* So far; one that nobody waited for may not have been read yet, and is before this one. */
static int
count_questions(void)
{
	struct exchangers x;
	struct resolver *r = open_resolver(0);
	(void)resolver_exchangers(r, "unsigned", FAMILY_ANY, clock_deadline(WAIT), &x);
	exchangers_free(&x);
	resolver_close(r);
	return ns.counts->udp;
}

static bool
is_as_many(int asked, int wanted)
{
	return wanted == 0 || (wanted > 0 ? asked == wanted : asked <= -wanted);
}

static void
test_rows(void **state)
{
	(void)state;
	static const struct {
		const char *domain, *hosts; /* or why not */
		int asked;                  /* questions over UDP; 0: not counted; <0: at most */
	} rows[] = {
		{ "signed", "mx.s mx.s(1)!", 4 },
		{ "unsigned", "mx.s -", 3 },
		{ "elsewhere", "mx.u -!", -4 }, /* nobody waits for the last one */
		{ "choking", "choking.u -!", 0 },
		{ "spoofed", "spoofed.u -!", -4 },
		{ "half", "half.s -!", 4 },
		{ "mixed", "mixed.s -! mixed.s -!", 4 },
		{ "none", "none.s -!", 4 },
		{ "nosoa", "nosoa.s -!", 0 },
		{ "nosoa2", "nosoa2.s TLSA: an empty answer without SOA", 0 },
		{ "fails", "fails.s TLSA: SERVFAIL", 0 },
		{ "garbage", "garbage.s TLSA: garbage in the answer", 0 },
		{ "empty", "empty.s TLSA: garbage in the answer", 0 },
		{ "short", "short.s short.s(1)!", 0 },
		{ "other", "mx.s mx.s(1)!", 0 },
		{ "unusable", "zero.s zero.s(1)!", 0 },
		{ "plain", "plain.s plain.s(1)!", 0 },
		{ "large", "large.s large.s(1)!", 0 },
		{ "implicit.s", "implicit.s implicit.s(1)", 4 },
		{ "hidden.s", "hidden.s -", 3 },
		{ "shared", "shared.s shared.s(1)!", 4 },
		{ "chained", "chained.s -!", 5 },
		{ "both", "both.s end.s(2)!", 0 },
		{ "first", "first.s first.s(1)!", 0 },
		{ "endfails", "endfails.s TLSA: SERVFAIL", 0 },
		{ "hosted", "hosted.s hosted.s(1)! hosted.s hosted.s(1)!", 0 },
		{ "lost", "lost.s TLSA: SERVFAIL", 0 },
		{ "loose", "loose.u -!", 0 },
		{ "into", "into.u -!", 0 },
		{ "alias.s", "mx.s mx.s(1)=signed!", 5 },
		{ "badalias", "mx.s -", 4 },
		{ "[192.0.2.1]", "[192.0.2.1] -", 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exchangers x;
		char hosts[TEXT];
		struct resolver *r = open_resolver(25);
		int before = count_questions();
		int64_t start = clock_ms();
		enum answer a = resolver_exchangers(r, rows[i].domain, FAMILY_ANY, clock_deadline(WAIT),
			&x);
		int asked = ns.counts->udp - before;
		render(&x, hosts);
		if (a != ANSWER_FOUND)
			assert_int_equal(a, ANSWER_TEMPORARY);
		if (strcmp(rows[i].hosts, a == ANSWER_FOUND ? hosts : x.why) != 0 ||
			(!is_as_many(asked, rows[i].asked) && clock_ms() - start < AGAIN))
			fail_msg("%s: %d questions: %s: %s", rows[i].domain, asked, hosts, x.why);
		assert_true(x.tlsas <= 1);
		exchangers_free(&x);
		resolver_close(r);
	}
}

/* A server that never answers: waited for where its answer would count, and only there. */
static void
test_silence(void **state)
{
	(void)state;
	struct exchangers x;
	struct resolver *r = open_resolver(25);
	int64_t start = clock_ms();
	assert_int_equal(resolver_exchangers(r, "elsewhere", FAMILY_ANY, clock_deadline(WAIT), &x),
		ANSWER_FOUND);
	assert_true(clock_ms() - start < 1000L * WAIT / 2);
	exchangers_free(&x);
	assert_int_equal(resolver_exchangers(r, "mute", FAMILY_ANY, clock_ms() + HURRY, &x),
		ANSWER_TEMPORARY);
	assert_non_null(strstr(x.why, "mute.s TLSA: "));
	exchangers_free(&x);
	/* R79: silence about one host leaves time for what the alias of another one leads to */
	char hosts[TEXT];
	assert_int_equal(resolver_exchangers(r, "beside", FAMILY_ANY, clock_ms() + AGAIN, &x),
		ANSWER_FOUND);
	render(&x, hosts);
	assert_string_equal(hosts, "both.s end.s(2)!");
	exchangers_free(&x);
	resolver_close(r);
}

/* A host by its own name, at its own port; a resolver that does without; a copy that does not. */
static void
test_ways(void **state)
{
	(void)state;
	struct exchangers x, more = { .own = 0 };
	char hosts[TEXT];
	struct resolver *r = open_resolver(465);
	assert_int_equal(resolver_addresses(r, "mx.s", FAMILY_IPV4, clock_deadline(WAIT), &x),
		ANSWER_FOUND);
	render(&x, hosts);
	assert_string_equal(hosts, "mx.s mx.s(2)");
	assert_true(x.secure);
	struct exchanger kept = { .port = 1 };
	exchanger_keep(&kept, &x.v[0]);
	assert_int_equal(exchangers_adopt(&more, &x), 0);
	assert_int_equal(x.tlsas, 0);
	assert_int_equal(more.tlsas, 1);
	exchangers_free(&x);
	exchangers_free(&more);
	assert_string_equal(kept.tlsa->base, "mx.s"); /* it is still held */
	exchanger_keep(&kept, &kept);
	assert_string_equal(kept.tlsa->base, "mx.s");
	exchanger_drop(&kept);
	assert_null(kept.tlsa);

	resolver_use_dane(r, 0);
	int before = count_questions();
	int64_t start = clock_ms();
	assert_int_equal(resolver_exchangers(r, "signed", FAMILY_ANY, clock_deadline(WAIT), &x),
		ANSWER_FOUND);
	render(&x, hosts);
	assert_string_equal(hosts, "mx.s -!");
	assert_true(ns.counts->udp - before == 3 || clock_ms() - start >= AGAIN);
	exchangers_free(&x);
	resolver_close(r);
}

/* Whom we believe that an answer was validated; all of them, or none. */
static void
test_trust(void **state)
{
	(void)state;
	static const struct {
		const char *servers[3], *vouchers;
		bool trusted;
	} rows[] = {
		{ { "127.0.0.1" }, "", true },
		{ { "::1" }, "", true },
		{ { "127.0.0.53" }, "", true },
		{ { "::ffff:127.0.0.1" }, "", true },
		{ { "127.0.0.11" }, "", false }, /* Docker's */
		{ { "127.0.0.11" }, "127.0.0.11", true },
		{ { "192.0.2.53" }, "", false },
		{ { "192.0.2.53" }, "192.0.2.0/24", true },
		{ { "192.0.2.53" }, "192.0.2.54", false },
		{ { "127.0.0.1", "192.0.2.53" }, "", false },
		{ { "192.0.2.53", "127.0.0.1" }, "", false },
		{ { "127.0.0.1", "192.0.2.53", "::1" }, "192.0.2.53", true },
		{ { NULL }, "", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sockaddr_storage servers[3];
		struct netlist vouchers = { 0 };
		struct netaddr a;
		int n = 0;
		for (; n < 3 && rows[i].servers[n] != NULL; n++) {
			assert_int_equal(netaddr_parse(span_of(rows[i].servers[n]), &a), 0);
			netaddr_to(&a, 53, &servers[n]);
		}
		assert_int_equal(netlist_parse(span_of(rows[i].vouchers), &vouchers), 0);
		struct resolver *r = resolver_open(servers, n, "us.example");
		resolver_trust(r, &vouchers);
		struct resolver *copy = resolver_copy(r);
		if (resolver_is_trusted(r) != rows[i].trusted)
			fail_msg("row %zu", i);
		assert_int_equal(resolver_is_trusted(copy), rows[i].trusted);
		/* others, which are judged anew */
		struct sockaddr_storage far;
		assert_int_equal(netaddr_parse(span_of("198.51.100.1"), &a), 0);
		netaddr_to(&a, 53, &far);
		(void)resolver_use_servers(r, &far, 1, false);
		assert_false(resolver_is_trusted(r));
		(void)resolver_use_servers(r, servers, n, false);
		assert_int_equal(resolver_is_trusted(r), rows[i].trusted);
		resolver_close(copy);
		resolver_close(r);
		netlist_free(&vouchers);
	}
}

/* AD of a server that is not trusted is nothing, and not asked for; nor are records. */
static void
test_untrusted(void **state)
{
	(void)state;
	struct exchangers x;
	char hosts[TEXT];
	struct resolver *r = open_resolver(25);
	r->trusted = false; /* as if it were elsewhere */
	int before = count_questions();
	int64_t start = clock_ms();
	assert_int_equal(resolver_exchangers(r, "signed", FAMILY_ANY, clock_deadline(WAIT), &x),
		ANSWER_FOUND);
	render(&x, hosts);
	assert_string_equal(hosts, "mx.s -");
	assert_false(x.secure);
	assert_true(ns.counts->udp - before == 3 || clock_ms() - start >= AGAIN);
	exchangers_free(&x);
	resolver_close(r);
}

static int
start_server(void **state)
{
	(void)state;
	nameserver_start(&ns, zone, ROWS(zone));
	return 0;
}

static int
stop_server(void **state)
{
	(void)state;
	nameserver_stop(&ns);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_untrusted),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}

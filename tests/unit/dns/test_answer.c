/*
 * answer: what packets say: along aliases, with errors, without a SOA, over TCP, with garbage (G1 to
 * G7, G13, G17, G18, L5, L31).
 */
#include "tests/unit/dns/looked_up.h"

static const struct zone zone[] = {
	HOSTS
	{ "cname", "MX", "@ CNAME real.example\nreal.example MX 10 b.example" },
	{ "swapped", "MX", "real.example MX 10 b.example\n@ CNAME real.example" },
	{ "cnameonly", "*", "@ CNAME two" },
	{ "cnameimplicit", "*", "@ CNAME implicit" },
	{ "cnamegone", "*", "!rcode 3\n@ CNAME gone.example" },
	{ "cnameempty", "*", "@ CNAME empty.example" },
	{ "loop1", "*", "@ CNAME @" },
	{ "loop2", "*", "@ CNAME x.example\nx.example CNAME loop2" },
	{ "loopa", "*", "@ CNAME loopb" },
	{ "loopb", "*", "@ CNAME loopa" },
	{ "chain8", "*", "!chain 8" },
	{ "chain9", "*", "!chain 9" },
	{ "chain50", "*", "!chain 50" },
	{ "back8", "*", "!backwards 8" },
	{ "back9", "*", "!backwards 9" },
	{ "*.next", "*", "!next 8" },

	{ "servfail", "*", "!rcode 2" },
	{ "formerr", "*", "!rcode 1" },
	{ "notimp", "*", "!rcode 4" },
	{ "refused", "*", "!rcode 5" },
	{ "rcode15", "*", "!rcode 15" },
	{ "noedns", "*", "!edns 1\n@ MX 10 b.example" },
	{ "*.odd", "A", "@ A 192.0.2.5" },
	{ "formerr.odd", "MX", "!edns 1\n!bare\n@ MX 10 b.example" },
	{ "servfail.odd", "MX", "!edns 2\n@ MX 10 b.example" },
	{ "notimp.odd", "MX", "!edns 4\n@ MX 10 b.example" },
	{ "refused.odd", "MX", "!edns 5\n@ MX 10 b.example" },
	{ "dropped.odd", "MX", "!edns silent\n@ MX 10 b.example" },
	{ "badvers.odd", "MX", "!plain 2\n!opt 1\n@ MX 10 b.example" },
	{ "opt.odd", "MX", "!opt 0\n@ MX 10 b.example" },
	{ "cut.odd", "MX", "!edns tc\n!tcp close\n@ MX 10 b.example" },
	{ "garbage.odd", "MX", "!plain 5\n@ MX #100 000a016100" },

	{ "nosoa", "*", "!nosoa" },
	{ "nosoa4", "*", "!nosoa" },
	{ "nosoamx", "MX", "!nosoa" },
	{ "nosoamx", "A", "@ A 192.0.2.9" },
	{ "nosoahost", "MX", "@ MX 10 nosoa" },
	{ "nosoahost2", "MX", "@ MX 10 half.example" },
	{ "half.example", "AAAA", "!nosoa" },
	{ "half.example", "A", "@ A 192.0.2.1" },
	{ "nosoagone", "MX", "!nosoa" },
	{ "nosoagone", "*", "!rcode 3" },
	{ "mxgone", "MX", "!rcode 3\n@ MX 10 b.example" },
	{ "referral", "*", "referral NS ns.example" },
	{ "referralmx", "MX", "referral NS ns.example" },
	{ "referralmx", "A", "@ A 192.0.2.9" },
	{ "extended", "*", "!opt 1" },
	{ "extendednx", "*", "!opt 1\n!rcode 3" },
	{ "extendedmx", "MX", "!opt 1\n@ MX 10 b.example" },
	{ "silent", "*", "!silent" },
	{ "tiny", "*", "!short" },
	{ "forge", "MX", "@ CNAME f.example\nf.example MX 1 f.example" },
	{ "f.example", "A", "!forge\n@ A 192.0.2.1" },
	{ "forged", "MX", "@ MX 1 g.example" },
	{ "g.example", "A", "!forged\n@ A 192.0.2.1" },

	{ "tc", "MX", "!tc\n@ MX 10 b.example" },
	{ "tcstall", "MX", "!tc\n!tcp stall\n@ MX 10 b.example" },
	{ "tcclose", "MX", "!tc\n!tcp close\n@ MX 10 b.example" },
	{ "tchalf", "MX", "!tc\n!tcp half\n@ MX 10 b.example" },
	{ "tcslow", "MX", "!tc\n!tcp slow\n@ MX 10 b.example" },
	{ "tcid", "MX", "!tc\n!tcp id\n@ MX 10 b.example" },
	{ "tcother", "MX", "!tc\n!tcp other\n@ MX 10 b.example" },
	{ "tctype", "MX", "!tc\n!tcp type\n@ MX 10 b.example" },
	{ "tcquestion", "MX", "!tc\n!tcp question\n@ MX 10 b.example" },
	{ "tctc", "MX", "!tc\n!tcp tc" },
	{ "tctiny", "MX", "!tc\n!tcp tiny\n@ MX 10 b.example" },
	{ "tcservfail", "MX", "!tc\n!tcp servfail\n@ MX 10 b.example" },
	{ "tcnull", "MX", "!tc\n@ MX 0 ." },
	{ "tcempty", "MX", "!tc" },
	{ "tcempty", "A", "!tc\n@ A 192.0.2.9" },
	{ "tcnx", "*", "!tc\n!rcode 3" },
	{ "tccname", "MX", "!tc\n@ CNAME two" },

	{ "mx0", "MX", "@ MX #" },
	{ "mx1", "MX", "@ MX # 00" },
	{ "mx2", "MX", "@ MX # 000a" },
	{ "mxgood1", "MX", "@ MX 10 b.example\n@ MX # 000a" },
	{ "self", "MX", "@ MX # 000aS" },
	{ "forward", "MX", "@ MX # 000aF" },
	{ "header", "MX", "@ MX # 000aH" },
	{ "label64", "MX", "@ MX # 000a40616161616161616161616161616161616161616161616161616161616161"
		"6161616161616161616161616161616161616161616161616161616161616161616100" },
	{ "name256", "MX", "@ MX # 000aLLLL00" },
	{ "noend", "MX", "@ MX # 000a0161" },
	{ "past", "MX", "@ MX #100 000a016100" },
	{ "less", "MX", "@ MX #4 000a016100" },
	{ "more", "MX", "@ MX # 000a016100ff" },
	{ "count", "MX", "!count 5\n@ MX 10 b.example" },
	{ "countless", "MX", "!count 0\n@ MX 10 b.example" },
	{ "badcname", "MX", "@ CNAME # 40" },
	{ "longcname", "MX", "@ CNAME # 0374776f00 00" }, /* "two", and an octet */
	{ "chaos", "MX", "!class 3\n@ MX 1 a.example\n!class 1\n@ MX 10 b.example" },
	{ "badowner", "MX", "^ MX 10 b.example" },
};

static const struct row rows[] = {
	{ "cname", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 }, /* G2 */
	{ "swapped", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 }, /* G18 */
	{ "cnameonly", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 6 },
	{ "cnameimplicit", ANSWER_FOUND, "0 cnameimplicit 192.0.2.9", NULL, 0, 0 },
	{ "cnamegone", ANSWER_NO_NAME, NULL, "NXDOMAIN", 0, 0 },
	{ "cnameempty", ANSWER_NO_DATA, NULL, "none", 0, 0 },
	{ "loop1", ANSWER_TEMPORARY, NULL, "endless CNAME chain", 0, 0 }, /* G17 */
	{ "loop2", ANSWER_TEMPORARY, NULL, "endless CNAME chain", 0, 0 },
	{ "loopa", ANSWER_TEMPORARY, NULL, "endless CNAME chain", 0, 0 },
	{ "chain8", ANSWER_FOUND, "0 chain8 192.0.2.1", NULL, 0, 0 },
	{ "chain9", ANSWER_TEMPORARY, NULL, "endless CNAME chain", 0, 2 },
	{ "chain50", ANSWER_TEMPORARY, NULL, "endless CNAME chain", 0, 2 },
	{ "back8", ANSWER_FOUND, "0 back8 192.0.2.1", NULL, 0, 0 },
	{ "back9", ANSWER_TEMPORARY, NULL, "endless CNAME chain", 0, 2 },
	{ "l0.next", ANSWER_FOUND, "0 l0.next 192.0.2.1", NULL, 0, 0 },
	{ "l1.next", ANSWER_FOUND, "0 l1.next 192.0.2.1", NULL, 0, 0 },

	{ "servfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 0 }, /* G3 */
	{ "formerr", ANSWER_TEMPORARY, NULL, "FORMERR", 0, 0 },
	{ "notimp", ANSWER_TEMPORARY, NULL, "NOTIMP", 0, 0 },
	{ "refused", ANSWER_TEMPORARY, NULL, "REFUSED", 0, 0 },
	{ "rcode15", ANSWER_TEMPORARY, NULL, "no sense", 0, 0 },
	/* G13: once more than others */
	{ "noedns", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 4 },
	/* L31: whatever an option of the question brings, it is asked once more without */
	{ "formerr.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 4 },
	{ "servfail.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 4 },
	{ "notimp.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 4 },
	{ "refused.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 4 },
	{ "dropped.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 0 },
	{ "badvers.odd", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 2 },
	{ "opt.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "cut.odd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 4 },
	{ "garbage.odd", ANSWER_TEMPORARY, NULL, "REFUSED", 0, 2 },
	/* L5: a "no" is NXDOMAIN, or no data with a SOA */
	{ "nosoa", ANSWER_TEMPORARY, NULL, "nosoa addresses: an empty answer without SOA", 0, 0 },
	{ "nosoamx", ANSWER_FOUND, "0 nosoamx 192.0.2.9", NULL, 0, 0 },
	{ "nosoahost", ANSWER_TEMPORARY, NULL, "without SOA", 0, 0 },
	{ "nosoahost2", ANSWER_FOUND, "10 half.example 192.0.2.1", NULL, 0, 0 },
	{ "nosoagone", ANSWER_TEMPORARY, NULL, "nosoagone MX: an empty answer without SOA", 0, 0 },
	{ "mxgone", ANSWER_TEMPORARY, NULL, "no sense", 0, 0 },
	{ "referral", ANSWER_TEMPORARY, NULL, "a referral", 0, 2 },
	{ "referralmx", ANSWER_TEMPORARY, NULL, "a referral", 0, 2 },
	{ "extended", ANSWER_TEMPORARY, NULL, "BADVERS", 0, 2 },
	{ "extendednx", ANSWER_TEMPORARY, NULL, "no sense", 0, 2 },
	{ "extendedmx", ANSWER_TEMPORARY, NULL, "BADVERS", 0, 2 },
	{ "silent", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 },
	{ "tiny", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 },
	{ "forge", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 }, /* G6 */
	{ "forged", ANSWER_FOUND, "1 g.example 192.0.2.1", NULL, 0, 0 },

	{ "tc", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 }, /* G1 */
	/* L31: where TCP brings nothing, once more without EDNS */
	{ "tcstall", ANSWER_TEMPORARY, NULL, "no answer over TCP", LONG, 0 },
	{ "tcclose", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 2 },
	{ "tchalf", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 2 },
	{ "tcslow", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "tcid", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 2 },
	{ "tcother", ANSWER_TEMPORARY, NULL, "no sense", 0, 1 }, /* G6 */
	{ "tctype", ANSWER_TEMPORARY, NULL, "no sense", 0, 1 },
	{ "tcquestion", ANSWER_TEMPORARY, NULL, "no sense", 0, 1 },
	{ "tctc", ANSWER_TEMPORARY, NULL, "truncated over TCP", 0, 1 },
	{ "tctiny", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 2 },
	{ "tcservfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 1 },
	{ "tcnull", ANSWER_NULL_MX, NULL, "", 0, 1 },
	{ "tcempty", ANSWER_FOUND, "0 tcempty 192.0.2.9", NULL, 0, 3 },
	{ "tcnx", ANSWER_NO_NAME, NULL, "NXDOMAIN", 0, 1 },
	{ "tccname", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 6 },

	{ "mx0", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 }, /* G4 */
	{ "mx1", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "mx2", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "mxgood1", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "self", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "forward", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "header", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "label64", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "name256", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "noend", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "past", ANSWER_TEMPORARY, NULL, "garbage", 0, 2 },
	{ "less", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "more", ANSWER_TEMPORARY, NULL, "garbage", 0, 1 },
	{ "count", ANSWER_TEMPORARY, NULL, "garbage", 0, 2 },
	{ "countless", ANSWER_TEMPORARY, NULL, "without SOA", 0, 0 }, /* L5 */
	{ "longcname", ANSWER_TEMPORARY, NULL, "garbage", 0, 0 },
	{ "chaos", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "badcname", ANSWER_TEMPORARY, NULL, "garbage", 0, 2 },
	{ "badowner", ANSWER_TEMPORARY, NULL, "garbage", 0, 2 },
};

static void
test_rows(void **state)
{
	(void)state;
	run_all(rows, ROWS(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};
	serve(zone, ROWS(zone));
	return cmocka_run_group_tests_name("answer", tests, start, stop);
}

/*
 * dns: every kind of answer, every kind of garbage, from a server of our own (G1 to G18, R48).
 *
 * Each look-up must end within its deadline, and most much sooner.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns.h"
#include "lib/clock.h"
#include "lib/wait.h"
#include "tests/unit/dns/nameserver.h"

#define ADDRESSES \
	{ "a.example", "A", "@ A 192.0.2.1\n@ A 192.0.2.2" }, \
	{ "a.example", "AAAA", "@ AAAA 2001:db8::1" }, \
	{ "b.example", "A", "@ A 192.0.2.3" }, \
	{ "c.example", "AAAA", "@ AAAA 2001:db8::c" }, \
	{ "gone.example", "*", "!rcode 3" }, \
	{ "fail.example", "*", "!rcode 2" }, \
	{ "quiet.example", "*", "!silent" },

/* Names are those of the rows below. */
static const struct zone zone[] = {
	ADDRESSES
	{ "two", "MX", "@ MX 20 b.example\n@ MX 10 A.Example" },
	{ "order", "MX", "@ MX 300 b.example\n@ MX 2 a.example\n@ MX 65535 c.example" },
	{ "double", "MX", "@ MX 10 b.example\n@ MX 20 alias.example\n@ MX 5 b.example" },
	{ "alias.example", "*", "@ CNAME b.example\nb.example A 192.0.2.3" },
	{ "equal", "MX", "@ MX 10 a.example\n@ MX 10 b.example" },
	{ "ours", "MX", "@ MX 40 Us.Example\n@ MX 30 b.example\n@ MX 20 us.example\n@ MX 10 a.example" },
	{ "null", "MX", "@ MX 0 ." },
	{ "null10", "MX", "@ MX 10 ." },
	{ "nullmore", "MX", "@ MX 0 .\n@ MX 10 b.example" },
	{ "nulltwice", "MX", "@ MX 0 .\n@ MX 0 ." },
	{ "nx", "*", "!rcode 3" },
	{ "implicit", "A", "@ A 192.0.2.9" },
	{ "implicit6", "AAAA", "@ AAAA 2001:db8::9" },
	{ "halfgone", "A", "!rcode 3" },
	{ "halfgone", "AAAA", "!rcode 3" },
	{ "implicitfail", "A", "!rcode 2" },
	{ "nohost", "MX", "@ MX 10 gone.example" },
	{ "nohost", "A", "@ A 192.0.2.9" },
	{ "emptyhost", "MX", "@ MX 10 empty.example" },
	{ "onefails", "MX", "@ MX 10 fail.example\n@ MX 20 b.example" },
	{ "allfail", "MX", "@ MX 10 fail.example\n@ MX 20 gone.example" },
	{ "half6", "MX", "@ MX 10 half6.example" },
	{ "half6.example", "A", "@ A 192.0.2.1" },
	{ "half6.example", "AAAA", "!rcode 2" },
	{ "bad6", "MX", "@ MX 10 bad6.example" },
	{ "bad6.example", "A", "@ A 192.0.2.1" },
	{ "bad6.example", "AAAA", "@ AAAA # c0000201" },
	{ "badboth", "MX", "@ MX 10 badboth.example" },
	{ "badboth.example", "A", "@ A # c00002" },
	{ "longboth", "MX", "@ MX 10 longboth.example" },
	{ "longboth.example", "A", "@ A # c0000201ff" },
	{ "longboth.example", "AAAA", "@ AAAA # 20010db800000000000000000000000001" },
	{ "mxcname", "MX", "@ MX 10 alias.example" },
	{ "numbers", "MX", "@ MX 10 10.0.0.1." },
	{ "10.0.0.1", "A", "@ A 192.0.2.10" },

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
	{ "many", "MX", "!tc\n!mx 1000" },
	{ "manygone", "MX", "!tc\n!mx 101" },
	{ "*.manygone", "*", "!rcode 3" },
	{ "m999.many", "A", "@ A 192.0.2.99" },
	{ "*.many", "A", "@ A 192.0.2.1" },
	{ "manya", "A", "!tc\n!a 500" },
	{ "wide", "MX", "!tc\n!mx 1000" },
	{ "*.wide", "A", "!each 20" },

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

	{ "nul", "MX", "@ MX # 000a03610062076578616d706c6500" },
	{ "blank", "MX", "@ MX # 000a03612062076578616d706c6500" },
	{ "shell", "MX", "@ MX # 000a0524286964290161 00" },
	{ "eight", "MX", "@ MX # 000a02c3a9076578616d706c6500" },
	{ "slash", "MX", "@ MX # 000a035c2f2e0161 00" },
	{ "dot", "MX", "@ MX # 000a03612e62076578616d706c6500" },
	{ "someodd", "MX", "@ MX # 000503610062076578616d706c6500\n@ MX 10 b.example" },
	{ "under", "MX", "@ MX 10 _mx.under" },
	{ "_mx.under", "A", "@ A 192.0.2.8" },

	{ "cnamequiet", "*", "@ CNAME quiet.example" },
	{ "quietmx", "MX", "@ MX 10 quiet.example" },
	{ "quietone", "MX", "@ MX 10 quiet.example\n@ MX 20 b.example" },
	{ "*.evil.test", "MX", "@ MX 10 b.example" },
};

static struct nameserver ns;
static struct resolver *resolver;

/*
 * ms. Who ends when its deadline says so and SLACK later at most does not wait for as long as the
 * rounds of question.c would take, 21 s. AGAIN, PROBE: as question.c has them.
 */
enum { MUCH = 60000, SHORT = 300, LONG = 6000, SLACK = 15000, AGAIN = 3000, PROBE = 3000 };

static const struct row {
	const char *domain;
	enum answer want;
	const char *hosts; /* of FOUND: "preference host address, ..." */
	const char *why;   /* a part of it, of anything else */
	int wait;          /* deadline, ms; 0: MUCH */
	int asked;         /* questions over UDP that this takes; 0: any number */
} rows[] = {
	{ "two", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 5 },
	{ "TWO", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 5 },
	{ "order", ANSWER_FOUND, "2 a.example 2001:db8::1, 2 a.example 192.0.2.1, "
		"2 a.example 192.0.2.2, 300 b.example 192.0.2.3, 65535 c.example 2001:db8::c", NULL,
		0, 7 },
	{ "double", ANSWER_FOUND, "5 b.example 192.0.2.3, 20 alias.example 192.0.2.3", NULL, 0, 0 },
	{ "null", ANSWER_NULL_MX, NULL, "", 0, 1 }, /* G9 */
	{ "null10", ANSWER_NULL_MX, NULL, "", 0, 1 },
	{ "nullmore", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "nulltwice", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "nx", ANSWER_NO_NAME, NULL, "NXDOMAIN", 0, 1 }, /* G3 */
	{ "nothing", ANSWER_NO_DATA, NULL, "none", 0, 3 }, /* G10 */
	{ "implicit", ANSWER_FOUND, "0 implicit 192.0.2.9", NULL, 0, 3 },
	{ "implicit6", ANSWER_FOUND, "0 implicit6 2001:db8::9", NULL, 0, 3 },
	{ "halfgone", ANSWER_NO_NAME, NULL, "none", 0, 3 },
	{ "implicitfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 0 },
	{ "nohost", ANSWER_NO_HOST, NULL, "none", 0, 3 }, /* G10, R48: never its own address */
	{ "emptyhost", ANSWER_NO_HOST, NULL, "none", 0, 3 },
	{ "onefails", ANSWER_FOUND, "20 b.example 192.0.2.3", NULL, 0, 0 },
	{ "allfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 0 },
	{ "half6", ANSWER_FOUND, "10 half6.example 192.0.2.1", NULL, 0, 0 },
	{ "bad6", ANSWER_FOUND, "10 bad6.example 192.0.2.1", NULL, 0, 0 },
	{ "badboth", ANSWER_TEMPORARY, NULL, "garbage", 0, 0 },
	{ "longboth", ANSWER_TEMPORARY, NULL, "garbage", 0, 0 },
	{ "mxcname", ANSWER_FOUND, "10 alias.example 192.0.2.3", NULL, 0, 0 }, /* G11 */
	{ "numbers", ANSWER_FOUND, "10 10.0.0.1 192.0.2.10", NULL, 0, 3 },

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
	{ "tcstall", ANSWER_TEMPORARY, NULL, "no answer over TCP", LONG, 0 },
	{ "tcclose", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 1 },
	{ "tchalf", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 1 },
	{ "tcslow", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "tcid", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 1 },
	{ "tcother", ANSWER_TEMPORARY, NULL, "no sense", 0, 1 }, /* G6 */
	{ "tctype", ANSWER_TEMPORARY, NULL, "no sense", 0, 1 },
	{ "tcquestion", ANSWER_TEMPORARY, NULL, "no sense", 0, 1 },
	{ "tctc", ANSWER_TEMPORARY, NULL, "truncated over TCP", 0, 1 },
	{ "tctiny", ANSWER_TEMPORARY, NULL, "no answer over TCP", 0, 1 },
	{ "tcservfail", ANSWER_TEMPORARY, NULL, "SERVFAIL", 0, 1 },
	{ "tcnull", ANSWER_NULL_MX, NULL, "", 0, 1 },
	{ "tcempty", ANSWER_FOUND, "0 tcempty 192.0.2.9", NULL, 0, 3 },
	{ "tcnx", ANSWER_NO_NAME, NULL, "NXDOMAIN", 0, 1 },
	{ "tccname", ANSWER_FOUND, "10 a.example 2001:db8::1, 10 a.example 192.0.2.1, "
		"10 a.example 192.0.2.2, 20 b.example 192.0.2.3", NULL, 0, 6 },
	/* G5 */
	/* what was not looked up is not known to have no address */
	{ "manygone", ANSWER_TEMPORARY, NULL, "m0.manygone addresses: not looked up", 0, 201 },

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

	{ "nul", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 }, /* G12 */
	{ "blank", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "shell", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "eight", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "slash", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "dot", ANSWER_NO_HOST, NULL, "no host with a usable name", 0, 1 },
	{ "someodd", ANSWER_FOUND, "10 b.example 192.0.2.3", NULL, 0, 3 },
	{ "under", ANSWER_FOUND, "10 _mx.under 192.0.2.8", NULL, 0, 3 },

	{ "cnamequiet", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 },
	{ "quietmx", ANSWER_TEMPORARY, NULL, "no answer in time", SHORT, 0 },
	{ "quietone", ANSWER_FOUND, "20 b.example 192.0.2.3", NULL, LONG, 0 },
	{ "single", ANSWER_NO_DATA, NULL, "none", 0, 3 }, /* G8 */

	{ "[192.0.2.7]", ANSWER_FOUND, "0 [192.0.2.7] 192.0.2.7", NULL, 0, 0 },
	{ "[ipv6:2001:db8::7]", ANSWER_FOUND, "0 [ipv6:2001:db8::7] 2001:db8::7", NULL, 0, 0 },
	{ "[x]", ANSWER_NO_NAME, NULL, "literal", 0, 0 },
	{ "a..b", ANSWER_NO_NAME, NULL, "not a domain name", 0, 0 },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ANSWER_NO_NAME, NULL,
		"not a domain name", 0, 0 },
};

static const char *const answer_name[] = { "FOUND", "NULL_MX", "NO_NAME", "NO_DATA", "NO_HOST",
	"TEMPORARY" };

static void
render(const struct exchangers *x, char *out, size_t size)
{
	char addr[NETADDR_TEXT];
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < x->n && n < size; i++) {
		netaddr_text(&x->v[i].addr, addr);
		n += (size_t)snprintf(out + n, size - n, "%s%d %s %s", i > 0 ? ", " : "",
			x->v[i].preference, x->v[i].host, addr);
	}
}

/*
 * So many questions since, and no more; but one that had no answer for long, because this machine
 * has much to do, is asked again, and rightly.
 */
static bool
asked_since(int before, int want, int64_t start)
{
	int asked = ns.counts->udp - before;
	return asked == want || (asked > want && clock_ms() - start >= AGAIN);
}

/* What nobody waited for is counted now, too: the server takes one question after the other. */
static void
let_it_catch_up(void)
{
	struct exchangers x;
	assert_int_equal(resolver_exchangers(resolver, "null", FAMILY_ANY, clock_ms() + MUCH, &x),
		ANSWER_NULL_MX);
	exchangers_free(&x);
}

/* With a resolver of its own: one remembers what its servers choke on. */
static void
run(const struct row *row)
{
	struct exchangers x;
	char hosts[4000];
	struct resolver *fresh = resolver_open(&ns.addr, 1, "us.example");
	assert_non_null(fresh);
	int before = ns.counts->udp;
	int64_t start = clock_ms(), deadline = start + (row->wait > 0 ? row->wait : MUCH);
	enum answer a = resolver_exchangers(fresh, row->domain, FAMILY_ANY, deadline, &x);
	int64_t took = clock_ms() - start;
	render(&x, hosts, sizeof(hosts));
	if (a != row->want || (a == ANSWER_FOUND && strcmp(hosts, row->hosts) != 0) ||
		(a != ANSWER_FOUND && strstr(x.why, row->why) == NULL))
		fail_msg("%s: %s: %s: %s", row->domain, answer_name[a], hosts, x.why);
	int sign_of_life = a == ANSWER_TEMPORARY;
	if (row->asked > 0 && !asked_since(before, row->asked + sign_of_life, start))
		fail_msg("%s: %d questions", row->domain, ns.counts->udp - before);
	assert_true(took < (row->wait > 0 ? row->wait : MUCH) + SLACK);
	assert_true(!x.unreached || took >= PROBE);
	exchangers_free(&x);
	resolver_close(fresh);
	if (row->wait > 0)
		let_it_catch_up();
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		run(&rows[i]);
}

/* The same of a number that may be less. */
static bool
asked_at_most(int before, int most, int64_t start)
{
	return ns.counts->udp - before <= most || clock_ms() - start >= AGAIN;
}

/* More than anybody needs: bounded, and the best first (G5). */
static void
test_many(void **state)
{
	(void)state;
	struct exchangers x;
	assert_int_equal(resolver_exchangers(resolver, "manya", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_ADDRESSES_MAX);
	exchangers_free(&x);
	int before = ns.counts->udp;
	int64_t start = clock_ms();
	assert_int_equal(resolver_exchangers(resolver, "many", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_HOSTS_MAX); /* though they have two addresses */
	assert_string_equal(x.v[0].host, "m999.many");
	assert_int_equal(x.v[x.n - 1].preference, EXCHANGER_HOSTS_MAX);
	assert_true(asked_at_most(before, 1 + 2 * EXCHANGER_HOSTS_MAX, start));
	exchangers_free(&x);
	before = ns.counts->udp;
	start = clock_ms();
	assert_int_equal(resolver_exchangers(resolver, "wide", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.n, EXCHANGER_ADDRESSES_MAX); /* of 20 000 */
	assert_string_equal(x.v[0].host, "m999.wide");
	assert_int_equal(x.v[x.n - 1].preference, EXCHANGER_ADDRESSES_MAX / 20);
	assert_true(asked_at_most(before, 1 + 2 * EXCHANGER_HOSTS_MAX, start));
	assert_true(clock_ms() - start < SLACK);
	exchangers_free(&x);
}

/* Hosts of equal preference in any order, the addresses of one host together (RFC 5321 5.1). */
static void
test_shuffle(void **state)
{
	(void)state;
	bool seen[2] = { false, false };
	for (int i = 0; i < 200 && !(seen[0] && seen[1]); i++) {
		struct exchangers x;
		assert_int_equal(resolver_exchangers(resolver, "equal", FAMILY_ANY, clock_deadline(60), &x),
			ANSWER_FOUND);
		assert_int_equal(x.n, 4);
		bool first = strcmp(x.v[0].host, "a.example") == 0;
		assert_string_equal(x.v[first ? 3 : 0].host, "b.example");
		seen[first] = true;
		exchangers_free(&x);
	}
	assert_true(seen[0] && seen[1]);
}

/* Where our own name stands is told, though it has no address (R51). */
static void
test_own_name(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		int own;
	} domains[] = { { "ours", 20 }, { "two", EXCHANGER_WORST + 1 }, { "nullmore", EXCHANGER_WORST + 1 },
		{ "implicit", EXCHANGER_WORST + 1 }, { "[192.0.2.7]", EXCHANGER_WORST + 1 } };
	for (size_t i = 0; i < ROWS(domains); i++) {
		struct exchangers x;
		assert_int_equal(resolver_exchangers(resolver, domains[i].domain, FAMILY_ANY,
			clock_deadline(60), &x), ANSWER_FOUND);
		assert_int_equal(x.own, domains[i].own);
		exchangers_free(&x);
	}
}

/* One family is left out of the questions, not only of what they bring. */
static void
test_families(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		enum family family;
		enum answer want;
		const char *hosts;
		int asked;
	} families[] = {
		{ "two", FAMILY_IPV4, ANSWER_FOUND, "10 a.example 192.0.2.1, 10 a.example 192.0.2.2, "
			"20 b.example 192.0.2.3", 3 },
		{ "two", FAMILY_IPV6, ANSWER_FOUND, "10 a.example 2001:db8::1", 3 },
		{ "implicit", FAMILY_IPV4, ANSWER_FOUND, "0 implicit 192.0.2.9", 2 },
		{ "implicit", FAMILY_IPV6, ANSWER_NO_DATA, "", 2 },
		{ "halfgone", FAMILY_IPV4, ANSWER_NO_NAME, "", 2 },
		{ "[192.0.2.7]", FAMILY_IPV6, ANSWER_NO_DATA, "", 0 },
		{ "[ipv6:2001:db8::7]", FAMILY_IPV4, ANSWER_NO_DATA, "", 0 },
		{ "[192.0.2.7]", FAMILY_IPV4, ANSWER_FOUND, "0 [192.0.2.7] 192.0.2.7", 0 },
	};
	for (size_t i = 0; i < ROWS(families); i++) {
		struct exchangers x;
		char hosts[1000];
		int before = ns.counts->udp;
		int64_t start = clock_ms();
		assert_int_equal(resolver_exchangers(resolver, families[i].domain, families[i].family,
			clock_deadline(60), &x), families[i].want);
		render(&x, hosts, sizeof(hosts));
		assert_string_equal(hosts, families[i].hosts);
		assert_true(asked_since(before, families[i].asked, start));
		exchangers_free(&x);
	}
}

/* Of a host that a route names: its addresses, whatever its MX records are. */
static void
test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		enum answer want;
		const char *hosts;
	} hosts[] = {
		{ "b.example", ANSWER_FOUND, "0 b.example 192.0.2.3" },
		{ "nohost", ANSWER_FOUND, "0 nohost 192.0.2.9" },
		{ "chain8", ANSWER_FOUND, "0 chain8 192.0.2.1" },
		{ "null", ANSWER_NO_DATA, "" },
		{ "gone.example", ANSWER_NO_NAME, "" },
		{ "fail.example", ANSWER_TEMPORARY, "" },
		{ "a..b", ANSWER_NO_NAME, "" },
	};
	for (size_t i = 0; i < ROWS(hosts); i++) {
		struct exchangers x;
		char found[1000];
		assert_int_equal(resolver_addresses(resolver, hosts[i].host, FAMILY_ANY, clock_deadline(60),
			&x), hosts[i].want);
		render(&x, found, sizeof(found));
		assert_string_equal(found, hosts[i].hosts);
		exchangers_free(&x);
	}
}

/* What this host's own file says of names that the operator wrote (L32). */
static void
test_named(void **state)
{
	(void)state;
	static const char text[] = "127.0.0.1 localhost\n# 192.0.2.1 comment.lan\n"
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

/* `unknown` is the best of the hosts whose addresses could not be had for now (L3). */
static void
test_unknown(void **state)
{
	(void)state;
	static const struct {
		const char *domain;
		int unknown;
		bool implicit;
		const char *why;
	} domains[] = {
		{ "two", EXCHANGER_WORST + 1, false, "" },
		{ "onefails", 10, false, "fail.example addresses: SERVFAIL" },
		{ "half6", 10, false, "half6.example addresses: SERVFAIL" },
		{ "bad6", 10, false, "bad6.example addresses: garbage" },
		{ "nosoahost2", EXCHANGER_WORST + 1, false, "" },
		{ "implicit", EXCHANGER_WORST + 1, true, "" },
		{ "[192.0.2.7]", EXCHANGER_WORST + 1, false, "" },
	};
	for (size_t i = 0; i < ROWS(domains); i++) {
		struct exchangers x;
		assert_int_equal(resolver_exchangers(resolver, domains[i].domain, FAMILY_ANY,
			clock_deadline(60), &x), ANSWER_FOUND);
		assert_int_equal(x.unknown, domains[i].unknown);
		assert_int_equal(x.implicit, domains[i].implicit);
		assert_non_null(strstr(x.why, domains[i].why));
		exchangers_free(&x);
	}
}

/* ---- threads ------------------------------------------------------------------------------- */

/* Nothing that a copy learns is the other's, and each may be used alone. */
static void
test_copy(void **state)
{
	(void)state;
	struct exchangers x;
	char path[] = "/tmp/hosts-XXXXXX", found[1000];
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "192.0.2.66 mail.lan\n", 20), 20);
	close(fd);
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	resolver_use_tcp(r);
	resolver_use_hosts(r, path);
	unlink(path);
	struct resolver *first = resolver_copy(r), *second = resolver_copy(r);
	assert_true(first != NULL && second != NULL);
	int udp = ns.counts->udp, tcp = ns.counts->tcp;
	assert_int_equal(resolver_exchangers(first, "ours", FAMILY_ANY, clock_deadline(60), &x), ANSWER_FOUND);
	assert_int_equal(x.own, 20); /* it has our name, */
	exchangers_free(&x);
	assert_int_equal(ns.counts->udp, udp); /* asks as the first one does, */
	assert_true(ns.counts->tcp > tcp);
	resolver_close(first);
	assert_int_equal(resolver_named(second, "mail.lan", FAMILY_ANY, &x), ANSWER_FOUND);
	render(&x, found, sizeof(found)); /* and has its file, which the end of another does not close */
	assert_string_equal(found, "0 mail.lan 192.0.2.66");
	exchangers_free(&x);
	resolver_close(second);
	assert_int_equal(resolver_named(r, "mail.lan", FAMILY_ANY, &x), ANSWER_FOUND);
	exchangers_free(&x);
	resolver_close(r);
}

/* S2: that a look-up was given up for others says nothing about the servers. */
static void
test_told(void **state)
{
	(void)state;
	struct exchangers x;
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	int told = eventfd(1, EFD_CLOEXEC);
	int64_t deadline = clock_deadline(60);
	wait_until_told(told);
	assert_int_equal(resolver_exchangers(r, "silent", FAMILY_ANY, deadline, &x), ANSWER_TEMPORARY);
	assert_false(x.unreached);
	exchangers_free(&x);
	wait_until_told(-1);
	assert_true(clock_ms() < deadline);
	assert_int_equal(resolver_exchangers(r, "implicit", FAMILY_ANY, deadline, &x), ANSWER_FOUND);
	exchangers_free(&x);
	resolver_close(r);
	close(told);
}

enum { THREADS = 8, TIMES = 100, LINES = 300 };

/* What one thread asks for, again and again, and the first thing that was not as it should be. */
struct asker {
	pthread_t thread;
	struct resolver *r;
	int number;
	char wrong[1200];
};

/* True: it is this, and nothing else. */
static bool
is(struct asker *a, enum answer got, struct exchangers *x, const char *want)
{
	char found[1000];
	render(x, found, sizeof(found));
	bool same = got == ANSWER_FOUND && strcmp(found, want) == 0;
	if (!same)
		snprintf(a->wrong, sizeof(a->wrong), "%s and not %s", found, want);
	exchangers_free(x);
	return same;
}

static void *
ask(void *asker)
{
	static const struct {
		const char *domain, *hosts;
	} domains[] = {
		{ "implicit6", "0 implicit6 2001:db8::9" },
		{ "tc", "10 b.example 192.0.2.3" }, /* over TCP, too */
		{ "numbers", "10 10.0.0.1 192.0.2.10" },
		{ "tcempty", "0 tcempty 192.0.2.9" },
		{ "mxcname", "10 alias.example 192.0.2.3" },
	};
	struct asker *a = asker;
	struct exchangers x;
	for (int i = 0; i < TIMES && a->wrong[0] == '\0'; i++) {
		char name[32], want[100];
		int line = (a->number * 37 + i * 7) % LINES;
		snprintf(name, sizeof(name), "h%d.lan", line);
		snprintf(want, sizeof(want), "0 %s 10.0.%d.%d", name, line / 250, line % 250);
		enum answer got = resolver_named(a->r, name, FAMILY_ANY, &x);
		if (!is(a, got, &x, want) || i % 5 != 0)
			continue;
		size_t d = (size_t)(a->number + i / 5) % ROWS(domains);
		got = resolver_exchangers(a->r, domains[d].domain, FAMILY_ANY, clock_deadline(60), &x);
		(void)is(a, got, &x, domains[d].hosts);
	}
	return NULL;
}

/* Copies of one resolver that are used at once, each by a thread, know what one alone knows. */
static void
test_threads(void **state)
{
	(void)state;
	char path[] = "/tmp/hosts-XXXXXX";
	struct asker askers[THREADS] = { { .number = 0 } };
	int fd = mkstemp(path);
	for (int i = 0; i < LINES; i++)
		dprintf(fd, "10.0.%d.%d h%d.lan  # so that a line is not all too short\n", i / 250,
			i % 250, i);
	close(fd);
	struct resolver *r = resolver_open(&ns.addr, 1, "us.example");
	resolver_use_hosts(r, path);
	unlink(path);
	for (int i = 0; i < THREADS; i++) {
		askers[i].number = i;
		askers[i].r = resolver_copy(r);
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
		resolver_close(askers[i].r);
	}
	resolver_close(r);
	for (int i = 0; i < THREADS; i++)
		assert_string_equal(askers[i].wrong, "");
}

static int
start(void **state)
{
	(void)state;
	/* What udns and the C library would listen to (G8, K2). */
	setenv("LOCALDOMAIN", "evil.test", 1);
	setenv("NAMESERVERS", "192.0.2.53", 1);
	setenv("RES_OPTIONS", "ndots:9", 1);
	nameserver_start(&ns, zone, ROWS(zone));
	resolver = resolver_open(&ns.addr, 1, "us.example");
	return resolver == NULL ? -1 : 0;
}

static int
stop(void **state)
{
	(void)state;
	resolver_close(resolver);
	nameserver_stop(&ns);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_own_name),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests_name("dns", tests, start, stop);
}

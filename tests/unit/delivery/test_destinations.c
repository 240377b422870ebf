/* destinations: to which hosts a lane's mail goes, and to which it must not (H1, H3, R51, R53). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "delivery/destinations.h"
#include "lib/cleanup.h"
#include "tests/unit/dns/nameserver.h"

enum { TEXT = 1000 };

static const struct zone zone[] = {
	{ "a.example", "A", "@ A 203.0.113.1" },
	{ "b.example", "A", "@ A 203.0.113.2" },
	{ "b.example", "AAAA", "@ AAAA 2001:db8::2" },
	{ "lo1.example", "A", "@ A 127.0.0.1" }, /* an address of this host */
	{ "lo2.example", "A", "@ A 127.0.0.2" }, /* loopback, and yet no address of this host */
	{ "private.example", "A", "@ A 10.1.2.3" },
	{ "local.example", "A", "@ A 169.254.1.1" },
	{ "multi.example", "A", "@ A 224.0.0.1" },
	{ "none.example", "A", "@ A 0.0.0.0" },
	{ "us.example", "A", "@ A 203.0.113.9" }, /* our name at an address that is not here */
	{ "fail.example", "*", "!rcode 2" },

	{ "two", "MX", "@ MX 10 a.example\n@ MX 20 b.example" },
	{ "loopback", "MX", "@ MX 10 lo2.example" },
	{ "own", "MX", "@ MX 10 lo1.example" },
	{ "private", "MX", "@ MX 10 private.example" },
	{ "local", "MX", "@ MX 10 local.example" },
	{ "multi", "MX", "@ MX 10 multi.example" },
	{ "none", "MX", "@ MX 10 none.example" },
	{ "mixed", "MX", "@ MX 10 private.example\n@ MX 20 a.example" },
	{ "named", "MX", "@ MX 10 us.example" },
	{ "cut", "MX",
		"@ MX 10 a.example\n@ MX 20 lo1.example\n@ MX 20 b.example\n@ MX 30 b.example" },
	{ "cutname", "MX", "@ MX 10 a.example\n@ MX 20 US.example\n@ MX 30 b.example" },
	{ "cuttwice", "MX",
		"@ MX 10 a.example\n@ MX 20 lo1.example\n@ MX 20 b.example\n@ MX 30 lo6.example" },
	{ "twin.example", "A", "@ A 203.0.113.11\n@ A 203.0.113.12" },
	{ "twin", "MX", "@ MX 10 twin.example" },
	{ "six", "MX", "@ MX 10 six.example\n@ MX 20 us.example\n@ MX 20 b.example" },
	{ "lo6.example", "AAAA", "@ AAAA ::1" },
	{ "six.example", "AAAA", "@ AAAA 2001:db8::6" },
	{ "allours", "MX", "@ MX 20 us.example\n@ MX 20 b.example" },
	{ "best", "MX", "@ MX 10 lo1.example\n@ MX 20 a.example" },
	{ "null", "MX", "@ MX 0 ." },

	/* better than us, or private, and in trouble */
	{ "trouble", "MX", "@ MX 10 fail.example\n@ MX 20 lo1.example" },
	{ "troublename", "MX", "@ MX 10 fail.example\n@ MX 20 us.example" },
	{ "troubleprivate", "MX", "@ MX 20 fail.example\n@ MX 10 private.example" },
	{ "half.example", "A", "@ A 10.1.2.3" },
	{ "half.example", "AAAA", "!rcode 2" },
	{ "half", "MX", "@ MX 10 half.example" },
	{ "troubleequal", "MX", "@ MX 20 fail.example\n@ MX 20 lo1.example" },
	{ "troubleworse", "MX", "@ MX 30 fail.example\n@ MX 20 lo1.example" },
	{ "troublegone", "MX", "@ MX 10 gone\n@ MX 20 lo1.example" },
	{ "troublebeside", "MX", "@ MX 10 fail.example\n@ MX 15 a.example\n@ MX 20 lo1.example" },

	/* addresses of domains without an MX record */
	{ "captive10", "A", "@ A 10.0.0.1" },
	{ "captive127", "A", "@ A 127.0.0.1" },
	{ "captive0", "A", "@ A 0.0.0.0" },
	{ "captive169", "A", "@ A 169.254.1.1" },
	{ "captive6", "AAAA", "@ AAAA fd00::1" },
	{ "captivemixed", "A", "@ A 10.0.0.1\n@ A 203.0.113.7" },
	{ "gone", "*", "!rcode 3" },
	/* whether there is an MX record is not said: no SOA */
	{ "*.unsaid", "MX", "!nosoa" },
	{ "here.unsaid", "A", "@ A 127.0.0.1" },
	{ "good.unsaid", "A", "@ A 203.0.113.7" },
	{ "us.unsaid", "A", "@ A 203.0.113.9" },
	{ "container", "A", "@ A 10.1.2.68" },
	{ "container", "*", "!rcode 3" },
	{ "servfail", "*", "!rcode 2" },
};

static struct nameserver ns;
static struct resolver *resolver;

/* "preference host address port", and "named", "tls"; one a line, in order. */
static void
render(const struct exchangers *x, char out[static TEXT])
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < x->n && n < TEXT; i++) {
		char addr[NETADDR_TEXT];
		netaddr_text(&x->v[i].addr, addr);
		n += (size_t)snprintf(out + n, TEXT - n, "%s%d %s %s %d%s%s", i > 0 ? "\n" : "",
			x->v[i].preference, x->v[i].host, x->v[i].socket ? "-" : addr, x->v[i].port,
			x->v[i].named ? " named" : "", x->v[i].tls_first ? " tls" : "");
	}
}

struct row {
	const char *lane;
	const char *hosts; /* of the route */
	const char *allow; /* allow_destinations */
	enum family family;
	enum conf_protocol protocol;
	enum outcome want;
	const char *found;
	const char *why; /* a part of it */
	bool unknown;    /* there may be another host, whose address cannot be had now */
	const char *own; /* our name; NULL: us.example */
};

static void
check(const struct row *t)
{
	char allow[TEXT], found[TEXT], own[TEXT];
	snprintf(allow, sizeof(allow), "allow_destinations=%s", t->allow != NULL ? t->allow : "");
	snprintf(own, sizeof(own), "hostname=%s", t->own != NULL ? t->own : "us.example");
	const char *options[] = { own, "timeout_dns=1m", allow };
	struct conf c = { 0 };
	auto_buf why = buf_new(TEXT);
	assert_int_equal(
		conf_load(&c,
			&(struct conf_args){
				.file = "/dev/null", .options = options, .n = ROWS(options) },
			NULL, &why),
		0);
	char *hosts = strdup(t->hosts != NULL ? t->hosts : "");
	struct conf_delivery way = c.delivery;
	way.hosts = hosts;
	way.family = t->family;
	way.protocol = t->protocol;
	struct exchangers x;
	enum outcome o = destinations_find(resolver, &c, &way, t->lane, &x, &why);
	render(&x, found);
	if (o != t->want || strcmp(found, t->found != NULL ? t->found : "") != 0)
		fail_msg("%s %s: %d, \"%s\", %.*s", t->lane, hosts, o, found, (int)why.n, why.p);
	if (t->why != NULL)
		assert_non_null(memmem(why.p, why.n, t->why, strlen(t->why)));
	assert_true((x.n > 0) == (o == DONE));
	if (o == DONE && (x.unknown <= EXCHANGER_WORST) != t->unknown)
		fail_msg("%s %s: unknown %d", t->lane, hosts, x.unknown);
	exchangers_free(&x);
	free(hosts);
	conf_free(&c);
}

static const char not_delivered[] = "554 5.4.6 all hosts for ";
static const struct row domains[] = {
	{ "two", .want = DONE,
		.found = "10 a.example 203.0.113.1 25\n20 b.example 2001:db8::2 25\n"
			 "20 b.example 203.0.113.2 25" },
	{ "two", .family = FAMILY_IPV4, .want = DONE,
		.found = "10 a.example 203.0.113.1 25\n20 b.example 203.0.113.2 25" },
	{ "two", .family = FAMILY_PREFER_IPV4, .want = DONE,
		.found = "0 a.example 203.0.113.1 25\n1 b.example 203.0.113.2 25\n2 "
			 "b.example 2001:db8::2 25" },
	/* addresses that no stranger makes us talk to */
	{ "loopback", .want = HARD, .why = not_delivered },
	{ "private", .want = HARD, .why = not_delivered },
	{ "local", .want = HARD, .why = not_delivered },
	{ "multi", .want = HARD, .why = not_delivered },
	{ "none", .want = HARD, .why = not_delivered },
	{ "[127.0.0.2]", .want = HARD, .why = not_delivered },
	{ "mixed", .want = DONE, .found = "20 a.example 203.0.113.1 25" },
	{ "private", .allow = "10.0.0.0/8", .want = DONE,
		.found = "10 private.example 10.1.2.3 25" },
	{ "private", .allow = "10.1.2.4", .want = HARD, .why = not_delivered },
	{ "loopback", .allow = "127.0.0.2", .want = DONE,
		.found = "10 lo2.example 127.0.0.2 25" },
	/* ourselves */
	{ "own", .want = HARD,
		.why = "554 5.4.6 mail for own would come back to this host" },
	{ "own", .allow = "127.0.0.1", .want = DONE,
		.found = "10 lo1.example 127.0.0.1 25" },
	{ "named", .want = HARD, .why = "would come back" },
	{ "cut", .want = DONE, .found = "10 a.example 203.0.113.1 25" },
	{ "cutname", .want = DONE, .found = "10 a.example 203.0.113.1 25" },
	{ "cuttwice", .want = DONE, .found = "10 a.example 203.0.113.1 25" },
	/* our name has no address of this family */
	{ "twin", .family = FAMILY_PREFER_IPV4, .want = DONE,
		.found = "0 twin.example 203.0.113.11 25\n0 twin.example 203.0.113.12 25" },
	{ "six", .family = FAMILY_IPV6, .want = DONE,
		.found = "10 six.example 2001:db8::6 25" },
	{ "allours", .family = FAMILY_IPV6, .want = HARD, .why = "would come back" },
	{ "best", .want = HARD, .why = "would come back" },
	/* what the DNS says instead of hosts */
	{ "null", .want = HARD, .why = "556 5.1.10 null does not take mail (null MX)" },
	{ "gone", .want = HARD, .why = "550 5.1.2 domain gone does not exist" },
	{ "nodata", .want = HARD, .why = "550 5.1.2 no host takes mail for nodata" },
	{ "servfail", .want = SOFT, .why = "DNS: " },
	/* L3: who was better, or may be good, is not known */
	{ "trouble", .want = SOFT, .why = "DNS: fail.example addresses: SERVFAIL" },
	{ "troublename", .want = SOFT, .why = "DNS: fail.example addresses: SERVFAIL" },
	{ "troubleprivate", .want = SOFT, .why = "DNS: fail.example addresses: SERVFAIL" },
	{ "half", .want = SOFT, .why = "DNS: half.example addresses: SERVFAIL" },
	{ "troubleequal", .want = HARD, .why = "would come back" },
	{ "troubleworse", .want = HARD, .why = "would come back" },
	{ "troublegone", .want = HARD, .why = "would come back" },
	{ "troublebeside", .want = DONE, .found = "15 a.example 203.0.113.1 25", .unknown = true },
	/* L4: no MX record names these addresses */
	{ "captive10", .want = SOFT, .why = "captive10 has no MX record" },
	{ "captive127", .want = SOFT, .why = "captive127 has no MX record" },
	{ "captive0", .want = SOFT, .why = "has no MX record" },
	{ "captive169", .want = SOFT, .why = "has no MX record" },
	{ "captive6", .want = SOFT, .why = "has no MX record" },
	{ "captivemixed", .want = DONE, .found = "0 captivemixed 203.0.113.7 25" },
	{ "captive10", .allow = "10.0.0.0/8", .want = DONE,
		.found = "0 captive10 10.0.0.1 25" },
	{ "us.example", .want = HARD, .why = "would come back" },
	/* ... though the domain has our name: it is ours where the address is, too */
	{ "captive10", .own = "captive10", .want = SOFT, .why = "captive10 has no MX record" },
	{ "captive127", .own = "captive127", .want = HARD, .why = "would come back" },
	/* L5, L3: there may be an MX record, and it would count more than these addresses */
	{ "us.unsaid", .own = "us.unsaid", .want = SOFT, .why = "DNS: us.unsaid MX: " },
	{ "here.unsaid", .own = "here.unsaid", .want = SOFT, .why = "DNS: here.unsaid MX: " },
	{ "good.unsaid", .want = DONE, .found = "0 good.unsaid 203.0.113.7 25", .unknown = true },
	{ "nodata.unsaid", .want = SOFT, .why = "DNS: nodata.unsaid MX: " },
};

/* Hosts that the DNS names. */
static void
test_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(domains); i++)
		check(&domains[i]);
}

static const struct row routes[] = {
	{ "route:r", .hosts = "[10.1.2.3]", .want = DONE,
		.found = "0 [10.1.2.3] 10.1.2.3 25 named" },
	{ "route:r", .hosts = "[b.example]:587", .family = FAMILY_IPV4, .want = DONE,
		.found = "0 b.example 203.0.113.2 587 named" },
	{ "route:r", .hosts = "[127.0.0.1]:2525", .want = DONE,
		.found = "0 [127.0.0.1] 127.0.0.1 2525 named" },
	{ "route:r", .hosts = "unix:/run/lmtp", .want = DONE,
		.found = "0 /run/lmtp - 25 named" },
	/* a domain's exchangers were named by the DNS, and keep their order */
	{ "route:r", .hosts = "two", .family = FAMILY_IPV4, .want = DONE,
		.found = "0 a.example 203.0.113.1 25\n1 b.example 203.0.113.2 25" },
	{ "route:r", .hosts = "[private.example]:26, two", .family = FAMILY_IPV4,
		.want = DONE,
		.found = "0 private.example 10.1.2.3 26 named\n1 a.example 203.0.113.1 25\n"
			 "2 b.example 203.0.113.2 25" },
	{ "route:r", .hosts = "private", .want = DONE,
		.found = "0 private.example 10.1.2.3 25" },
	/* what would come back: SMTP, on this host, where mail comes in */
	{ "route:r", .hosts = "[127.0.0.1]", .want = SOFT,
		.why = "lane route:r: its hosts lead back to this host" },
	{ "route:r", .hosts = "[127.0.0.2]", .want = SOFT, .why = "lead back" },
	{ "route:r", .hosts = "[us.example]", .want = SOFT, .why = "lead back" },
	{ "route:r", .hosts = "[us.example]:26", .want = DONE,
		.found = "0 us.example 203.0.113.9 26 named" },
	{ "route:r", .hosts = "[127.0.0.1]", .protocol = PROTOCOL_LMTP, .want = DONE,
		.found = "0 [127.0.0.1] 127.0.0.1 25 named" },
	{ "route:r", .hosts = "[127.0.0.1]", .allow = "127.0.0.1", .want = DONE,
		.found = "0 [127.0.0.1] 127.0.0.1 25 named" },
	/* no addresses of hosts */
	{ "route:r", .hosts = "[0.0.0.0]:26", .want = SOFT,
		.why = "addresses that are not delivered to" },
	{ "route:r", .hosts = "[224.0.0.1]:26", .want = SOFT,
		.why = "addresses that are not delivered to" },
	/* L47: TLS comes first */
	{ "route:r", .hosts = "[b.example]:465", .family = FAMILY_IPV4, .want = DONE,
		.found = "0 b.example 203.0.113.2 465 named tls" },
	{ "route:r", .hosts = "[10.1.2.3]:465 [10.1.2.3]:587", .want = DONE,
		.found = "0 [10.1.2.3] 10.1.2.3 465 named tls\n1 [10.1.2.3] 10.1.2.3 587 named" },
	{ "route:r", .hosts = "[10.1.2.3]:465", .protocol = PROTOCOL_LMTP, .want = DONE,
		.found = "0 [10.1.2.3] 10.1.2.3 465 named" },
	/* L32: this host's own file, but not for what the DNS names */
	{ "route:r", .hosts = "mail.lan:26", .want = DONE,
		.found = "0 mail.lan 10.1.2.66 26 named" },
	{ "route:r", .hosts = "mail.lan", .want = DONE, .found = "0 mail.lan 10.1.2.66 25 named" },
	{ "route:r", .hosts = "[a.example]", .want = DONE,
		.found = "0 a.example 10.1.2.67 25 named" },
	{ "route:r", .hosts = "[a.example]", .family = FAMILY_IPV6, .want = SOFT,
		.why = "a.example: DNS: " },
	{ "route:r", .hosts = "two", .family = FAMILY_IPV4, .want = DONE,
		.found = "0 a.example 203.0.113.1 25\n1 b.example 203.0.113.2 25" },
	/* a nameserver that knows addresses only, and has not heard of others: Docker's */
	{ "route:r", .hosts = "container", .want = DONE, .found = "0 container 10.1.2.68 25" },
	{ "container", .want = HARD, .why = "550 5.1.2 domain container does not exist" },
	/* one of several that cannot be found */
	{ "route:r", .hosts = "[gone], [twin.example]", .want = DONE,
		.found = "0 twin.example 203.0.113.11 25 named\n"
			 "0 twin.example 203.0.113.12 25 named", .unknown = true },
	{ "route:r", .hosts = "troublebeside [10.1.2.3]", .want = DONE,
		.found = "0 a.example 203.0.113.1 25\n1 [10.1.2.3] 10.1.2.3 25 named",
		.unknown = true },
	{ "route:r", .hosts = "gone", .want = SOFT, .why = "lane route:r: gone: DNS: " },
	{ "route:r", .hosts = "null", .want = SOFT, .why = "takes no mail (null MX)" },
	{ "route:r", .hosts = "", .want = SOFT,
		.why = "no such route in the configuration any more" },
};

/* Hosts that the operator named: no failure is for good. */
static void
test_routes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(routes); i++)
		check(&routes[i]);
}

static int
start(void **state)
{
	(void)state;
	nameserver_start(&ns, zone, ROWS(zone));
	resolver = resolver_open(&ns.addr, 1, "us.example");
	if (resolver == NULL)
		return -1;
	char path[] = "/tmp/hosts-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	fputs("10.1.2.66 mail.lan\n10.1.2.67 a.example\n", f);
	fclose(f);
	resolver_use_hosts(resolver, path);
	return unlink(path);
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
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_routes),
	};
	return cmocka_run_group_tests_name("destinations", tests, start, stop);
}

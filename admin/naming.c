#include "admin/naming.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/nameserver.h"
#include "conf/target.h"
#include "delivery/race.h"
#include "delivery/readiness.h"
#include "dns/ptr.h"
#include "dns/question.h"
#include "dns/server.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/match.h"
#include "sending/dial.h"

enum {
	PATIENCE = 5,	   /* s for an answer that any server has at hand */
	WAY_PATIENCE = 20, /* s for a host to be connected to, and to greet */
	ADDRESSES = 8,	   /* of our own that are looked at */
	WHY_SIZE = 512,
	SERVER_TEXT = 80,
};

#define NO_DOMAIN "nothing.invalid" /* which a list has that has all */

/* ---- nameservers --------------------------------------------------------------------------- */

/* Asks about our own name, which costs nobody anything. NULL: it answered; else what went wrong. */
static const char *
ask(const struct sockaddr_storage *server, const char *name, bool tcp, char why[static WHY_SIZE])
{
	struct question q;
	dnsc_t dn[DNS_MAXDN];
	int64_t deadline = clock_deadline(PATIENCE);
	if (dns_ptodn(name, 0, dn, sizeof(dn), NULL) <= 0)
		dn[0] = 0;
	question_set(&q, dn, DNS_T_A);
	q.plain = q.wanted = true;
	q.said = tcp ? SAID_TRUNCATED : SAID_NONE;
	int r = tcp ? server_tcp(server, &q, deadline) : server_udp(server, false, &q, 1, deadline);
	enum said said = q.said;
	free(q.packet);
	if (r < 0)
		snprintf(why, WHY_SIZE, "%s", strerror(-r));
	else if (said == SAID_TROUBLE)
		snprintf(why, WHY_SIZE, "%s", q.trouble != NULL ? q.trouble : "trouble");
	else if (said == SAID_NONE)
		snprintf(why, WHY_SIZE, "no answer within %d s", PATIENCE);
	else
		return NULL;
	return why;
}

/* "address:port", as the configuration has it. */
static void
print_server(const struct sockaddr_storage *server, char out[static SERVER_TEXT])
{
	FILE *f = fmemopen(out, SERVER_TEXT, "w");
	out[0] = '\0';
	if (f == NULL)
		return;
	nameserver_print(server, f);
	fclose(f);
}

static void
tell_server(struct teller *t, const struct conf *c, const struct sockaddr_storage *server)
{
	char name[SERVER_TEXT], of_udp[WHY_SIZE], of_tcp[WHY_SIZE];
	bool tcp_only = c->relay.nameserver.tcp;
	print_server(server, name);
	const char *udp = tcp_only ? NULL : ask(server, c->who.hostname, false, of_udp);
	const char *tcp = ask(server, c->who.hostname, true, of_tcp);
	if (udp != NULL && tcp != NULL)
		finding_tell(t, "resolver", FINDING_FAIL,
			"mend it, or take it out of nameserver or resolv.conf",
			"%s: over UDP %s, over TCP %s", name, udp, tcp);
	else if (udp != NULL)
		finding_tell(t, "resolver", FINDING_WARN,
			"let UDP through, or have \"options use-vc\" in resolv.conf, without "
			"nameserver",
			"%s: over UDP %s; over TCP it answers", name, udp);
	else if (tcp != NULL)
		finding_tell(t, "resolver", tcp_only ? FINDING_FAIL : FINDING_WARN,
			"let TCP through to port 53: answers that are long need it",
			"%s: over TCP %s", name, tcp);
	else
		finding_tell(t, "resolver", FINDING_OK, NULL, "%s answers over %sTCP", name,
			tcp_only ? "" : "UDP and ");
}

/* Asks for what is signed wherever there is DNSSEC, the root's SOA. Does it say that it is? */
static bool
validates(const struct sockaddr_storage *server, bool tcp)
{
	struct question q;
	int64_t deadline = clock_deadline(PATIENCE);
	question_set(&q, (dnscc_t *)"", DNS_T_SOA);
	q.plain = q.wanted = q.validated = q.secure = true;
	q.said = tcp ? SAID_TRUNCATED : SAID_NONE;
	(void)(tcp ? server_tcp(server, &q, deadline) : server_udp(server, false, &q, 1, deadline));
	bool secure = q.said == SAID_RECORDS && q.secure;
	free(q.packet);
	return secure;
}

/* NULL: answers of this server may count as DNSSEC-secure. */
static const char *
why_insecure(const struct conf *c, const struct sockaddr_storage *server)
{
	if (!resolver_trusts(&c->relay.dnssec_trusted, server))
		return "is neither on this host nor in dnssec_trusted";
	return validates(server, c->relay.nameserver.tcp) ? NULL : "does not validate (DNSSEC)";
}

/* Each server has to be one that validates; where DANE need not be there, that is no fault. */
void
naming_dnssec(struct teller *t, const struct conf *c)
{
	enum conf_dane dane = readiness_dane(c);
	for (int i = 0; dane != CONF_DANE_OFF && i < c->relay.nameserver.n; i++) {
		char name[SERVER_TEXT];
		const struct sockaddr_storage *server = &c->relay.nameserver.v[i];
		const char *why = why_insecure(c, server);
		print_server(server, name);
		if (why == NULL)
			finding_tell(t, "dnssec", FINDING_OK, NULL, "%s validates, so DANE counts",
				name);
		else
			finding_tell(t, "dnssec",
				dane == CONF_DANE_ONLY ? FINDING_FAIL : FINDING_SKIPPED,
				"use a resolver that validates, on this host",
				"%s %s, so there is no DANE", name, why);
	}
}

void
naming_resolvers(struct teller *t, const struct conf *c)
{
	for (int i = 0; i < c->relay.nameserver.n; i++)
		tell_server(t, c, &c->relay.nameserver.v[i]);
	if (c->relay.nameserver.n == 0)
		finding_tell(t, "resolver", FINDING_FAIL, "set nameserver, or write resolv.conf",
			"there is no nameserver, so no host can be found");
}

/* ---- our name ------------------------------------------------------------------------------ */

struct own {
	struct netaddr v[ADDRESSES];
	size_t n;
};

/* Those of this host that others can see. */
static void
find_public(struct own *own)
{
	struct ifaddrs *list;
	if (getifaddrs(&list) < 0)
		return;
	for (struct ifaddrs *i = list; i != NULL && own->n < ADDRESSES; i = i->ifa_next)
		if (i->ifa_addr != NULL && netaddr_from(i->ifa_addr, &own->v[own->n]) == 0 &&
			netaddr_class(&own->v[own->n]) == NET_PUBLIC)
			own->n++;
	freeifaddrs(list);
}

/* Behind a router that translates, they are those that the name has. */
static void
take_named(const struct exchangers *x, struct own *own)
{
	for (size_t i = 0; i < x->n && own->n < ADDRESSES; i++)
		own->v[own->n++] = x->v[i].addr;
}

static bool
is_among(const struct netaddr *a, const struct exchangers *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (netaddr_eq(a, &x->v[i].addr))
			return true;
	return false;
}

static bool
has_name(const struct ptr *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (span_ieq(span_of(p->name[i]), span_of(name)))
			return true;
	return false;
}

/* The address, its name, and the address of that: do they agree? */
static void
tell_address(struct teller *t, const struct conf *c, struct resolver *r, const struct netaddr *a,
	const struct exchangers *x)
{
	char text[NETADDR_TEXT];
	struct ptr p;
	const char *name = c->who.hostname;
	netaddr_text(a, text);
	enum answer said = ptr_find(r, a, clock_deadline(c->delivery.timeout_dns), &p);
	if (said == ANSWER_TEMPORARY)
		finding_tell(t, "ptr", FINDING_WARN, "see that its zone is served",
			"%s: its name cannot be found out: %s", text, p.why);
	else if (said != ANSWER_FOUND)
		finding_tell(t, "ptr", FINDING_WARN,
			"have who gave you the address set its PTR record: many hosts refuse mail "
			"without",
			"%s has no name in the DNS", text);
	else if (!has_name(&p, name))
		finding_tell(t, "ptr", FINDING_WARN,
			"set hostname to that name, or have the PTR record changed",
			"%s is called %s, and we say %s", text, p.name[0], name);
	else if (!is_among(a, x))
		finding_tell(t, "ptr", FINDING_WARN, "give that name this address, too",
			"%s is called %s, which has other addresses", text, name);
	else
		finding_tell(t, "ptr", FINDING_OK, NULL,
			"%s is called %s, and that has this "
			"address",
			text, name);
}

/* A route that has all mail: then its hosts look at our login, and not at our name. */
static const struct route *
route_of_all(const struct conf *c)
{
	const struct route *r = c->routes;
	while (r != NULL && (r->senders != NULL || !match_domain(r->domains, span_of(NO_DOMAIN))))
		r = r->next;
	return r;
}

/* Relays have given up: mail goes on, and not as its domains want it. */
static void
tell_given_up(struct teller *t, const struct conf *c, int64_t since)
{
	char advice[WHY_SIZE], when[CLOCK_STAMP_SIZE];
	clock_stamp(since, when);
	snprintf(advice, sizeof(advice), "\"%s --check\", as user %s, and what the log has of "
		"fetch say why; the next mail tries it again", c->who.fetch_path, c->who.user);
	finding_tell(t, "mta-sts", FINDING_WARN, advice, "since %s no fetch has come to be there: "
		"mail goes by the policies that are kept alone", when);
}

void
naming_policies(struct teller *t, const struct conf *c, int64_t given_up)
{
	if (route_of_all(c) != NULL)
		return;
	if (c->relay.mta_sts == CONF_YES && given_up > 0)
		tell_given_up(t, c, given_up);
	else if (c->relay.mta_sts == CONF_YES)
		finding_tell(t, "mta-sts", given_up < 0 ? FINDING_SKIPPED : FINDING_OK,
			given_up < 0 ? "run it as root" : NULL,
			"policies of domains are fetched over HTTPS, port %lld%s; \"postern explain "
			"ADDRESS\" shows that of one", (long long)c->relay.mta_sts_port,
			given_up < 0 ? ", and this user may not see whether they can be" : "");
	else
		finding_tell(t, "mta-sts", FINDING_SKIPPED,
			CONF_HAS_FETCH ? "take mta_sts = no out" : "have it built with libcurl",
			"it is off: policies of domains do not count");
}

void
naming_hostname(struct teller *t, const struct conf *c, struct resolver *r)
{
	struct exchangers x = { 0 };
	struct own own = { .n = 0 };
	const char *name = c->who.hostname;
	const struct route *all = route_of_all(c);
	if (all != NULL) {
		finding_tell(t, "hostname", FINDING_OK, NULL,
			"%s; all mail goes by [route %s], so "
			"the DNS need not know it",
			name, all->name);
		return;
	}
	enum answer a = name[0] == '[' ? ANSWER_NO_NAME
				       : resolver_addresses(r, name, FAMILY_ANY,
						 clock_deadline(c->delivery.timeout_dns), &x);
	if (a == ANSWER_FOUND)
		finding_tell(t, "hostname", FINDING_OK, NULL, "%s has an address", name);
	else
		finding_tell(t, "hostname", FINDING_WARN,
			"set hostname to a name with an address: many hosts refuse mail from "
			"others",
			"%s: %s", name, name[0] == '[' ? "it is no name" : x.why);
	find_public(&own);
	if (own.n == 0)
		take_named(&x, &own);
	for (size_t i = 0; i < own.n; i++)
		tell_address(t, c, r, &own.v[i], &x);
	exchangers_free(&x);
}

/* ---- the way out --------------------------------------------------------------------------- */

/* Its addresses, without their ports. */
static enum answer
find(struct resolver *r, const struct conf *c, const struct target *g, struct exchangers *x)
{
	int64_t deadline = clock_deadline(c->delivery.timeout_dns);
	if (g->kind == TARGET_HOST && resolver_named(r, g->name, c->delivery.family, x) ==
		ANSWER_FOUND)
		return ANSWER_FOUND;
	exchangers_free(x);
	if (g->kind == TARGET_HOST)
		return resolver_addresses(r, g->name, c->delivery.family, deadline, x);
	if (g->kind == TARGET_DOMAIN)
		return resolver_exchangers(r, g->name, c->delivery.family, deadline, x);
	x->v = calloc(1, sizeof(*x->v));
	if (x->v == NULL)
		return ANSWER_TEMPORARY;
	x->v[x->n++].addr = g->addr;
	netaddr_literal(&g->addr, x->v[0].host);
	return ANSWER_FOUND;
}

/* Of several hosts the first one is tried, with all its addresses. */
static void
keep_first(struct exchangers *x, uint16_t port)
{
	size_t n = 0;
	for (; n < x->n && strcmp(x->v[n].host, x->v[0].host) == 0; n++) {
		x->v[n].port = port;
		x->v[n].tls_first = port == PORT_SUBMISSIONS;
	}
	x->n = n;
}

static void
knock(struct teller *t, const struct conf *c, struct exchangers *x)
{
	static const struct hosts nothing = { .dir = -1 };
	struct conf_delivery d = c->delivery;
	struct exchanger to = x->v[0];
	struct race race;
	char name[DIAL_NAME];
	auto_buf why = buf_new(WHY_SIZE);
	d.timeout_connect = d.timeout_greeting = WAY_PATIENCE;
	int fd = race_begin(&race, &d, &nothing, NULL, x) < 0 ? -1 : race_next(&race, &to, &why);
	race_end(&race);
	dial_name(&to, name);
	if (fd < 0) {
		finding_tell(t, "way out", FINDING_FAIL,
			"many providers block port 25: ask them to open it, or send by a route to "
			"their relay",
			"%.*s", (int)why.n, why.n > 0 ? why.p : "");
		return;
	}
	if (!to.tls_first)
		(void)!write(fd, "QUIT\r\n", strlen("QUIT\r\n"));
	close(fd);
	finding_tell(t, "way out", FINDING_OK, NULL, "%s %s", name,
		to.tls_first ? "takes connections, and expects TLS" : "greets");
}

void
naming_way_out(struct teller *t, const struct conf *c, struct resolver *r, const char *target)
{
	struct target g;
	struct exchangers x = { 0 };
	if (target == NULL) {
		finding_tell(t, "way out", FINDING_SKIPPED,
			"\"postern doctor DOMAIN\" tries the first host of a domain",
			"port %lld of other hosts was not tried", (long long)c->relay.smtp_port);
		return;
	}
	if (target_parse(span_of(target), &g) < 0 || g.kind == TARGET_SOCKET) {
		finding_tell(t, "way out", FINDING_SKIPPED, "name a domain, or a host and its port",
			"%s: neither a host nor a domain", target);
		return;
	}
	enum answer a = find(r, c, &g, &x);
	if (a == ANSWER_FOUND && x.n > 0) {
		keep_first(&x, g.port != 0 ? g.port : (uint16_t)c->relay.smtp_port);
		knock(t, c, &x);
	} else {
		finding_tell(t, "way out", FINDING_FAIL,
			"name another one, if that is as it should be", "%s: %s", target,
			x.why[0] != '\0' ? x.why : "takes no mail (null MX)");
	}
	exchangers_free(&x);
}

/*
 * Mail exchangers: from a domain to the addresses that take its mail, by questions that
 * dns/question.c asks. Never blocks beyond the deadline it is given; never takes an answer it does
 * not understand for a "no": whatever is odd is temporary.
 */
#include "dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dns/discovery.h"
#include "dns/question.h"
#include "lib/cleanup.h"
#include "lib/wait.h"
#include "mail/address.h"

/* ---- resolver --------------------------------------------------------------------------- */

struct resolver *
resolver_open(const struct sockaddr_storage *servers, int n, const char *hostname)
{
	struct resolver *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	if (dns_ptodn(hostname, 0, r->own, sizeof(r->own), NULL) <= 0)
		r->own[0] = 0;
	(void)resolver_use_servers(r, servers, n, false);
	return r;
}

/*
 * Docker hands on what it hears from servers elsewhere, the bit that says "validated" included, by
 * an address of loopback.
 */
static bool
is_forwarder(const struct netaddr *a)
{
	static const uint8_t docker[] = { 127, 0, 0, 11 };
	return netaddr_is_v4(a) && memcmp(a->ip + 12, docker, sizeof(docker)) == 0;
}

bool
resolver_trusts(const struct netlist *vouchers, const struct sockaddr_storage *server)
{
	struct netaddr a;
	if (netaddr_from((const struct sockaddr *)server, &a) < 0)
		return false;
	return (netaddr_is_loopback(&a) && !is_forwarder(&a)) ||
		(vouchers != NULL && netlist_contains(vouchers, &a));
}

void
resolver_trust(struct resolver *r, const struct netlist *vouchers)
{
	r->vouchers = vouchers;
	r->trusted = r->servers > 0;
	for (int i = 0; i < r->servers; i++)
		r->trusted = r->trusted && resolver_trusts(vouchers, &r->server[i]);
}

bool
resolver_is_trusted(const struct resolver *r)
{
	return r->trusted;
}

void
resolver_use_dane(struct resolver *r, uint16_t port)
{
	r->dane = port;
}

bool
resolver_use_servers(struct resolver *r, const struct sockaddr_storage *servers, int n, bool tcp)
{
	struct resolver now = { .tcp = tcp, .hosts = r->hosts, .is_copy = r->is_copy };
	memcpy(now.own, r->own, sizeof(now.own));
	for (int i = 0; i < n && i < DNS_MAXSERV; i++)
		now.server[now.servers++] = servers[i];
	resolver_trust(&now, r->vouchers);
	bool others = !resolver_is_like(&now, r);
	if (others)
		*r = now;
	return others;
}

bool
resolver_is_like(const struct resolver *r, const struct resolver *other)
{
	return r->servers == other->servers && r->tcp == other->tcp &&
		memcmp(r->server, other->server, sizeof(r->server)) == 0;
}

void
resolver_use_tcp(struct resolver *r)
{
	r->tcp = true;
}

void
resolver_use_hosts(struct resolver *r, const char *path)
{
	r->hosts = fopen(path, "re");
}

struct resolver *
resolver_copy(const struct resolver *r)
{
	struct resolver *copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return NULL;
	*copy = *r;
	copy->is_copy = true;
	return copy;
}

void
resolver_close(struct resolver *r)
{
	if (!r->is_copy)
		cleanup_file(&r->hosts);
	free(r);
}

/* ---- MX --------------------------------------------------------------------------------- */

struct host {
	uint16_t preference;
	uint32_t order; /* random, for hosts of equal preference */
	dnsc_t name[DNS_MAXDN];
};

struct hosts {
	struct host v[RECORDS_MAX];
	int n;
	int nulls; /* records that name the root */
};

enum { BEYOND = EXCHANGER_WORST + 1 }; /* no record has this preference */

static const struct exchangers nobody = { .own = BEYOND, .unknown = BEYOND };

/* Letters, digits, "-", "_", "." only; anything else is not connected to (G12). */
static bool
plain_name(dnscc_t *dn)
{
	static const char allowed[] = "-_";
	for (dnscc_t *p = dn; *p != 0; p += *p + 1U)
		for (unsigned i = 1; i <= *p; i++) {
			char c = ascii_lower((char)p[i]);
			bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
			if (!ok && (c == '\0' || strchr(allowed, c) == NULL))
				return false;
		}
	return true;
}

static int
take_mx(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct hosts *h = ctx;
	dnscc_t *cur = rr->dnsrr_dptr + 2;
	struct host *x = &h->v[h->n];
	if (rr->dnsrr_dsz < 3 || h->n == RECORDS_MAX)
		return -1;
	if (dns_getdn(pkt, &cur, end, x->name, sizeof(x->name)) <= 0 || cur != rr->dnsrr_dend)
		return -1;
	x->preference = (uint16_t)dns_get16(rr->dnsrr_dptr);
	if (getrandom(&x->order, sizeof(x->order), 0) != (ssize_t)sizeof(x->order))
		return -1;
	if (x->name[0] == 0)
		h->nulls++;
	else if (plain_name(x->name))
		h->n++;
	return 0;
}

static int
compare_hosts(const void *a, const void *b)
{
	const struct host *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* ---- addresses -------------------------------------------------------------------------- */

struct addresses {
	struct netaddr v[EXCHANGER_ADDRESSES_MAX];
	size_t n;
};

static int
take_address(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct addresses *a = ctx;
	(void)pkt;
	(void)end;
	bool v4 = rr->dnsrr_typ == DNS_T_A;
	if (rr->dnsrr_dsz != (v4 ? 4U : 16U))
		return -1;
	if (a->n == EXCHANGER_ADDRESSES_MAX)
		return 0;
	struct netaddr *out = &a->v[a->n++];
	*out = (struct netaddr){ .ip = { [10] = 0xff, [11] = 0xff } };
	memcpy(v4 ? out->ip + 12 : out->ip, rr->dnsrr_dptr, rr->dnsrr_dsz);
	return 0;
}

/* Addresses in the answer to q; false if there are none or the packet is garbage. */
static bool
read_addresses(const struct question *q, struct addresses *out)
{
	out->n = 0;
	if (q->said != SAID_RECORDS || answer_each(q, take_address, out) >= 0)
		return true;
	out->n = 0;
	return false;
}

static void
write_name(dnscc_t *dn, char out[static LIMIT_DOMAIN + 1])
{
	dns_dntop(dn, out, LIMIT_DOMAIN + 1);
	for (char *c = out; *c != '\0'; c++)
		*c = ascii_lower(*c);
}

/* Another name of an address is another host: it may be asked for another certificate. */
static void
add_exchanger(struct exchangers *out, const struct host *h, const struct netaddr *a)
{
	struct exchanger x = { .preference = h->preference, .addr = *a,
		.vouched = out->secure && !out->implicit };
	write_name(h->name, x.host);
	for (size_t i = 0; i < out->n; i++)
		if (netaddr_eq(&out->v[i].addr, a) && strcmp(out->v[i].host, x.host) == 0)
			return; /* it stands there already, at a better preference */
	if (out->n < EXCHANGER_ADDRESSES_MAX)
		out->v[out->n++] = x;
}

static void
explain(struct exchangers *out, const char *domain, const char *what, const char *why)
{
	snprintf(out->why, sizeof(out->why), "%.100s %s: %s", domain, what, why);
}

/* Of this host something is not known for now. The trouble of the best one is kept. */
static void
note_unknown(struct exchangers *out, const struct host *h, const char *what, const char *why)
{
	char name[LIMIT_DOMAIN + 1];
	if (h->preference >= out->unknown)
		return;
	out->unknown = h->preference;
	dns_dntop(h->name, name, sizeof(name));
	explain(out, name, what, why);
}

/*
 * Places for n more. Most domains have one address or two, and very many may be waited for: none
 * takes the room of the most that there can be.
 */
static bool
make_room(struct exchangers *out, size_t n)
{
	size_t all = out->n + n < EXCHANGER_ADDRESSES_MAX ? out->n + n : EXCHANGER_ADDRESSES_MAX;
	struct exchanger *v = reallocarray(out->v, all, sizeof(*v));
	if (v == NULL)
		return false;
	out->v = v;
	return true;
}

/*
 * IPv6 and IPv4 in turn, so that a broken one of them costs one attempt (H8). Caches that drop the
 * SOA of "no data" are common: of a host that has addresses of one family, they are believed that
 * it has none of the other.
 */
static void
add_host(struct exchangers *out, const struct host *h, const struct question q[static 2])
{
	struct addresses v[2]; /* 13 KiB */
	bool good[2] = { read_addresses(&q[0], &v[0]), read_addresses(&q[1], &v[1]) };
	bool none = v[0].n == 0 && v[1].n == 0;
	for (int i = 0; i < 2; i++)
		if (q[i].said == SAID_TROUBLE || (q[i].said == SAID_EMPTY && none) || !good[i])
			note_unknown(out, h, "addresses",
				good[i] ? q[i].trouble : "garbage in the answer");
	if (none || !make_room(out, v[0].n + v[1].n)) {
		if (!none)
			note_unknown(out, h, "addresses", "out of memory");
		return;
	}
	for (size_t i = 0; i < v[0].n || i < v[1].n; i++)
		for (int family = 0; family < 2; family++)
			if (i < v[family].n)
				add_exchanger(out, h, &v[family].v[i]);
}

/* A question that is not asked, and agrees with any answer to the other one. */
static void
leave_out(struct question *q)
{
	q->open = false;
	q->said = SAID_NO_NAME;
}

/* All that is asked about hosts at the same time. */
struct look_up {
	struct question *q; /* of each host: AAAA, A */
	struct question *own; /* ... and its TLSA records; NULL: they are not asked for */
	struct discovery *dane;    /* ... and what they say */
	size_t n;             /* hosts */
};

static void
look_up_free(struct look_up *l)
{
	for (size_t i = 0; i < 2 * l->n && l->q != NULL; i++)
		free(l->q[i].packet);
	for (size_t i = 0; i < l->n && l->own != NULL; i++)
		free(l->own[i].packet);
	free(l->q);
	free(l->dane);
}

/* The questions lie behind each other. False: out of memory. */
static bool
look_up_begin(struct look_up *l, const struct host *h, size_t n, enum family family, uint16_t dane)
{
	*l = (struct look_up){ .n = n, .q = calloc(n * 3, sizeof(*l->q)),
		.dane = calloc(n, sizeof(*l->dane)) };
	if (l->q == NULL || l->dane == NULL)
		return false;
	l->own = dane != 0 ? l->q + 2 * n : NULL;
	for (size_t i = 0; i < n; i++) {
		question_set(&l->q[2 * i], h[i].name, DNS_T_AAAA);
		question_set(&l->q[2 * i + 1], h[i].name, DNS_T_A);
		if (family == FAMILY_IPV4)
			leave_out(&l->q[2 * i]);
		if (family == FAMILY_IPV6)
			leave_out(&l->q[2 * i + 1]);
		l->dane[i] = (struct discovery){ .host = h[i].name, .address = &l->q[2 * i],
			.own = l->own != NULL ? &l->own[i] : NULL };
		if (dane != 0)
			discovery_prepare(&l->dane[i], dane);
	}
	return true;
}

static bool
own_tlsa(struct exchangers *out, struct tlsa *t)
{
	struct tlsa **v = reallocarray(out->tlsa, out->tlsas + 1, sizeof(*v));
	if (v == NULL)
		return false;
	out->tlsa = v;
	v[out->tlsas++] = t;
	return true;
}

/* A host with what it asks for, or, if that is not known, without its addresses. */
static void
add_with_dane(struct exchangers *out, const struct host *h, const struct discovery *d)
{
	size_t before = out->n;
	const char *trouble = d->trouble;
	if (d->tlsa != NULL && !own_tlsa(out, d->tlsa)) {
		tlsa_drop(d->tlsa);
		trouble = "out of memory";
	}
	if (trouble != NULL) {
		note_unknown(out, h, "TLSA", trouble);
		out->unproved = true;
		return;
	}
	if (d->tlsa != NULL)
		snprintf(d->tlsa->domain, sizeof(d->tlsa->domain), "%s", out->end);
	add_host(out, h, d->address);
	for (; before < out->n; before++)
		out->v[before].tlsa = d->tlsa;
}

/* Addresses of n hosts, in this order. `none` is the answer if there are none for good. */
static enum answer
find_addresses(struct resolver *r, const char *domain, const struct host *h, int n,
	enum answer none, enum family family, int64_t deadline, struct exchangers *out)
{
	struct look_up l;
	uint16_t dane = r->trusted && out->secure ? r->dane : 0;
	if (!look_up_begin(&l, h, (size_t)n, family, dane)) {
		look_up_free(&l);
		explain(out, domain, "addresses", "out of memory");
		return ANSWER_TEMPORARY;
	}
	question_ask(r, l.q, l.n * (dane != 0 ? 3 : 2), deadline);
	if (dane != 0)
		discovery_conclude(r, l.dane, l.n, dane, deadline);
	bool no_name = true;
	for (size_t i = 0; i < l.n; i++) {
		add_with_dane(out, &h[i], &l.dane[i]);
		no_name = no_name && l.q[2 * i].said == SAID_NO_NAME &&
			l.q[2 * i + 1].said == SAID_NO_NAME;
	}
	look_up_free(&l);
	if (out->n > 0)
		return ANSWER_FOUND;
	if (out->unknown != BEYOND)
		return ANSWER_TEMPORARY;
	explain(out, domain, "addresses", "none");
	return none == ANSWER_NO_DATA && no_name ? ANSWER_NO_NAME : none;
}

static enum answer
find_literal(const char *domain, enum family family, struct exchangers *out)
{
	struct span s = { domain + 1, strlen(domain) - 2 };
	struct host h = { .preference = 0 };
	struct netaddr a;
	if (span_istarts(s, span_of("IPv6:")))
		s = span_skip(s, strlen("IPv6:"));
	out->v = calloc(1, sizeof(*out->v));
	if (out->v == NULL || netaddr_parse(s, &a) < 0) {
		explain(out, domain, "literal", "cannot be read");
		return out->v == NULL ? ANSWER_TEMPORARY : ANSWER_NO_NAME;
	}
	if (family == (netaddr_is_v4(&a) ? FAMILY_IPV6 : FAMILY_IPV4)) {
		explain(out, domain, "literal", "not of a family that is used here");
		return ANSWER_NO_DATA;
	}
	add_exchanger(out, &h, &a);
	snprintf(out->v[0].host, sizeof(out->v[0].host), "%s", domain);
	return ANSWER_FOUND;
}

/*
 * The best preference of this name among hosts in order; beyond EXCHANGER_WORST if it is not there.
 */
static int
preference_of(const struct hosts *h, dnscc_t *name)
{
	for (int i = 0; i < h->n; i++)
		if (dns_dnequal(h->v[i].name, name))
			return h->v[i].preference;
	return BEYOND;
}

/* The hosts of an MX set, best first. */
static enum answer
read_mx(const struct question *q, const char *domain, struct hosts *h, struct exchangers *out)
{
	int n = answer_each(q, take_mx, h);
	if (n < 0) {
		explain(out, domain, "MX", "garbage in the answer");
		return ANSWER_TEMPORARY;
	}
	if (n == 1 && h->nulls == 1)
		return ANSWER_NULL_MX;
	qsort(h->v, (size_t)h->n, sizeof(h->v[0]), compare_hosts);
	explain(out, domain, "MX", "no host with a usable name");
	return h->n > 0 ? ANSWER_FOUND : ANSWER_NO_HOST;
}

/* Those of `dn`, as if it were its own mail exchanger (RFC 5321 section 5.1). */
static enum answer
find_implicit(struct resolver *r, const char *domain, dnscc_t *dn, enum family family,
	int64_t deadline, struct exchangers *out)
{
	struct host h = { .preference = 0 };
	memcpy(h.name, dn, dns_dnlen(dn));
	out->implicit = true;
	return find_addresses(r, domain, &h, 1, ANSWER_NO_DATA, family, deadline, out);
}

/*
 * No MX record: the domain's own addresses. If there are none, that is for good only if it is sure
 * that there is no MX record either.
 */
static enum answer
find_without_mx(struct resolver *r, const char *domain, dnscc_t *dn, const struct question *mx,
	enum family family, int64_t deadline, struct exchangers *out)
{
	out->secure = mx->secure;
	enum answer a = find_implicit(r, domain, dn, family, deadline, out);
	if (mx->said != SAID_EMPTY || (a != ANSWER_NO_NAME && a != ANSWER_NO_DATA))
		return a;
	explain(out, domain, "MX", mx->trouble);
	return ANSWER_TEMPORARY;
}

/* The hosts that the records in q name. */
static enum answer
find_by_mx(struct resolver *r, const char *domain, const struct question *q, enum family family,
	int64_t deadline, struct exchangers *out)
{
	auto_memory struct hosts *h = calloc(1, sizeof(*h));
	enum answer a = ANSWER_TEMPORARY;
	if (h == NULL)
		explain(out, domain, "MX", "out of memory");
	else
		a = read_mx(q, domain, h, out);
	if (h == NULL || a != ANSWER_FOUND)
		return a;
	out->own = preference_of(h, r->own);
	out->secure = q->secure;
	if (q->links > 0)
		write_name(q->name, out->end);
	int n = h->n < EXCHANGER_HOSTS_MAX ? h->n : EXCHANGER_HOSTS_MAX;
	if (n < h->n)
		note_unknown(out, &h->v[n], "addresses", "not looked up, there are too many hosts");
	return find_addresses(r, domain, h->v, n, ANSWER_NO_HOST, family, deadline, out);
}

/* The MX records of a domain, and what else is asked for. */
static void
ask_for_mx(struct resolver *r, dnscc_t *dn, int64_t deadline, struct question *mx)
{
	struct question q[2];
	bool also = r->also.take != NULL;
	question_set(&q[0], dn, DNS_T_MX);
	if (also)
		question_set(&q[1], r->also.name, r->also.type);
	q[1].spare = true;
	question_ask(r, q, also ? 2 : 1, deadline);
	if (also)
		r->also.take(&q[1], r->also.out);
	*mx = q[0];
}

static enum answer
find_domain(struct resolver *r, const char *domain, dnscc_t *dn, enum family family,
	int64_t deadline, struct exchangers *out)
{
	struct question q;
	ask_for_mx(r, dn, deadline, &q);
	enum answer a = ANSWER_TEMPORARY;
	switch (q.said) {
	case SAID_RECORDS:
		a = find_by_mx(r, domain, &q, family, deadline, out);
		break;
	case SAID_NOTHING:
	case SAID_EMPTY:
		a = find_without_mx(r, domain, dn, &q, family, deadline, out);
		break;
	case SAID_NO_NAME:
		explain(out, domain, "MX", "NXDOMAIN");
		a = ANSWER_NO_NAME;
		break;
	default:
		explain(out, domain, "MX", q.trouble);
	}
	free(q.packet);
	return a;
}

/*
 * Before a look-up: after one in which no server said anything, the servers are asked for a sign of
 * life first, for there may be many domains to wait for. False: there is none.
 */
static bool
begin(struct resolver *r, const char *name, struct exchangers *out)
{
	r->reached = false;
	if (r->lost)
		(void)question_probe(r);
	if (!r->lost || r->reached)
		return true;
	out->unreached = true;
	explain(out, name, "not asked for", "no nameserver answers");
	return false;
}

static bool
ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);
	return n >= k && strcmp(text + n - k, end) == 0;
}

/* After it: whose fault is it that there is no answer? Nobody's, if it was cut short. */
static enum answer
blame(struct resolver *r, enum answer a, struct exchangers *out)
{
	bool vain = a == ANSWER_TEMPORARY && !wait_is_told();
	const char *trouble = vain ? question_probe(r) : NULL;
	r->lost = vain && !r->reached && !wait_is_told();
	out->unreached = r->lost;
	out->unsound = trouble != NULL && !r->lost && !wait_is_told() &&
		ends_in(out->why, trouble); /* some have no root, and refuse it */
	return a;
}

enum answer
resolver_addresses(struct resolver *r, const char *host, enum family family, int64_t deadline,
	struct exchangers *out)
{
	dnsc_t dn[DNS_MAXDN];
	*out = nobody;
	if (dns_ptodn(host, 0, dn, sizeof(dn), NULL) <= 0) {
		explain(out, host, "addresses", "not a domain name");
		return ANSWER_NO_NAME;
	}
	if (!begin(r, host, out))
		return ANSWER_TEMPORARY;
	out->secure = r->trusted;
	return blame(r, find_implicit(r, host, dn, family, deadline, out), out);
}

static enum answer
find_exchangers(struct resolver *r, const char *domain, enum family family, int64_t deadline,
	struct exchangers *out)
{
	dnsc_t dn[DNS_MAXDN];
	*out = nobody;
	if (domain[0] == '[')
		return find_literal(domain, family, out);
	if (dns_ptodn(domain, 0, dn, sizeof(dn), NULL) <= 0) {
		explain(out, domain, "MX", "not a domain name");
		return ANSWER_NO_NAME;
	}
	if (!begin(r, domain, out))
		return ANSWER_TEMPORARY;
	return blame(r, find_domain(r, domain, dn, family, deadline, out), out);
}

enum answer
resolver_exchangers(struct resolver *r, const char *domain, enum family family, int64_t deadline,
	struct exchangers *out)
{
	enum answer a = find_exchangers(r, domain, family, deadline, out);
	r->also.take = NULL; /* asked for or not: who wants it may be gone by the next one */
	return a;
}

/* ---- this host's own file ---------------------------------------------------------------- */

static bool
is_one_of(struct span names, struct span name)
{
	for (struct span word; (word = span_word(&names, " \t\r")).n > 0;)
		if (span_ieq(word, name))
			return true;
	return false;
}

/* "address name ...  # comment"; an address of a scope leads to no exchanger. */
static bool
take_hosts_line(struct span line, const char *host, enum family family, struct netaddr *a)
{
	line = span_cut(&line, '#');
	struct span address = span_word(&line, " \t\r");
	if (netaddr_parse(address, a) < 0 || !is_one_of(line, span_of(host)))
		return false;
	return family != (netaddr_is_v4(a) ? FAMILY_IPV6 : FAMILY_IPV4);
}

enum answer
resolver_named(struct resolver *r, const char *host, enum family family, struct exchangers *out)
{
	struct host h = { .preference = 0 };
	struct netaddr a;
	char *line = NULL;
	size_t size = 0;
	*out = nobody;
	if (r->hosts == NULL || dns_ptodn(host, 0, h.name, sizeof(h.name), NULL) <= 0)
		return ANSWER_NO_NAME;
	flockfile(r->hosts); /* one reads it at a time, for it is at one place */
	rewind(r->hosts);
	for (ssize_t n; (n = getline(&line, &size, r->hosts)) >= 0;) {
		struct span s = { line, (size_t)n };
		if (s.n > 0 && s.p[s.n - 1] == '\n')
			s.n--;
		if (take_hosts_line(s, host, family, &a) && make_room(out, 1))
			add_exchanger(out, &h, &a);
	}
	funlockfile(r->hosts);
	free(line);
	return out->n > 0 ? ANSWER_FOUND : ANSWER_NO_NAME;
}

/* ---- what becomes of them ----------------------------------------------------------------- */

void
exchangers_free(struct exchangers *e)
{
	for (size_t i = 0; i < e->tlsas; i++)
		tlsa_drop(e->tlsa[i]);
	free(e->tlsa);
	free(e->v);
	e->tlsa = NULL;
	e->tlsas = 0;
	e->v = NULL;
	e->n = 0;
}

int
exchangers_adopt(struct exchangers *out, struct exchangers *more)
{
	for (; more->tlsas > 0; more->tlsas--)
		if (!own_tlsa(out, more->tlsa[more->tlsas - 1]))
			return -ENOMEM;
	return 0;
}

void
exchanger_keep(struct exchanger *out, const struct exchanger *e)
{
	struct exchanger before = *out;
	*out = *e;
	out->tlsa = tlsa_hold(e->tlsa);
	exchanger_drop(&before);
}

void
exchanger_drop(struct exchanger *e)
{
	tlsa_drop(e->tlsa);
	e->tlsa = NULL;
}

void
exchanger_free(struct exchanger *e)
{
	if (e != NULL)
		exchanger_drop(e);
	free(e);
}

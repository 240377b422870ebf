/*
 * Mail exchangers: from a domain to the addresses that take its mail, by questions that
 * dns/question.c asks. Never blocks beyond the deadline it is given; never takes an answer it does
 * not understand for a "no": whatever is odd is temporary.
 */
#include "dns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "dns/question.h"
#include "lib/cleanup.h"
#include "mail/address.h"

enum { RESOLV_CONF_MAX = 8192 };

/* ---- resolver --------------------------------------------------------------------------- */

static void
read_resolv_conf(struct resolver *r)
{
	char text[RESOLV_CONF_MAX + 1];
	auto_fd fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, RESOLV_CONF_MAX) : 0;
	text[n > 0 ? n : 0] = '\0';
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		struct span s = span_trim(span_of(line));
		struct netaddr a;
		if (r->servers == DNS_MAXSERV || !span_istarts(s, span_of("nameserver")))
			continue;
		if (netaddr_parse(span_trim(span_skip(s, strlen("nameserver"))), &a) == 0)
			netaddr_to(&a, DNS_PORT, &r->server[r->servers++]);
	}
	if (r->servers == 0) { /* as resolv.conf(5) says */
		struct netaddr a;
		if (netaddr_parse(span_of("127.0.0.1"), &a) == 0)
			netaddr_to(&a, DNS_PORT, &r->server[r->servers++]);
	}
}

struct resolver *
resolver_open(const struct sockaddr_storage *servers, int n, const char *hostname)
{
	struct resolver *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	if (dns_ptodn(hostname, 0, r->own, sizeof(r->own), NULL) <= 0)
		r->own[0] = 0;
	dns_reset(NULL); /* what contexts are copied from: nothing of the environment or of files */
	for (int i = 0; i < n && i < DNS_MAXSERV; i++)
		r->server[r->servers++] = servers[i];
	if (n == 0)
		read_resolv_conf(r);
	return r;
}

void
resolver_close(struct resolver *r)
{
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

static const struct exchangers nobody = { .own = EXCHANGER_WORST + 1 };

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
	if (q->found != FOUND_RECORDS)
		return true;
	dnscc_t *end = q->packet + q->length, *cur = question_behind_name(q->packet, end);
	if (cur != NULL &&
		question_each(q->packet, end, cur, q->name, q->type, take_address, out) >= 0)
		return true;
	out->n = 0;
	return false;
}

static void
add_exchanger(struct exchangers *out, const struct host *h, const struct netaddr *a)
{
	for (size_t i = 0; i < out->n; i++)
		if (netaddr_eq(&out->v[i].addr, a))
			return; /* it stands there already, at a better preference */
	if (out->n == EXCHANGER_ADDRESSES_MAX)
		return;
	struct exchanger *x = &out->v[out->n++];
	x->preference = h->preference;
	x->addr = *a;
	dns_dntop(h->name, x->host, sizeof(x->host));
	for (char *c = x->host; *c != '\0'; c++)
		*c = ascii_lower(*c);
}

/* IPv6 and IPv4 in turn, so that a broken one of them costs one attempt (H8). False if the answer
 * about one of them was garbage; the other one is used all the same. */
static bool
add_host(struct exchangers *out, const struct host *h, const struct question q[static 2])
{
	static struct addresses v6, v4;
	bool good6 = read_addresses(&q[0], &v6), good4 = read_addresses(&q[1], &v4);
	for (size_t i = 0; i < v6.n || i < v4.n; i++) {
		if (i < v6.n)
			add_exchanger(out, h, &v6.v[i]);
		if (i < v4.n)
			add_exchanger(out, h, &v4.v[i]);
	}
	return good6 && good4;
}

/* A question that is not asked, and agrees with any answer to the other one. */
static void
leave_out(struct question *q)
{
	q->open = false;
	q->found = FOUND_NO_NAME;
}

static void
explain(struct exchangers *out, const char *domain, const char *what, const char *why)
{
	snprintf(out->why, sizeof(out->why), "%.100s %s: %s", domain, what, why);
}

/* Addresses of n hosts, in this order. `none` is the answer if there are none for good. */
static enum answer
find_addresses(struct resolver *r, const char *domain, const struct host *h, int n,
	enum answer none, enum family family, int64_t deadline, struct exchangers *out)
{
	struct question *q = calloc((size_t)n * 2, sizeof(*q));
	out->v = calloc(EXCHANGER_ADDRESSES_MAX, sizeof(*out->v));
	if (q == NULL || out->v == NULL) {
		free(q);
		explain(out, domain, "addresses", "out of memory");
		return ANSWER_TEMPORARY;
	}
	for (int i = 0; i < n; i++) {
		question_set(&q[2 * i], h[i].name, DNS_T_AAAA);
		question_set(&q[2 * i + 1], h[i].name, DNS_T_A);
		if (family == FAMILY_IPV4)
			leave_out(&q[2 * i]);
		if (family == FAMILY_IPV6)
			leave_out(&q[2 * i + 1]);
	}
	question_ask(r, q, (size_t)n * 2, deadline);
	bool no_name = true;
	const char *bad = NULL;
	for (int i = 0; i < n; i++)
		if (!add_host(out, &h[i], &q[2 * i]))
			bad = "garbage in the answer";
	for (int i = 0; i < 2 * n; i++) {
		if (q[i].found == FOUND_TROUBLE)
			bad = q[i].trouble;
		no_name = no_name && q[i].found == FOUND_NO_NAME;
		free(q[i].packet);
	}
	free(q);
	if (out->n > 0)
		return ANSWER_FOUND;
	explain(out, domain, "addresses", bad != NULL ? bad : "none");
	if (bad != NULL)
		return ANSWER_TEMPORARY;
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
	return nobody.own;
}

/* The hosts of an MX set, best first. */
static enum answer
read_mx(const struct question *q, const char *domain, struct hosts *h, struct exchangers *out)
{
	dnscc_t *end = q->packet + q->length, *cur = question_behind_name(q->packet, end);
	int n = cur != NULL ? question_each(q->packet, end, cur, q->name, DNS_T_MX, take_mx, h)
			    : -1;
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
	return find_addresses(r, domain, &h, 1, ANSWER_NO_DATA, family, deadline, out);
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
	return find_implicit(r, host, dn, family, deadline, out);
}

enum answer
resolver_exchangers(struct resolver *r, const char *domain, enum family family, int64_t deadline,
	struct exchangers *out)
{
	static struct hosts h;
	dnsc_t dn[DNS_MAXDN];
	struct question q;
	*out = nobody;
	if (domain[0] == '[')
		return find_literal(domain, family, out);
	if (dns_ptodn(domain, 0, dn, sizeof(dn), NULL) <= 0) {
		explain(out, domain, "MX", "not a domain name");
		return ANSWER_NO_NAME;
	}
	h.n = h.nulls = 0;
	question_set(&q, dn, DNS_T_MX);
	question_ask(r, &q, 1, deadline);
	if (q.found == FOUND_TROUBLE) {
		explain(out, domain, "MX", q.trouble);
		return ANSWER_TEMPORARY;
	}
	if (q.found == FOUND_NO_NAME) {
		explain(out, domain, "MX", "NXDOMAIN");
		return ANSWER_NO_NAME;
	}
	if (q.found == FOUND_NOTHING)
		return find_implicit(r, domain, dn, family, deadline, out);
	enum answer a = read_mx(&q, domain, &h, out);
	free(q.packet);
	if (a != ANSWER_FOUND)
		return a;
	out->own = preference_of(&h, r->own);
	int n = h.n < EXCHANGER_HOSTS_MAX ? h.n : EXCHANGER_HOSTS_MAX;
	return find_addresses(r, domain, h.v, n, ANSWER_NO_HOST, family, deadline, out);
}

void
exchangers_free(struct exchangers *e)
{
	free(e->v);
	e->v = NULL;
	e->n = 0;
}

/*
 * Mail exchangers by DNS.
 *
 * udns sends the questions, waits, and repeats them; what comes back is read here, from the raw
 * packet, in one place for UDP and TCP, with udns' own packet parser. A batch is a set of questions
 * that are out at the same time: one for the MX set, then two for each of its hosts.
 *
 * Never blocks beyond the deadline it is given; never takes an answer it does not understand for a
 * "no": whatever is odd is temporary. udns asserts on its own state only; should it ever fire, the
 * process dies, the locks are free and the mail is where it was (G16).
 */
#include "dns.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <udns.h>
#include <unistd.h>

#include "lib/address.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

enum {
	UDP_SIZE = 1232,        /* fits into any path MTU (DNS flag day 2020) */
	UDP_TIMEOUT = 3,        /* s for the first try of a server; udns lengthens it */
	UDP_TRIES = 3,
	TCP_TIMEOUT = 10,       /* s for a whole exchange with one server */
	TCP_SIZE = 65535,
	QUESTION_MAX = DNS_HSIZE + DNS_MAXDN + 4,
	RECORDS_MAX = 2000,     /* looked at in one answer (G5) */
	RESOLV_CONF_MAX = 8192,
};

struct resolver {
	struct sockaddr_storage server[DNS_MAXSERV];
	int servers;
};

/* What became of a question. */
enum found { FOUND_RECORDS, FOUND_NOTHING, FOUND_NO_NAME, FOUND_TROUBLE };

struct question {
	dnsc_t name[DNS_MAXDN]; /* asked for now; changes along a CNAME chain */
	enum dns_type type;
	int links;              /* CNAMEs followed */
	bool open;              /* no result yet */
	bool truncated;
	int rcode;              /* last one seen by the debug hook, -1: none */
	dnsc_t *packet;         /* owned; the answer, when found == FOUND_RECORDS */
	int length;
	enum found found;
	const char *trouble;
};

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

static struct dns_ctx *
open_context(const struct resolver *r)
{
	struct dns_ctx *ctx = dns_new(NULL);
	if (ctx == NULL)
		return NULL;
	for (int i = 0; i < r->servers; i++)
		if (dns_add_serv_s(ctx, (const struct sockaddr *)&r->server[i]) < 0)
			break;
	dns_set_opt(ctx, DNS_OPT_FLAGS, DNS_NOSRCH);
	dns_set_opt(ctx, DNS_OPT_UDPSIZE, UDP_SIZE);
	dns_set_opt(ctx, DNS_OPT_TIMEOUT, UDP_TIMEOUT);
	dns_set_opt(ctx, DNS_OPT_NTRIES, UDP_TRIES);
	if (dns_open(ctx) < 0) {
		dns_free(ctx);
		return NULL;
	}
	return ctx;
}

struct resolver *
resolver_open(const struct sockaddr_storage *servers, int n)
{
	struct resolver *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
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

/* ---- reading a packet ------------------------------------------------------------------- */

/* What stands behind the name of the question, or NULL. (udns' dns_skipdn fails on good names.) */
static dnscc_t *
behind_name(dnscc_t *pkt, dnscc_t *end)
{
	dnsc_t dn[DNS_MAXDN];
	dnscc_t *cur = pkt + DNS_HSIZE;
	return dns_getdn(pkt, &cur, end, dn, sizeof(dn)) > 0 && end - cur >= 4 ? cur : NULL;
}

/*
 * The type and class of the question, where udns' parser wants to start (the answers stand four
 * octets behind it), or NULL if the packet is not an answer to this question.
 */
static dnscc_t *
check_question(const struct question *q, dnscc_t *pkt, dnscc_t *end)
{
	dnsc_t dn[DNS_MAXDN];
	dnscc_t *cur = pkt + DNS_HSIZE;
	if (end - pkt < DNS_HSIZE || !dns_qr(pkt) || dns_numqd(pkt) != 1)
		return NULL;
	if (dns_getdn(pkt, &cur, end, dn, sizeof(dn)) <= 0 || end - cur < 4)
		return NULL;
	if (!dns_dnequal(dn, q->name) || dns_get16(cur) != (unsigned)q->type ||
		dns_get16(cur + 2) != DNS_C_IN)
		return NULL;
	return cur;
}

/* Calls `take` for each record of name `dn` and this type. <0: the packet is garbage. */
typedef int take_fn(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr);

static int
each_record(dnscc_t *pkt, dnscc_t *end, dnscc_t *cur, dnscc_t *dn, enum dns_type type,
	take_fn *take, void *ctx)
{
	struct dns_parse p;
	struct dns_rr rr;
	int n = 0, r;
	dns_initparse(&p, NULL, pkt, cur, end);
	p.dnsp_qtyp = 0; /* all types: we choose */
	while ((r = dns_nextrr(&p, &rr)) > 0 && n < RECORDS_MAX) {
		if (rr.dnsrr_cls != DNS_C_IN || rr.dnsrr_typ != type ||
			!dns_dnequal(rr.dnsrr_dn, dn))
			continue;
		n++;
		r = take(ctx, pkt, end, &rr);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : n;
}

static int
take_cname(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	dnscc_t *cur = rr->dnsrr_dptr;
	dnsc_t dn[DNS_MAXDN];
	if (dns_getdn(pkt, &cur, end, dn, sizeof(dn)) <= 0 || cur != rr->dnsrr_dend)
		return -1;
	memcpy(ctx, dn, sizeof(dn));
	return 0;
}

static int
take_any(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	(void)ctx;
	(void)pkt;
	(void)end;
	(void)rr;
	return 0;
}

static void
trouble(struct question *q, const char *what)
{
	q->open = false;
	q->found = FOUND_TROUBLE;
	q->trouble = what;
}

static const char *
rcode_name(int rcode)
{
	switch (rcode) {
	case DNS_R_FORMERR:
		return "FORMERR";
	case DNS_R_SERVFAIL:
		return "SERVFAIL";
	case DNS_R_NOTIMPL:
		return "NOTIMP";
	case DNS_R_REFUSED:
		return "REFUSED";
	default:
		return "an answer that makes no sense";
	}
}

/*
 * Reads an answer to q, following CNAMEs inside it. The question stays open if a CNAME led to a
 * name the packet says nothing about: then it is to be asked again.
 */
static void
read_answer(struct question *q, dnscc_t *pkt, int length)
{
	dnscc_t *end = pkt + length;
	dnscc_t *cur = check_question(q, pkt, end);
	if (cur == NULL) {
		trouble(q, rcode_name(-1));
		return;
	}
	int rcode = dns_rcode(pkt);
	if (rcode != DNS_R_NOERROR && rcode != DNS_R_NXDOMAIN) {
		trouble(q, rcode_name(rcode));
		return;
	}
	bool followed = false;
	dnsc_t target[DNS_MAXDN];
	for (;;) {
		int n = each_record(pkt, end, cur, q->name, q->type, take_any, NULL);
		int links = n == 0 ? each_record(pkt, end, cur, q->name, DNS_T_CNAME, take_cname,
			target) : 0;
		if (n < 0 || links < 0) {
			trouble(q, "garbage in the answer");
			return;
		}
		if (n > 0) {
			q->open = false;
			q->found = FOUND_RECORDS;
			q->packet = malloc((size_t)length);
			if (q->packet == NULL) {
				trouble(q, "out of memory");
				return;
			}
			memcpy(q->packet, pkt, (size_t)length);
			q->length = length;
			return;
		}
		if (links == 0)
			break;
		memcpy(q->name, target, dns_dnlen(target));
		followed = true;
		if (++q->links > EXCHANGER_CNAME_MAX) {
			trouble(q, "endless CNAME chain");
			return;
		}
	}
	if (followed && rcode == DNS_R_NOERROR)
		return; /* ask for the name at the end of the chain */
	q->open = false;
	q->found = rcode == DNS_R_NXDOMAIN ? FOUND_NO_NAME : FOUND_NOTHING;
}

/* ---- TCP -------------------------------------------------------------------------------- */

static bool
wait_fd(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;
	do
		r = poll(&p, 1, clock_left(deadline));
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/* Moves all n bytes, out or in. */
static bool
transfer(int fd, dnsc_t *p, size_t n, bool out, int64_t deadline)
{
	while (n > 0) {
		if (!wait_fd(fd, out ? POLLOUT : POLLIN, deadline))
			return false;
		ssize_t k = out ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
		if (k < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static size_t
write_question(const struct question *q, dnsc_t *out, unsigned id)
{
	unsigned n = dns_dnlen(q->name);
	dnsc_t *p = dns_put16(out, id);
	*p++ = DNS_HF1_RD;
	*p++ = 0;
	p = dns_put16(p, 1);
	memset(p, 0, 6);
	p += 6;
	memcpy(p, q->name, n);
	p = dns_put16(p + n, (unsigned)q->type);
	p = dns_put16(p, DNS_C_IN);
	return (size_t)(p - out);
}

/* One exchange with one server. Octets of the answer in `packet`, or -1. */
static int
exchange_tcp(const struct sockaddr_storage *server, const struct question *q, dnsc_t *packet,
	int64_t deadline)
{
	uint16_t id = 0;
	dnsc_t request[2 + QUESTION_MAX], size[2];
	socklen_t len = server->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						     : sizeof(struct sockaddr_in6);
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -1;
	size_t n = write_question(q, request + 2, id);
	dns_put16(request, (unsigned)n);
	auto_fd fd = socket(server->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)server, len) < 0 && errno != EINPROGRESS)
		return -1;
	if (!transfer(fd, request, n + 2, true, deadline) ||
		!transfer(fd, size, sizeof(size), false, deadline))
		return -1;
	int length = (int)dns_get16(size);
	if (length < DNS_HSIZE || !transfer(fd, packet, (size_t)length, false, deadline))
		return -1;
	return dns_qid(packet) == id ? length : -1;
}

static void
ask_tcp(struct resolver *r, struct question *q, int64_t deadline)
{
	static dnsc_t packet[TCP_SIZE];
	for (int i = 0; i < r->servers; i++) {
		int64_t until = clock_earlier(deadline, clock_deadline(TCP_TIMEOUT));
		int n = exchange_tcp(&r->server[i], q, packet, until);
		if (n > 0) {
			read_answer(q, packet, n);
			return;
		}
	}
	trouble(q, "truncated over UDP, no answer over TCP");
}

/* ---- UDP -------------------------------------------------------------------------------- */

/* The questions that are out; the debug hook gets no pointer of ours. */
static struct {
	struct question *v;
	size_t n;
} out_now;

/* Sees every packet before udns does: the only place where TC and the rcode can be told. */
static void
see_packet(int code, const struct sockaddr *sa, unsigned salen, dnscc_t *pkt, int plen,
	const struct dns_query *query, void *data)
{
	(void)sa;
	(void)salen;
	(void)query;
	struct question *q = data;
	if (code < 0 || q == NULL || q < out_now.v || q >= out_now.v + out_now.n)
		return;
	if (plen < DNS_HSIZE || !dns_qr(pkt))
		return;
	q->rcode = dns_rcode(pkt);
	if (dns_tc(pkt))
		q->truncated = true;
}

/* udns' parse hook: hands the whole packet through. */
struct raw {
	int length;
	dnsc_t packet[];
};

static int
keep_raw(dnscc_t *qdn, dnscc_t *pkt, dnscc_t *cur, dnscc_t *end, void **result)
{
	(void)qdn;
	(void)cur;
	struct raw *raw = malloc(sizeof(*raw) + (size_t)(end - pkt));
	if (raw == NULL)
		return DNS_E_NOMEM;
	raw->length = (int)(end - pkt);
	memcpy(raw->packet, pkt, (size_t)(end - pkt));
	*result = raw;
	return 0;
}

static void
on_answer(struct dns_ctx *ctx, void *result, void *data)
{
	struct question *q = data;
	struct raw *raw = result;
	int status = dns_status(ctx);
	if (raw != NULL) {
		read_answer(q, raw->packet, raw->length);
		free(raw); /* if only a CNAME came, q is open still: the batch asks again */
	} else if (q->truncated) {
		return; /* open: the batch asks over TCP */
	} else if (status == DNS_E_NXDOMAIN) {
		q->open = false;
		q->found = FOUND_NO_NAME;
	} else if (status == DNS_E_NODATA) {
		q->open = false;
		q->found = FOUND_NOTHING;
	} else {
		trouble(q, q->rcode > 0 ? rcode_name(q->rcode) : "no answer");
	}
}

/* Sends what is open over UDP and waits. */
static void
ask_udp(struct resolver *r, struct question *v, size_t n, int64_t deadline)
{
	struct dns_ctx *ctx = open_context(r); /* a fresh one: a port of its own for each round */
	for (size_t i = 0; i < n && ctx == NULL; i++)
		if (v[i].open)
			trouble(&v[i], "cannot open a socket");
	if (ctx == NULL)
		return;
	out_now.v = v;
	out_now.n = n;
	dns_set_dbgfn(ctx, see_packet);
	for (size_t i = 0; i < n; i++)
		if (v[i].open && dns_submit_dn(ctx, v[i].name, DNS_C_IN, (int)v[i].type,
			DNS_NOSRCH, keep_raw, on_answer, &v[i]) == NULL)
			trouble(&v[i], "cannot ask");
	while (dns_active(ctx) > 0 && clock_left(deadline) > 0) {
		int wait = dns_timeouts(ctx, 1, time(NULL));
		int64_t until = clock_deadline(wait > 0 ? wait : 1);
		if (dns_active(ctx) > 0 &&
			wait_fd(dns_sock(ctx), POLLIN, clock_earlier(deadline, until)))
			dns_ioevent(ctx, time(NULL));
	}
	dns_free(ctx); /* drops what is still out, without a call back */
	out_now.n = 0;
}

/* Asks until every question has its result. */
static void
ask(struct resolver *r, struct question *v, size_t n, int64_t deadline)
{
	for (int round = 0; round <= EXCHANGER_CNAME_MAX; round++) {
		bool open = false;
		for (size_t i = 0; i < n; i++) {
			open = open || v[i].open;
			v[i].truncated = false;
			v[i].rcode = -1;
		}
		if (!open || clock_left(deadline) == 0)
			break;
		ask_udp(r, v, n, deadline);
		for (size_t i = 0; i < n; i++)
			if (v[i].open && v[i].truncated)
				ask_tcp(r, &v[i], deadline);
	}
	for (size_t i = 0; i < n; i++)
		if (v[i].open)
			trouble(&v[i], "no answer in time");
}

static void
set_question(struct question *q, dnscc_t *name, enum dns_type type)
{
	*q = (struct question){ .type = type, .open = true, .rcode = -1 };
	memcpy(q->name, name, dns_dnlen(name));
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
	dnscc_t *end = q->packet + q->length, *cur = behind_name(q->packet, end);
	if (cur != NULL && each_record(q->packet, end, cur, q->name, q->type, take_address, out) >= 0)
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

static void
explain(struct exchangers *out, const char *domain, const char *what, const char *why)
{
	snprintf(out->why, sizeof(out->why), "%.100s %s: %s", domain, what, why);
}

/* Addresses of n hosts, in this order. `none` is the answer if there are none for good. */
static enum answer
find_addresses(struct resolver *r, const char *domain, const struct host *h, int n,
	enum answer none, int64_t deadline, struct exchangers *out)
{
	struct question *q = calloc((size_t)n * 2, sizeof(*q));
	out->v = calloc(EXCHANGER_ADDRESSES_MAX, sizeof(*out->v));
	if (q == NULL || out->v == NULL) {
		free(q);
		explain(out, domain, "addresses", "out of memory");
		return ANSWER_TEMPORARY;
	}
	for (int i = 0; i < n; i++) {
		set_question(&q[2 * i], h[i].name, DNS_T_AAAA);
		set_question(&q[2 * i + 1], h[i].name, DNS_T_A);
	}
	ask(r, q, (size_t)n * 2, deadline);
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
find_literal(const char *domain, struct exchangers *out)
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
	add_exchanger(out, &h, &a);
	snprintf(out->v[0].host, sizeof(out->v[0].host), "%s", domain);
	return ANSWER_FOUND;
}

/* The hosts of an MX set, best first. */
static enum answer
read_mx(const struct question *q, const char *domain, struct hosts *h, struct exchangers *out)
{
	dnscc_t *end = q->packet + q->length, *cur = behind_name(q->packet, end);
	int n = cur != NULL ? each_record(q->packet, end, cur, q->name, DNS_T_MX, take_mx, h)
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

enum answer
resolver_exchangers(struct resolver *r, const char *domain, int64_t deadline,
	struct exchangers *out)
{
	static struct hosts h;
	dnsc_t dn[DNS_MAXDN];
	struct question q;
	*out = (struct exchangers){ 0 };
	if (domain[0] == '[')
		return find_literal(domain, out);
	if (dns_ptodn(domain, 0, dn, sizeof(dn), NULL) <= 0) {
		explain(out, domain, "MX", "not a domain name");
		return ANSWER_NO_NAME;
	}
	h.n = h.nulls = 0;
	set_question(&q, dn, DNS_T_MX);
	ask(r, &q, 1, deadline);
	if (q.found == FOUND_TROUBLE) {
		explain(out, domain, "MX", q.trouble);
		return ANSWER_TEMPORARY;
	}
	if (q.found == FOUND_NO_NAME) {
		explain(out, domain, "MX", "NXDOMAIN");
		return ANSWER_NO_NAME;
	}
	if (q.found == FOUND_NOTHING) { /* implicit MX, RFC 5321 section 5.1 */
		h.v[0] = (struct host){ .preference = 0 };
		memcpy(h.v[0].name, dn, dns_dnlen(dn));
		return find_addresses(r, domain, h.v, 1, ANSWER_NO_DATA, deadline, out);
	}
	enum answer a = read_mx(&q, domain, &h, out);
	free(q.packet);
	if (a != ANSWER_FOUND)
		return a;
	int n = h.n < EXCHANGER_HOSTS_MAX ? h.n : EXCHANGER_HOSTS_MAX;
	return find_addresses(r, domain, h.v, n, ANSWER_NO_HOST, deadline, out);
}

void
exchangers_free(struct exchangers *e)
{
	free(e->v);
	e->v = NULL;
	e->n = 0;
}

/*
 * A batch is a set of questions that are out at the same time: one for an MX set, then two for each
 * of its hosts. udns asserts on its own state only; should it ever fire, the process dies, the
 * locks are free and the mail is where it was (G16).
 */
#include "dns/question.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

enum {
	UDP_SIZE = 1232,        /* fits into any path MTU (DNS flag day 2020) */
	UDP_TIMEOUT = 3,        /* s for the first try of a server; udns lengthens it */
	UDP_TRIES = 3,
	TCP_TIMEOUT = 10,       /* s for a whole exchange with one server */
	TCP_SIZE = 65535,
	QUESTION_MAX = DNS_HSIZE + DNS_MAXDN + 4,
};

/* ---- reading a packet ------------------------------------------------------------------- */

dnscc_t *
question_behind_name(dnscc_t *pkt, dnscc_t *end)
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

int
question_each(dnscc_t *pkt, dnscc_t *end, dnscc_t *cur, dnscc_t *dn, enum dns_type type,
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
	if (dns_tc(pkt)) { /* udns lets none through that came over UDP */
		trouble(q, "truncated over TCP");
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
		int n = question_each(pkt, end, cur, q->name, q->type, take_any, NULL);
		int links = n == 0 ? question_each(pkt, end, cur, q->name, DNS_T_CNAME, take_cname,
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
		if (++q->links > LINKS_MAX) {
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
	for (int i = -1; i < r->servers; i++) { /* first the one that is there */
		int64_t until = clock_earlier(deadline, clock_deadline(TCP_TIMEOUT));
		int n = exchange_tcp(i < 0 ? &q->truncator : &r->server[i], q, packet, until);
		if (n > 0) {
			read_answer(q, packet, n);
			return;
		}
	}
	trouble(q, "truncated over UDP, no answer over TCP");
}

/* ---- UDP -------------------------------------------------------------------------------- */

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
	(void)query;
	struct question *q = data;
	if (code < 0 || q == NULL || q < out_now.v || q >= out_now.v + out_now.n)
		return;
	if (plen < DNS_HSIZE || !dns_qr(pkt))
		return;
	q->rcode = dns_rcode(pkt);
	if (!dns_tc(pkt) || salen > sizeof(q->truncator))
		return;
	q->truncated = true;
	memcpy(&q->truncator, sa, salen);
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

/*
 * Is anything open that UDP can still answer? udns would ask all its servers about what was
 * truncated.
 */
static bool
any_waiting(const struct question *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].open && !v[i].truncated)
			return true;
	return false;
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
	while (dns_active(ctx) > 0 && any_waiting(v, n) && clock_left(deadline) > 0) {
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
void
question_ask(struct resolver *r, struct question *v, size_t n, int64_t deadline)
{
	for (int round = 0; round <= LINKS_MAX; round++) {
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

void
question_set(struct question *q, dnscc_t *name, enum dns_type type)
{
	*q = (struct question){ .type = type, .open = true, .rcode = -1 };
	memcpy(q->name, name, dns_dnlen(name));
}

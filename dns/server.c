/*
 * udns asserts on its own state only; should it ever fire, the process dies, the locks are free and
 * the mail is where it was (G16).
 */
#include "dns/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"

enum {
	UDP_SIZE = 1232,  /* fits into any path MTU (DNS flag day 2020) */
	UDP_AGES = 300,   /* s; as patient as udns can be, for ours ends sooner */
	TCP_SIZE = 65535,
	QUESTION_MAX = DNS_HSIZE + DNS_MAXDN + 4,
};

static socklen_t
length_of(const struct sockaddr_storage *server)
{
	return server->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					    : sizeof(struct sockaddr_in6);
}

/* ---- UDP -------------------------------------------------------------------------------- */

/*
 * A context for this server alone, or NULL and errno. Its socket is connected, so that the kernel
 * tells who cannot be reached, and lets no packet of anybody else in.
 */
static struct dns_ctx *
open_context(const struct sockaddr_storage *server, bool edns)
{
	const struct sockaddr *sa = (const struct sockaddr *)server;
	struct dns_ctx *ctx = dns_new(NULL);
	if (ctx == NULL)
		return NULL;
	dns_set_opt(ctx, DNS_OPT_FLAGS, DNS_NOSRCH);
	dns_set_opt(ctx, DNS_OPT_UDPSIZE, edns ? UDP_SIZE : DNS_MAXPACKET);
	dns_set_opt(ctx, DNS_OPT_TIMEOUT, UDP_AGES);
	dns_set_opt(ctx, DNS_OPT_NTRIES, 1);
	if (dns_add_serv_s(ctx, sa) >= 0 && dns_open(ctx) >= 0 &&
		connect(dns_sock(ctx), sa, length_of(server)) == 0)
		return ctx;
	int err = errno;
	dns_free(ctx);
	errno = err;
	return NULL;
}

/* Garbage that fills the room there is for it may have been cut to that. */
static void
read_datagram(struct question *q, dnscc_t *pkt, int length)
{
	answer_read(q, pkt, length);
	if (q->said == SAID_TROUBLE && length == (q->plain ? DNS_MAXPACKET : UDP_SIZE))
		q->said = SAID_TRUNCATED;
}

/*
 * Sees every packet that is sent, and every answer before udns does, and reads it: udns leaves out
 * too much of what it says. After FORMERR and NOTIMP udns asks again without EDNS on its own.
 */
static void
see_packet(int code, const struct sockaddr *sa, unsigned salen, dnscc_t *pkt, int length,
	const struct dns_query *query, void *data)
{
	enum { RECEIVED = 0, SENT = 1 };
	struct question *q = data;
	(void)sa;
	(void)salen;
	(void)query;
	if (code == SENT)
		q->plain = dns_numar(pkt) == 0;
	else if (code == RECEIVED)
		read_datagram(q, pkt, length);
}

/* udns is done with a question; what was to be read of the answer has been. */
static void
on_end(struct dns_ctx *ctx, void *result, void *data)
{
	(void)ctx;
	(void)data;
	free(result);
}

/* What the network said about the last packets that were sent: 0, or -errno. */
static int
network_error(int fd)
{
	int err = 0;
	socklen_t n = sizeof(err);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 ? -errno : -err;
}

/* Sends what was submitted, and takes what comes. */
static int
converse(struct dns_ctx *ctx, int64_t deadline)
{
	errno = 0;
	dns_timeouts(ctx, 1, time(NULL)); /* sends; udns ends what it cannot send */
	int err = -errno;
	if (dns_active(ctx) == 0)
		return err;
	while (dns_active(ctx) > 0 && clock_left(deadline) > 0) {
		if (wait_for(dns_sock(ctx), POLLIN, deadline, NULL) < 0)
			break;
		err = network_error(dns_sock(ctx));
		if (err < 0)
			return err;
		dns_ioevent(ctx, time(NULL));
	}
	return 0;
}

static bool
is_due(const struct question *q, bool edns)
{
	return q->wanted && q->said == SAID_NONE && q->plain == !edns;
}

int
server_udp(const struct sockaddr_storage *server, bool edns, struct question *v, size_t n,
	int64_t deadline)
{
	int asked = 0;
	for (size_t i = 0; i < n; i++)
		asked += is_due(&v[i], edns);
	if (asked == 0)
		return 0;
	struct dns_ctx *ctx = open_context(server, edns);
	if (ctx == NULL)
		return -errno;
	dns_set_dbgfn(ctx, see_packet);
	for (size_t i = 0; i < n; i++)
		if (is_due(&v[i], edns) && dns_submit_dn(ctx, v[i].name, DNS_C_IN, (int)v[i].type,
			DNS_NOSRCH, NULL, on_end, &v[i]) == NULL)
			answer_trouble(&v[i], "out of memory");
	int r = converse(ctx, deadline);
	dns_free(ctx); /* drops what is still out, without a call back */
	return r;
}

/* ---- TCP -------------------------------------------------------------------------------- */

/* Moves all n bytes, out or in. */
static bool
transfer(int fd, dnsc_t *p, size_t n, bool out, int64_t deadline)
{
	while (n > 0) {
		if (wait_for(fd, out ? POLLOUT : POLLIN, deadline, NULL) < 0)
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

/* One exchange. Octets of the answer in `packet`, or -1. */
static int
exchange(const struct sockaddr_storage *server, const struct question *q, dnsc_t *packet,
	int64_t deadline)
{
	uint16_t id = 0;
	dnsc_t request[2 + QUESTION_MAX], size[2];
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -1;
	size_t n = write_question(q, request + 2, id);
	dns_put16(request, (unsigned)n);
	auto_fd fd = socket(server->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)server, length_of(server)) < 0 &&
		errno != EINPROGRESS)
		return -1;
	if (!transfer(fd, request, n + 2, true, deadline) ||
		!transfer(fd, size, sizeof(size), false, deadline))
		return -1;
	int length = (int)dns_get16(size);
	if (length < DNS_HSIZE || !transfer(fd, packet, (size_t)length, false, deadline))
		return -1;
	return dns_qid(packet) == id ? length : -1;
}

int
server_tcp(const struct sockaddr_storage *server, struct question *q, int64_t deadline)
{
	auto_memory dnsc_t *packet = malloc(TCP_SIZE);
	errno = packet == NULL ? ENOMEM : 0;
	int n = packet == NULL ? -1 : exchange(server, q, packet, deadline);
	if (n < 0) {
		answer_trouble(q, "no answer over TCP");
		return errno != 0 ? -errno : -ETIMEDOUT;
	}
	answer_read(q, packet, n);
	if (q->said == SAID_TRUNCATED)
		answer_trouble(q, "truncated over TCP");
	return 0;
}

#include "dns/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"

enum {
	UDP_SIZE = 1232,  /* fits into any path MTU (DNS flag day 2020) */
	TCP_SIZE = 65535,
	OPT_SIZE = 11,    /* the record of EDNS, without options */
	QUESTION_MAX = DNS_HSIZE + DNS_MAXDN + 4 + OPT_SIZE,
};

static socklen_t
length_of(const struct sockaddr_storage *server)
{
	return server->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					    : sizeof(struct sockaddr_in6);
}

/* A socket that is connected, or is about to be; <0: -errno. */
static int
connect_to(const struct sockaddr_storage *server, int kind)
{
	int fd = socket(server->ss_family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int err = connect(fd, (const struct sockaddr *)server, length_of(server)) < 0 ? errno : 0;
	if (err == 0 || err == EINPROGRESS)
		return fd;
	close(fd);
	return -err;
}

/* ---- questions -------------------------------------------------------------------------- */

/* RFC 6891 section 6.1.2: which datagrams we take, and nothing else. */
static dnsc_t *
write_edns(dnsc_t *p)
{
	*p++ = 0;
	p = dns_put16(p, DNS_T_OPT);
	p = dns_put16(p, UDP_SIZE);
	memset(p, 0, 6);
	return p + 6;
}

/*
 * Who is to say whether an answer was validated hears that we know what AD means (RFC 6840 section
 * 5.7): so the signatures, which DO would ask for, need not come along.
 */
static size_t
write_question(const struct question *q, dnsc_t *out, unsigned id, bool edns)
{
	unsigned n = dns_dnlen(q->name);
	dnsc_t *p = dns_put16(out, id);
	*p++ = DNS_HF1_RD;
	*p++ = q->validated ? DNS_HF2_AD : 0;
	p = dns_put16(p, 1);
	memset(p, 0, 4);
	p = dns_put16(p + 4, edns);
	memcpy(p, q->name, n);
	p = dns_put16(p + n, (unsigned)q->type);
	p = dns_put16(p, DNS_C_IN);
	if (edns)
		p = write_edns(p);
	return (size_t)(p - out);
}

/* ---- UDP -------------------------------------------------------------------------------- */

static bool
is_due(const struct question *q, bool edns)
{
	return q->wanted && q->said == SAID_NONE && q->plain == !edns && !answer_is_moot(q);
}

/* Sends it, with an id that nobody can guess. 0, or -errno. */
static int
send_question(int fd, struct question *q, bool edns, int64_t deadline)
{
	dnsc_t packet[QUESTION_MAX];
	if (getrandom(&q->id, sizeof(q->id), 0) != (ssize_t)sizeof(q->id))
		return -EIO;
	size_t n = write_question(q, packet, q->id, edns);
	while (send(fd, packet, n, MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (errno == EAGAIN && wait_for(fd, POLLOUT, deadline, NULL) < 0)
			return 0; /* its time is over, as if it had no answer */
	}
	return 0;
}

/* Garbage that fills the room there is for it may have been cut to that. */
static void
read_datagram(struct question *q, dnscc_t *pkt, int length)
{
	answer_read(q, pkt, length);
	if (q->said == SAID_TROUBLE && length == (q->plain ? DNS_MAXPACKET : UDP_SIZE))
		q->said = SAID_TRUNCATED;
}

/* A datagram, if there is one. 0, or -errno: the server is out of reach. */
static int
take_datagram(int fd, bool edns, struct question *v, size_t n)
{
	dnsc_t packet[UDP_SIZE];
	ssize_t length = recv(fd, packet, edns ? UDP_SIZE : DNS_MAXPACKET, 0);
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (size_t i = 0; i < n; i++)
		if (is_due(&v[i], edns) && answer_belongs(&v[i], packet, (int)length)) {
			read_datagram(&v[i], packet, (int)length);
			break;
		}
	return 0;
}

static bool
any_due(const struct question *v, size_t n, bool edns)
{
	for (size_t i = 0; i < n; i++)
		if (is_due(&v[i], edns))
			return true;
	return false;
}

int
server_udp(const struct sockaddr_storage *server, bool edns, struct question *v, size_t n,
	int64_t deadline)
{
	if (!any_due(v, n, edns))
		return 0;
	auto_fd fd = connect_to(server, SOCK_DGRAM);
	int err = fd < 0 ? fd : 0;
	for (size_t i = 0; i < n && err == 0; i++)
		if (is_due(&v[i], edns))
			err = send_question(fd, &v[i], edns, deadline);
	while (err == 0 && any_due(v, n, edns) && clock_left(deadline) > 0 &&
		wait_for(fd, POLLIN, deadline, NULL) == 0)
		err = take_datagram(fd, edns, v, n);
	return err;
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

/* One exchange. Octets of the answer in `packet`, or -1. */
static int
exchange(const struct sockaddr_storage *server, const struct question *q, dnsc_t *packet,
	int64_t deadline)
{
	uint16_t id = 0;
	dnsc_t request[2 + QUESTION_MAX], size[2];
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -1;
	size_t n = write_question(q, request + 2, id, false);
	dns_put16(request, (unsigned)n);
	auto_fd fd = connect_to(server, SOCK_STREAM);
	if (fd < 0)
		errno = -fd;
	if (fd < 0 || !transfer(fd, request, n + 2, true, deadline) ||
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

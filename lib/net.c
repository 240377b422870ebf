/*
 * IP addresses in 16 bytes, networks, and what kind of place an address is. Pure, no resolver.
 */
#include "lib/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { V4_OFFSET = 12, V4_BITS = 96, ALL_BITS = 128 };

static const uint8_t mapped[V4_OFFSET] = { [10] = 0xff, [11] = 0xff };

bool
netaddr_is_v4(const struct netaddr *a)
{
	return memcmp(a->ip, mapped, sizeof(mapped)) == 0;
}

bool
netaddr_eq(const struct netaddr *a, const struct netaddr *b)
{
	return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

int
netaddr_parse(struct span s, struct netaddr *out)
{
	char text[NETADDR_TEXT];
	struct netaddr a;
	if (s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, a.ip + V4_OFFSET) == 1)
		memcpy(a.ip, mapped, sizeof(mapped));
	else if (inet_pton(AF_INET6, text, a.ip) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

int
net_port(struct span s)
{
	int64_t n = s.n <= 5 ? span_number(s) : -1;
	return n >= 1 && n <= UINT16_MAX ? (int)n : -EINVAL;
}

void
netaddr_text(const struct netaddr *a, char out[static NETADDR_TEXT])
{
	if (netaddr_is_v4(a))
		inet_ntop(AF_INET, a->ip + V4_OFFSET, out, NETADDR_TEXT);
	else
		inet_ntop(AF_INET6, a->ip, out, NETADDR_TEXT);
}

void
netaddr_literal(const struct netaddr *a, char out[static NETADDR_LITERAL])
{
	char text[NETADDR_TEXT];
	netaddr_text(a, text);
	snprintf(out, NETADDR_LITERAL, netaddr_is_v4(a) ? "[%s]" : "[IPv6:%s]", text);
}

int
netaddr_from(const struct sockaddr *sa, struct netaddr *out)
{
	if (sa->sa_family == AF_INET) {
		memcpy(out->ip, mapped, sizeof(mapped));
		memcpy(out->ip + V4_OFFSET, &((const struct sockaddr_in *)sa)->sin_addr, 4);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(out->ip, &((const struct sockaddr_in6 *)sa)->sin6_addr, sizeof(out->ip));
		return 0;
	}
	return -EAFNOSUPPORT;
}

socklen_t
netaddr_to(const struct netaddr *a, uint16_t port, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (netaddr_is_v4(a)) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a->ip + V4_OFFSET, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, a->ip, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

struct class_row {
	uint8_t prefix[16];
	uint8_t bits;
	enum netclass class;
};

#define V4(a, b, c, d) { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d }

/* First match wins; what matches none is public. */
static const struct class_row classes[] = {
	{ V4(0, 0, 0, 0), 104, NET_UNSPECIFIED },   /* RFC 1122 */
	{ V4(127, 0, 0, 0), 104, NET_LOOPBACK },
	{ V4(10, 0, 0, 0), 104, NET_PRIVATE },      /* RFC 1918 */
	{ V4(172, 16, 0, 0), 108, NET_PRIVATE },
	{ V4(192, 168, 0, 0), 112, NET_PRIVATE },
	{ V4(100, 64, 0, 0), 106, NET_PRIVATE },    /* RFC 6598 */
	{ V4(192, 0, 0, 0), 120, NET_PRIVATE },     /* of protocols, RFC 6890 */
	{ V4(198, 18, 0, 0), 111, NET_PRIVATE },    /* of benchmarks, RFC 2544 */
	{ V4(169, 254, 0, 0), 112, NET_LINK_LOCAL }, /* RFC 3927 */
	{ V4(224, 0, 0, 0), 100, NET_MULTICAST },
	{ V4(240, 0, 0, 0), 100, NET_MULTICAST },   /* reserved, and broadcast */
	{ { [15] = 1 }, 128, NET_LOOPBACK },
	{ { [15] = 0 }, 104, NET_UNSPECIFIED },     /* as 0/8 */
	{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, NET_PRIVATE }, /* RFC 8215 */
	{ { 0x01 }, 64, NET_PRIVATE },              /* what is thrown away, RFC 6666 */
	{ { 0x5f }, 16, NET_PRIVATE },              /* segments of a route, RFC 9602 */
	{ { 0xfc }, 7, NET_PRIVATE },               /* RFC 4193 */
	{ { 0xfe, 0x80 }, 10, NET_LINK_LOCAL },
	{ { 0xfe, 0xc0 }, 10, NET_PRIVATE },        /* site-local, deprecated by RFC 3879 */
	{ { 0xff }, 8, NET_MULTICAST },
};

static bool
same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;
	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || ((a[bytes] ^ b[bytes]) & (0xff << (8 - rest))) == 0;
}

/* Addresses that carry an IPv4 address, and behind how many bits; the first is IPv4 itself. */
static const struct carrier {
	uint8_t prefix[16];
	uint8_t bits, at;
	uint8_t mask; /* each octet of the IPv4 address is XORed with it */
} carriers[] = {
	{ V4(0, 0, 0, 0), V4_BITS, V4_BITS, 0 },
	{ { 0, 0x64, 0xff, 0x9b }, 96, 96, 0 },      /* NAT64, RFC 6052 */
	{ { 0 }, 96, 96, 0 },                        /* compatible, RFC 4291 section 2.5.5.1 */
	{ { [8] = 0xff, [9] = 0xff }, 96, 96, 0 },   /* translated, RFC 2765 */
	{ { 0x20, 0x02 }, 16, 16, 0 },               /* 6to4, RFC 3056 */
	{ { 0x20, 0x01 }, 32, 96, 0xff },            /* Teredo, to its client, RFC 4380 */
};

/* Where `a` carries an IPv4 address, that address. */
static bool
embedded(const struct netaddr *a, struct netaddr *v4)
{
	static const uint8_t low[V4_OFFSET + 1] = { 0 }; /* ::1 and its like are what they are */
	if (memcmp(a->ip, low, sizeof(low)) == 0)
		return false;
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
		if (!same_prefix(a->ip, carriers[i].prefix, carriers[i].bits))
			continue;
		memcpy(v4->ip, mapped, sizeof(mapped));
		for (int j = 0; j < 4; j++)
			v4->ip[V4_OFFSET + j] = a->ip[carriers[i].at / 8 + j] ^ carriers[i].mask;
		return true;
	}
	return false;
}

static enum netclass
class_as_it_stands(const struct netaddr *a)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (same_prefix(a->ip, classes[i].prefix, classes[i].bits))
			return classes[i].class;
	return NET_PUBLIC;
}

enum netclass
netaddr_class(const struct netaddr *a)
{
	struct netaddr v4;
	return class_as_it_stands(embedded(a, &v4) ? &v4 : a);
}

bool
netaddr_is_loopback(const struct netaddr *a)
{
	return class_as_it_stands(a) == NET_LOOPBACK;
}

int
netblock_parse(struct span s, struct netblock *out)
{
	struct netblock b;
	struct span length = s, host = span_cut(&length, '/');
	bool whole = host.n == s.n;
	host = span_unbracket(host);
	if (netaddr_parse(host, &b.addr) < 0)
		return -EINVAL;
	int base = memchr(host.p, ':', host.n) == NULL ? V4_BITS : 0;
	int64_t bits = whole ? ALL_BITS - base : length.n <= 3 ? span_number(length) : -1;
	if (bits < 0 || bits > ALL_BITS - base)
		return -EINVAL;
	b.bits = (uint8_t)(base + bits);
	for (unsigned i = b.bits; i < ALL_BITS; i++)
		if ((b.addr.ip[i / 8] & (0x80 >> (i % 8))) != 0)
			return -EINVAL;
	*out = b;
	return 0;
}

bool
netblock_is_private(const struct netblock *b)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (b->bits >= classes[i].bits &&
			same_prefix(b->addr.ip, classes[i].prefix, classes[i].bits))
			return true;
	return false;
}

int
netblock_v4_bits(const struct netblock *b)
{
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
		if (b->bits >= carriers[i].bits &&
			same_prefix(b->addr.ip, carriers[i].prefix, carriers[i].bits))
			return b->bits > carriers[i].at ? b->bits - carriers[i].at : 0;
	return -1;
}

static int
append(struct netlist *l, const struct netblock *b)
{
	struct netblock *v = reallocarray(l->v, l->n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	l->v = v;
	l->v[l->n++] = *b;
	return 0;
}

int
netlist_parse(struct span s, struct netlist *out)
{
	struct netlist l = { 0 };
	struct netblock b;
	for (struct span word; (word = span_word(&s, " \t,")).n > 0;) {
		int err = netblock_parse(word, &b);
		if (err == 0)
			err = append(&l, &b);
		if (err < 0) {
			netlist_free(&l);
			return err;
		}
	}
	*out = l;
	return 0;
}

bool
netlist_contains(const struct netlist *l, const struct netaddr *a)
{
	for (size_t i = 0; i < l->n; i++)
		if (same_prefix(l->v[i].addr.ip, a->ip, l->v[i].bits))
			return true;
	return false;
}

void
netlist_free(struct netlist *l)
{
	free(l->v);
	*l = (struct netlist){ 0 };
}

/*
 * net: IP addresses and networks.
 *
 * Every address is kept in 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2), so that
 * ::ffff:127.0.0.1 and 127.0.0.1 cannot be told apart by accident.
 */
#ifndef POSTERN_NET_H
#define POSTERN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/span.h"

struct netaddr {
	uint8_t ip[16]; /* network order */
};

struct netblock {
	struct netaddr addr;
	uint8_t bits; /* 0..128, counted on the 16 bytes: 10.0.0.0/8 has 104 */
};

struct netlist {
	struct netblock *v; /* owned; NULL when empty */
	size_t n;
};

/* Which addresses of a host are used. */
enum family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6, FAMILY_PREFER_IPV4 };

/* What an address is for; decides what relay may connect to without being told. */
enum netclass {
	NET_PUBLIC,
	NET_PRIVATE,     /* RFC 1918, 4193, 6598 shared space; what has another special purpose */
	NET_LOOPBACK,    /* 127/8, ::1 */
	NET_LINK_LOCAL,  /* 169.254/16, fe80::/10 */
	NET_UNSPECIFIED, /* 0/8, :: */
	NET_MULTICAST,   /* 224/4, ff00::/8, 240/4 and the broadcast address with it */
};

enum {
	NETADDR_TEXT = 46,    /* longest text form, and NUL */
	NETADDR_LITERAL = 56, /* "[IPv6:" text "]", and NUL */
	NETADDR_SITE = 8,     /* octets of IPv6 that say whose it is: /64 is one customer */
};

/* Parses a plain IPv4 or IPv6 address, no zone, no brackets. 0 or -EINVAL. */
int netaddr_parse(struct span s, struct netaddr *out);

/* "192.0.2.1" or "2001:db8::1". */
void netaddr_text(const struct netaddr *a, char out[static NETADDR_TEXT]);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). */
void netaddr_literal(const struct netaddr *a, char out[static NETADDR_LITERAL]);

/* The number of a port, 1..65535, or -EINVAL. */
int net_port(struct span s);

bool netaddr_is_v4(const struct netaddr *a);
bool netaddr_eq(const struct netaddr *a, const struct netaddr *b);

/* From and to the system's form. 0, or -EAFNOSUPPORT for anything but AF_INET and AF_INET6. */
int netaddr_from(const struct sockaddr *sa, struct netaddr *out);
/* Fills *ss (AF_INET for an IPv4 address) and returns its length. */
socklen_t netaddr_to(const struct netaddr *a, uint16_t port, struct sockaddr_storage *ss);

/*
 * The class; an IPv4 address inside an IPv6 one (mapped, compatible, translated, 64:ff9b::/96
 * NAT64, 2002::/16 6to4, 2001::/32 Teredo) is classed by the IPv4 address it leads to.
 */
enum netclass netaddr_class(const struct netaddr *a);

/*
 * Is whoever has this address on this host? An IPv4 address inside an IPv6 one does not say so (but
 * for a mapped one, which is IPv4): any neighbour can announce a route to 2002:7f00:1::.
 */
bool netaddr_is_loopback(const struct netaddr *a);

/*
 * "10.0.0.0/8", "::1", "2001:db8::/32", and as Postfix has it "[::1]/128"; what is written as IPv6
 * has a length of up to 128 though it is IPv4 ("::ffff:10.0.0.0/104"). Bits beyond the length must
 * be zero. 0 or -EINVAL.
 */
int netblock_parse(struct span s, struct netblock *out);

/* Does none of its addresses belong to the public Internet? */
bool netblock_is_private(const struct netblock *b);

/*
 * How many bits of an IPv4 address are fixed, where all in it are or carry IPv4 ones (NAT64, 6to4,
 * Teredo); -1: it has others.
 */
int netblock_v4_bits(const struct netblock *b);

/* Blocks separated by blanks, tabs or commas. 0, -EINVAL or -ENOMEM; *out untouched on failure. */
int netlist_parse(struct span s, struct netlist *out);
bool netlist_contains(const struct netlist *l, const struct netaddr *a);
void netlist_free(struct netlist *l);

#endif

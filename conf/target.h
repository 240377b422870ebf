/*
 * target: where a route's mail goes, and from which of our addresses: the words of the keys `hosts`
 * and `source`.
 */
#ifndef POSTERN_TARGET_H
#define POSTERN_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/limits.h"
#include "lib/net.h"
#include "lib/span.h"

/* One of a route's `hosts`. */
struct target {
	enum target_kind {
		TARGET_ADDRESS, /* [192.0.2.1], [192.0.2.1]:25, [2001:db8::1]:25 */
		TARGET_HOST,    /* mail.example.org:587, [mail.example.org]: its addresses */
		TARGET_DOMAIN,  /* example.org: its mail exchangers */
		TARGET_SOCKET,  /* unix:/path */
	} kind;
	struct netaddr addr;         /* TARGET_ADDRESS */
	char name[LIMIT_DOMAIN + 1]; /* the others: name or path */
	uint16_t port;               /* 0: none was given */
};

/*
 * Could a host have this name? Not where the last part is a number: an address with a slip of the
 * pen (RFC 1123 section 2.1).
 */
bool target_name_possible(struct span name);

/* 0 or -EINVAL. */
int target_parse(struct span word, struct target *out);

/* Has each of a route's `hosts` a port, or is a socket? */
bool target_all_have_ports(const char *hosts);

/* Does each of a route's `hosts` say which host it is, so that no answer of the DNS chooses one? */
bool target_all_named(const char *hosts);

/* The addresses of `source`, at most one of each family. */
struct sources {
	bool has4, has6;
	struct netaddr v4, v6;
};

/* 0 or -EINVAL. */
int target_sources(struct span list, struct sources *out);

#endif

/*
 * addresses: where the hosts of a domain are: the questions about all of them are out at once, and
 * with DANE those for what certificates they have (dns/discovery.h).
 *
 * IPv6 and IPv4 of a host come in turn, so that a broken one of them costs one attempt (H8).
 */
#ifndef POSTERN_ADDRESSES_H
#define POSTERN_ADDRESSES_H

#include "dns/exchangers.h"
#include "dns/mx.h"
#include "dns/question.h"

/* What one answer holds; of more than there may be, the first ones. */
struct addresses {
	struct netaddr v[EXCHANGER_ADDRESSES_MAX];
	size_t n;
};

/* Those in the answer to q, if it has records. False: it is garbage, and there are none. */
bool addresses_read(const struct question *q, struct addresses *out);

/* A look-up, from its domain to its addresses. */
struct search {
	struct resolver *r;
	const char *domain;     /* as it is called in the log */
	enum family family;     /* what this leaves out is not asked for */
	int64_t deadline;       /* clock.h */
	struct exchangers *out; /* what is found; `secure` and `implicit`: how these hosts were */
};

/*
 * The addresses of n hosts, best first; of more than EXCHANGER_HOSTS_MAX the others are unknown.
 * `none` is the answer if there are none for good; of NO_DATA it is NO_NAME where no name exists.
 */
enum answer addresses_find(const struct search *s, const struct mx *h, size_t n, enum answer none);

#endif

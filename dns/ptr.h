/* ptr: the names that an address has in the DNS (RFC 1035 section 3.5, RFC 3596 section 2.5). */
#ifndef POSTERN_PTR_H
#define POSTERN_PTR_H

#include <stddef.h>
#include <stdint.h>

#include "dns.h"

enum { PTR_NAMES = 8 }; /* of one address; more are left out */

struct ptr {
	char name[PTR_NAMES][LIMIT_DOMAIN + 1]; /* in lower case, escaped by udns */
	size_t n;
	char why[80]; /* unless FOUND */
};

/* FOUND: at least one. NO_NAME or NO_DATA: there is none. TEMPORARY: it cannot be told now. */
enum answer ptr_find(struct resolver *r, const struct netaddr *addr, int64_t deadline,
	struct ptr *out);

#endif

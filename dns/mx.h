/*
 * mx: the hosts that MX records name, in the order in which they are to have the mail (RFC 5321
 * section 5.1): by preference, equal ones by chance.
 *
 * A host whose name could not be one of a host is none; one that names the root alone says that
 * the domain takes no mail (RFC 7505).
 */
#ifndef POSTERN_MX_H
#define POSTERN_MX_H

#include <stdint.h>

#include "dns/answer.h"
#include "dns/exchangers.h"

struct mx {
	uint16_t preference;
	uint32_t order; /* random, for hosts of equal preference */
	dnsc_t name[DNS_MAXDN];
};

struct mx_set {
	struct mx v[RECORDS_MAX];
	int n;
	int nulls; /* records that name the root */
};

/*
 * Those of the answer to q, best first; *out is zeroed. FOUND; NULL_MX; NO_HOST: none has a name
 * that is one; TEMPORARY: garbage. Of the last two *why says so.
 */
enum answer mx_read(const struct question *q, struct mx_set *out, const char **why);

/* The best preference of this name; EXCHANGER_BEYOND: it is not there. */
int mx_preference_of(const struct mx_set *mx, dnscc_t *name);

#endif

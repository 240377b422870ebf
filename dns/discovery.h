/*
 * discovery: the TLSA records of hosts whose addresses are asked for (RFC 7672 section 2.2).
 *
 * They count only where DNSSEC says which addresses a host has. Nameservers of zones without DNSSEC
 * that choke on such a question do no harm: nobody waits for its answer any longer than for the
 * addresses, and it is not looked at. Where an answer would count and cannot be had, nobody knows
 * what the host asks for.
 */
#ifndef POSTERN_DISCOVERY_H
#define POSTERN_DISCOVERY_H

#include "dns/question.h"
#include "dns/tlsa.h"

/* One host. */
struct discovery {
	dnscc_t *host;                  /* its name */
	const struct question *address; /* two: for its addresses of both families */
	struct question *own;           /* for the records of that name */

	struct tlsa *tlsa;   /* what was found, which the caller holds; NULL: nothing that counts */
	const char *trouble; /* why that is not known; NULL: it is */
};

/* Sets *d->own, which is to be asked together with *d->address, for this port. */
void discovery_prepare(const struct discovery *d, uint16_t port);

/*
 * They were asked, of n hosts: says what was found. What remains to be asked because names are
 * aliases is asked until `deadline`.
 */
void discovery_conclude(struct resolver *r, struct discovery *v, size_t n, uint16_t port,
	int64_t deadline);

#endif

/*
 * dns: who takes mail for this domain? (RFC 5321 section 5.1, RFC 7505)
 *
 * On top of udns, with what a mail relay needs and udns leaves out: a truncated answer is asked
 * again over TCP, a CNAME is followed (bounded), all address queries of an MX set are out at once,
 * and each kind of "no" is a value of its own. Only the nameservers that were given are used: no
 * search list, no environment, and no file of hosts but for names that the operator wrote.
 *
 * Functions are called resolver_ because udns owns the prefix dns_.
 */
#ifndef POSTERN_DNS_H
#define POSTERN_DNS_H

#include "dns/exchangers.h"
#include "dns/resolver.h"

/*
 * Finds the mail exchangers of `domain` (a domain name, or an address literal with brackets that
 * is answered without DNS). Waits until `deadline` (clock.h) at most, or some seconds longer if not
 * one server said anything, to see whether any is there. If some hosts' addresses could not be had
 * for a temporary reason while others were found, the answer is FOUND with what there is, and
 * `unknown` is set; so it is for a domain's own addresses, if it may have MX records after all. If
 * none was found and any of them failed temporarily, it is TEMPORARY.
 * Addresses that `family` leaves out are not asked for. *out is filled on every return, but for the
 * ports; free it with exchangers_free.
 */
enum answer resolver_exchangers(struct resolver *r, const char *domain, enum family family,
	int64_t deadline, struct exchangers *out);

/*
 * The addresses of a host, whatever MX records its name has; all else as above.
 *
 * With TLSA records: they count where DNSSEC says which host it is, and which addresses it has. Of
 * a host for which they could not be had, its addresses count as not had: what it asks for is not
 * known.
 */
enum answer resolver_addresses(struct resolver *r, const char *host, enum family family,
	int64_t deadline, struct exchangers *out);

/*
 * The addresses that this host's own file gives a name that the operator wrote; the DNS is not
 * asked. FOUND, or NO_NAME: it has none of this family. Never for a name that came from the DNS.
 */
enum answer resolver_named(struct resolver *r, const char *host, enum family family,
	struct exchangers *out);

#endif

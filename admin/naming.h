/*
 * naming: what `doctor` asks the network: nameservers, our own name, and whether port 25 is open to
 * the world. What it hears is a stranger's.
 */
#ifndef POSTERN_NAMING_H
#define POSTERN_NAMING_H

#include "admin/finding.h"
#include "dns.h"

/* Does each nameserver answer, over UDP and over TCP? */
void naming_resolvers(struct teller *t, const struct conf *c);

/* Do they validate (DNSSEC), and are they believed? */
void naming_dnssec(struct teller *t, const struct conf *c);

/*
 * Are policies of MTA-STS asked for? `given_up`: since when (s) relays fetch none, as the spool has
 * it (fetchless.h); 0: they do; -1: this user may not look. Nothing is said where all mail goes by
 * a route.
 */
void naming_policies(struct teller *t, const struct conf *c, int64_t given_up);

/*
 * Do the name that we say in EHLO, its addresses and their names agree? Other hosts look at that
 * unless all mail goes by a route.
 */
void naming_hostname(struct teller *t, const struct conf *c, struct resolver *r);

/*
 * Can a host out there be connected to, and does it greet? `target` is a host or an address, with
 * its port or without, or a domain, whose first exchanger it is; NULL: none was named.
 */
void naming_way_out(struct teller *t, const struct conf *c, struct resolver *r, const char *target);

#endif

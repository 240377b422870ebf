/*
 * dns: who takes mail for this domain? (RFC 5321 section 5.1, RFC 7505)
 *
 * On top of udns, with what a mail relay needs and udns leaves out: a truncated answer is asked
 * again over TCP, a CNAME is followed (bounded), all address queries of an MX set are out at once,
 * and each kind of "no" is a value of its own. Only the nameservers that were given are used: no
 * search list, no environment, and no file of hosts but for names that the operator wrote.
 *
 * Names follow "exchanger" because udns owns the prefix dns_.
 */
#ifndef POSTERN_DNS_H
#define POSTERN_DNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/limits.h"
#include "lib/net.h"

enum answer {
	ANSWER_FOUND,     /* at least one address */
	ANSWER_NULL_MX,   /* "MX 0 ." alone: the domain takes no mail (RFC 7505); permanent */
	ANSWER_NO_NAME,   /* NXDOMAIN; permanent */
	ANSWER_NO_DATA,   /* the name exists, but nothing to send mail to; permanent */
	ANSWER_NO_HOST,   /* MX records, but none of their hosts has an address; permanent. Never
	                   * falls back to the domain's own A record (R48) */
	ANSWER_TEMPORARY, /* anything else: ask again later */
};

enum {
	EXCHANGER_WORST = UINT16_MAX, /* the worst preference there is */
	EXCHANGER_HOSTS_MAX = 100,    /* MX records used, best preference first (G5) */
	EXCHANGER_ADDRESSES_MAX = 400, /* addresses used, of all hosts together */
};

enum { PORT_SUBMISSIONS = 465 }; /* where TLS comes first (RFC 8314 section 3.3) */

struct tlsa; /* dns/tlsa.h */

struct exchanger {
	uint16_t preference;              /* 0 for an implicit MX */
	char host[LIMIT_DOMAIN + 1];      /* the MX name as text, lower case, escaped by udns */
	struct netaddr addr;
	bool socket;                      /* none of these: a UNIX socket, and `host` is its path */
	uint16_t port;
	bool named;                       /* the host was named by the operator, not by the DNS */
	char domain[LIMIT_DOMAIN + 1];    /* ... or it is an exchanger of this domain, which was */
	bool tls_first;                   /* TLS from the first octet (RFC 8314) */
	bool vouched;                     /* DNSSEC says that it is an exchanger of that domain */
	struct tlsa *tlsa;                /* ... and which certificates it has (DANE); NULL: it
	                                   * does not say; of its exchangers, or held (see below) */
};

struct exchangers {
	struct exchanger *v; /* owned; sorted by preference; hosts of equal preference are shuffled
	                      * as groups; the addresses of one host stand together; an address
	                      * stands there with each name that it has (policy_sift) */
	size_t n;
	int own;             /* preference of the MX record that names us, whether that name has an
	                      * address or not; beyond EXCHANGER_WORST: there is none */
	int unknown;         /* the best preference of a host some of whose addresses could not be
	                      * had for now; beyond EXCHANGER_WORST: there is none */
	bool secure;         /* DNSSEC says that they are; or who named them knows it himself */
	char end[LIMIT_DOMAIN + 1]; /* the domain is an alias of this one; "": it is none */
	bool unproved;       /* of a host it could not be found out which certificates it has, so
	                      * it is none of them (DANE) */
	bool implicit;       /* no MX record names them: they are the domain's own addresses */
	bool unreached;      /* not one nameserver answered anything: no fault of the domain */
	bool unsound;        /* those that answered have the same trouble with the root */
	struct tlsa **tlsa;  /* owned, as what is in it: what the hosts point to */
	size_t tlsas;
	char why[160];       /* for the log, on anything but FOUND, or of what is unknown:
	                      * "example.org MX: SERVFAIL" */
};

struct resolver;

/*
 * A resolver for these nameservers (with their ports), for a host of this name; without any,
 * nothing is found for now. NULL with errno set on failure.
 */
struct resolver *resolver_open(const struct sockaddr_storage *servers, int n, const char *hostname);
void resolver_close(struct resolver *r);

/* Another one like it, for another thread, which is closed before it. NULL: there is no memory. */
struct resolver *resolver_copy(const struct resolver *r);

/* The servers are asked over TCP only. */
void resolver_use_tcp(struct resolver *r);

/*
 * These servers from now on, over TCP only or not. Copies keep those that they have. False: they
 * are no others.
 */
bool resolver_use_servers(struct resolver *r, const struct sockaddr_storage *servers, int n,
	bool tcp);

/*
 * Who is believed to have validated an answer (DNSSEC) that says so: servers on loopback, and those
 * in this list, which outlives the resolver and its copies. Where one of the servers is none of
 * these, no answer is believed: it could be asked in the place of one that found something wrong.
 */
void resolver_trust(struct resolver *r, const struct netlist *vouchers);

/* Are all servers such? */
bool resolver_is_trusted(const struct resolver *r);

/* The same about one server. */
bool resolver_trusts(const struct netlist *vouchers, const struct sockaddr_storage *server);

/*
 * From now on hosts are looked up with their TLSA records for this TCP port (RFC 7672), if the
 * servers are trusted; 0: without.
 */
void resolver_use_dane(struct resolver *r, uint16_t port);

/* Do both ask the same servers? */
bool resolver_is_like(const struct resolver *r, const struct resolver *other);

/* Opens a file of hosts (hosts(5)) for resolver_named; without one, nothing stands in it. */
void resolver_use_hosts(struct resolver *r, const char *path);

/*
 * Finds the mail exchangers of `domain` (a domain name, or an address literal with brackets that
 * is answered without DNS). Waits until `deadline` (clock.h) at most, or some seconds longer if not
 * one server said anything, to see whether any is there. If some hosts' addresses could not be had
 * for a temporary reason while others were found, the answer is FOUND with what there is, and
 * `unknown` is set; if none was found and any of them failed temporarily, it is TEMPORARY.
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

void exchangers_free(struct exchangers *e);

/* What the hosts of `more` point to is owned by `out`, where they are, too. 0 or -ENOMEM. */
int exchangers_adopt(struct exchangers *out, struct exchangers *more);

/*
 * A copy that outlives its exchangers, in the place of another such one (zeroed: of none).
 * exchanger_drop is its end.
 */
void exchanger_keep(struct exchanger *out, const struct exchanger *e);
void exchanger_drop(struct exchanger *e);

/* ... of one that malloc gave. NULL is none. */
void exchanger_free(struct exchanger *e);

#endif

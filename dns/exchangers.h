/*
 * exchangers: the hosts that take mail for a domain, as a look-up finds them: best first, each
 * address once; and what is not known of them, and why.
 */
#ifndef POSTERN_EXCHANGERS_H
#define POSTERN_EXCHANGERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/limits.h"
#include "lib/net.h"

/* What became of a look-up. */
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
	EXCHANGER_BEYOND = EXCHANGER_WORST + 1, /* no record has this preference, */
	EXCHANGER_ABOVE = -1,         /* ... nor this one, which is better than all */
	EXCHANGER_HOSTS_MAX = 100,    /* MX records used, best preference first (G5) */
	EXCHANGER_ADDRESSES_MAX = 400, /* addresses used, of all hosts together */
	EXCHANGER_ALSO = LIMIT_DOMAIN + 1, /* octets of other names: the longest one, some others */
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
	char also[EXCHANGER_ALSO];        /* ... and so it is by these names, a blank between them,
	                                   * which are in no list any more (policy_sift); "" */
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
	                      * had for now; EXCHANGER_ABOVE: whether there are MX records; beyond
	                      * EXCHANGER_WORST: there is none */
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

/* ---- for those who look them up ---- */

/* None, of whom all is known. */
void exchangers_begin(struct exchangers *out);

/* Places for n more, if there may be as many. False: there is no memory. */
bool exchangers_make_room(struct exchangers *out, size_t n);

/*
 * An address of a host, for which there is room; `host` is its name as text. Not if it stands there
 * already, at a better preference, or there are as many as there may be. By another name it is
 * another host, which may be asked for another certificate.
 */
void exchangers_add(struct exchangers *out, uint16_t preference, const char *host,
	const struct netaddr *addr);

/* Of a host something is not known for now. The trouble of the best one is kept. */
void exchangers_note_unknown(struct exchangers *out, int preference, const char *host,
	const char *what, const char *why);

/* For the log: why there is none. */
void exchangers_explain(struct exchangers *out, const char *domain, const char *what,
	const char *why);

/* It has a holder, which is *out from now on. False: there is no memory, and it is not. */
bool exchangers_own(struct exchangers *out, struct tlsa *t);

/* ---- what becomes of them ---- */

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

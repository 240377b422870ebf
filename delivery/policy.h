/*
 * policy: which TLS a host must have for the mail of a lane, and why. Here alone it is decided.
 *
 * It follows from values; nothing is asked, opened or remembered. Who finds out something else by
 * which TLS is decided adds it to what is known, and a source to those below.
 */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "conf/conf.h"
#include "dns.h"
#include "lib/buf.h"
#include "mail/sts.h"

enum {
	POLICY_WORDS = LIMIT_DOMAIN + 256,
	POLICY_NAMES = 4, /* of one address by which it is tried; two hosts in one have two */
	POLICY_VOUCHED = LIMIT_DOMAIN + 1 + EXCHANGER_ALSO,
};

/* What it follows from. All of it lives longer than the policy. */
struct policy_facts {
	const struct conf_delivery *delivery; /* settings of the lane */
	const char *lane;
	const struct exchanger *to;           /* a host that was found for it */
	const struct sts_policy *sts;         /* of MTA-STS, in force; NULL: none */
	const char *sts_id;                   /* ... and its id */
	/*
	 * The mail says TLS-Required: No, and nothing that satisfies its domain can be had: what
	 * the domain asks for does not count, only what the operator does (RFC 8689 section 4.2.2).
	 */
	bool relaxed;
};

struct policy {
	enum policy_source {
		POLICY_SETTING, /* delivery_tls, by the lane's route or for all */
		POLICY_DANE,    /* what the DNS says of the host's certificates (RFC 7672) */
		POLICY_STS,     /* MTA-STS, of mode enforce (RFC 8461) */
	} source;
	enum conf_delivery_tls tls; /* what is asked for */
	bool clear;                 /* NONE is asked for because the host's TLS does not work */
	bool barred;                /* the host gets no mail at all: the words say why */
	/*
	 * The name that a certificate must be for where one is relied on (VERIFY, REQUIRETLS,
	 * passwords): the domain of the mail, or the host that the route names, or, where a policy
	 * of MTA-STS vouches for it, the exchanger. Never a name that only the DNS told: "" then,
	 * which no certificate is for; for VERIFY `domain` will do, which the route names (S15).
	 */
	char target[LIMIT_DOMAIN + 1];
	const char *domain;         /* of the facts; "": none */
	char vouched[POLICY_VOUCHED]; /* or the host's own names, a blank between them, if somebody
	                               * who is believed says that mail is for that host; "":
	                               * nobody does */
	struct tlsa *tlsa;          /* of the facts: the certificate must be one of these, whatever
	                             * else is asked for (DANE); NULL: it need not be */
	char words[POLICY_WORDS];   /* for a log, a report, an operator: "delivery_tls = may" */
};

void policy_decide(struct policy *p, const struct policy_facts *f);

/*
 * Leaves in *x the hosts that are not barred; and of several names of one address those that may
 * make a difference, because of the certificate that the host has to have by them; but of those
 * that the DNS told not more than POLICY_NAMES: a stranger writes as many as he likes, for an
 * address that need not be his, and each would be a connection there. A name that is left out
 * because any certificate will do stays one that the host has (`also`), for mail that is to be sure
 * of the host (REQUIRETLS). `facts` says all but the host. False: there were some, and none is
 * left; *why says why.
 */
bool policy_sift(struct exchangers *x, const struct policy_facts *facts, struct buf *why);

/*
 * The host's TLS does not work: what is asked for then. False: nothing else, for it is not a policy
 * that does without.
 */
bool policy_do_without(struct policy *p);

/*
 * Does the domain ask for it, and not the operator? Then mail may go without that says
 * TLS-Required: No.
 */
bool policy_is_theirs(const struct policy *p);

/* Is there a host among them that is barred by what the domain asks for? */
bool policy_bars_any(const struct exchangers *x, const struct policy_facts *facts);

/* "setting", "dane", ...: for programs. */
const char *policy_source_word(enum policy_source source);

/* A word of a configuration: "may". */
const char *policy_word(enum conf_delivery_tls tls);

#endif

/*
 * tlsa: TLSA records (RFC 6698, 7671): which certificates a host may have, as the DNS says.
 *
 * Whoever made the zone wrote them: each has any length, and anything in it. What cannot be used is
 * kept, for that there is a record at all says that the host has TLS (RFC 7672 section 2.2).
 */
#ifndef POSTERN_TLSA_H
#define POSTERN_TLSA_H

#include <stdatomic.h>

#include "dns/answer.h"
#include "lib/buf.h"
#include "lib/limits.h"

#define TLSA_TYPE ((enum dns_type)52)

enum {
	TLSA_TA = 2, TLSA_EE = 3,                       /* usages; 0 and 1 are not for mail */
	TLSA_CERTIFICATE = 0, TLSA_KEY = 1,             /* selectors */
	TLSA_FULL = 0, TLSA_SHA256 = 1, TLSA_SHA512 = 2, /* matching types */
	TLSA_RECORDS_MAX = 32, /* of a host; a roll-over of all usages has eight */
};

struct tlsa_record {
	uint8_t usage, selector, matching;
	uint16_t n;          /* octets of data */
	const uint8_t *data; /* in the same piece of memory */
};

/* The records of a host. Nothing in it changes once it was made; it may have several holders. */
struct tlsa {
	atomic_int holders;
	char base[LIMIT_DOMAIN + 1];   /* whose they are: the host's name, or its alias' end */
	char domain[LIMIT_DOMAIN + 1]; /* the mail's domain is an alias of this; "": of none */
	size_t n;                      /* at least 1 */
	struct tlsa_record v[TLSA_RECORDS_MAX];
	uint8_t data[];
};

/* What they say of a certificate (sending/dane.h). */
enum dane_verdict {
	DANE_UNKNOWN,  /* it was not looked at */
	DANE_GOOD,
	DANE_BAD,
	DANE_UNUSABLE, /* no record can be used */
};

/* Those in the answer to q. NULL: *trouble says why not. The caller holds it, once. */
struct tlsa *tlsa_read(const struct question *q, const char **trouble);

struct tlsa *tlsa_hold(struct tlsa *t); /* NULL is none */
void tlsa_drop(struct tlsa *t);

/* Can a certificate be compared with it, as it is used for mail (RFC 7672 section 3.1)? */
bool tlsa_is_usable(const struct tlsa_record *r);

/* Can it be with any of them? */
bool tlsa_has_usable(const struct tlsa *t);

/* For a person: "3 1 1 of mx.example.org", or of several "2 0 1 and 3 1 1 of ...". */
void tlsa_describe(const struct tlsa *t, struct buf *out);

#endif

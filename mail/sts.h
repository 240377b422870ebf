/*
 * sts: what a domain says of how mail to it is to be sent (MTA-STS, RFC 8461): the TXT record by
 * which it tells that it has a policy, and the policy itself, which comes over HTTPS.
 *
 * Both are read by the letter of the grammar. What is no policy by that counts as none at all: a
 * policy that was kept before stays in force then, and nothing is guessed from half of one.
 */
#ifndef POSTERN_STS_H
#define POSTERN_STS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/span.h"

enum {
	STS_ID = 32,            /* octets of an id (section 3.1) */
	STS_MAX_AGE = 31557600, /* s; the longest that a policy may ask for (section 3.2): a year */
	STS_TEXT = 64 * 1024,   /* octets of a policy (section 3.3) */
};

#define STS_RECORD "_mta-sts." /* and the domain: whose TXT record it is */
#define STS_HOST "mta-sts."    /* and the domain: who has the policy, */
#define STS_PATH "/.well-known/mta-sts.txt" /* and where */

/*
 * The id that the domain's record tells. `texts` are all TXT records of the name, each with a NUL
 * behind it (dns/txt.h). False: not exactly one of them begins as such a record does, or that one
 * is wrong; then the domain has none.
 */
bool sts_record(struct span texts, char id[static STS_ID + 1]);

struct sts_policy {
	enum sts_mode {
		STS_NONE,    /* as if there were no policy */
		STS_TESTING, /* what does not agree with it is told and no more */
		STS_ENFORCE, /* what does not agree with it gets no mail */
	} mode;
	int64_t max_age;  /* s from the fetch: so long it is in force */
	struct span text; /* what it was read from, whose owner it is not: the mx lines */
};

/* Reads the text of a policy. NULL, or what is wrong with it: a text that stays. */
const char *sts_policy(struct span text, struct sts_policy *out);

/* Does a pattern of the policy match the name of this exchanger (section 4.1)? */
bool sts_allows(const struct sts_policy *p, struct span host);

/* The next pattern of *rest, which begins as the text of a policy; empty: there is none. */
struct span sts_next_mx(struct span *rest);

/* "enforce" */
const char *sts_mode_word(enum sts_mode mode);

/* Is it the media type that a policy must have (section 3.2)? Its parameters do not matter. */
bool sts_is_plain(struct span type);

#endif

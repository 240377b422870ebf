/*
 * masquerade: domains of this site that the world is not to see, and what stands in their place.
 */
#ifndef POSTERN_MASQUERADE_H
#define POSTERN_MASQUERADE_H

#include <stdbool.h>

#include "mail/address.h"

struct masquerade {
	/* Words "domain=domain"; ".domain=domain" is for all that are below it. NULL: none. */
	const char *rules;
	/* Words: addresses, or local parts at any domain, that stay as they are. NULL: none. */
	const char *except;
};

/* Are these words such rules? */
bool masquerade_valid(struct span rules);

/*
 * The domain that an address gets, by the first rule that matches, in any letter case; it lives as
 * long as the rules. p is NULL: the address stays as it is.
 */
struct span masquerade_domain(const struct masquerade *m, const struct address *a);

#endif

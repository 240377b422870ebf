/*
 * addrlist: lists of addresses as people and programs write them, in a header field or on a command
 * line (RFC 5322 sections 3.4 and 4.4): names before brackets, comments, quoted strings, groups,
 * folded lines, old routes.
 *
 * Nothing is guessed but this: a semicolon parts addresses, too, as Outlook writes them, and the
 * final dot of "joe@example.net." says that the name is absolute, as it is without. A word alone
 * ("root") is an address that lacks its domain, and the caller's to complete.
 */
#ifndef POSTERN_ADDRLIST_H
#define POSTERN_ADDRLIST_H

#include <stdbool.h>

#include "lib/limits.h"
#include "lib/span.h"

/* One address. */
struct listed {
	char text[LIMIT_PATH]; /* without what stands around it, and a NUL; empty: "<>" */
	size_t n;
	bool bare;             /* it lacks "@" and a domain */
	const char *end;       /* in the list: where its local part ends, and the domain belongs */
};

/*
 * The next address; *list moves behind it. 1; 0: there are no more; -EINVAL: it is none, and where
 * it would end is not known.
 */
int addrlist_next(struct span *list, struct listed *out);

#endif

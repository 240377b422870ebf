/*
 * proxy: which client a proxy speaks for (PROXY protocol, versions 1 and 2).
 *
 * The header comes before anything else. It is believed only from listed proxies, and from those it
 * is required: a connection without one, or with one that is cut or odd, ends.
 */
#ifndef POSTERN_PROXY_H
#define POSTERN_PROXY_H

#include "lib/net.h"
#include "lib/span.h"

enum proxy_result {
	PROXY_MORE,    /* not whole yet */
	PROXY_CLIENT,  /* the client is *out */
	PROXY_ITSELF,  /* it speaks for itself, or will not say (UNKNOWN, LOCAL, UNSPEC, UNIX) */
	PROXY_BAD,
};

/*
 * Octets of a header that are waited for; longer ones are BAD. What a proxy says of a client beside
 * its address (its name, its certificate's, an id) has been more than the 536 of a small packet.
 */
enum { PROXY_MAX = 16 + 4096 };

/* Looks at the octets so far; *used is how long the header is, unless MORE or BAD. */
enum proxy_result proxy_parse(struct span in, size_t *used, struct netaddr *out);

#endif

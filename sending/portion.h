/*
 * portion: how much of what a host sends a call of OpenSSL may take in before it returns.
 *
 * OpenSSL reads on while what comes is not for us: tickets of sessions, of which a record holds
 * hundreds, or requests for another handshake. It looks at no clock meanwhile, and nobody can tell
 * the courier to give way: a host that says nothing else, faster than that is worked through, would
 * have it for as long as it likes. So what a call takes in is counted below OpenSSL. After a
 * portion the rest is as if it had not come yet, and who waits for it looks at the clock first.
 */
#ifndef POSTERN_PORTION_H
#define POSTERN_PORTION_H

#include "sending/openssl.h"

enum { PORTION = 64 * 1024 }; /* octets: four records, where an honest call needs one at a time */

struct portion {
	size_t left; /* octets; what a single read brings may be more */
};

/* Counts what this connection, which has its socket, takes in; *p lives longer than it. */
void portion_limit(SSL *ssl, struct portion *p);

/* The next call begins. */
void portion_begin(struct portion *p);

#endif

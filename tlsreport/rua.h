/*
 * rua: where a domain wants its reports on TLS, by the TXT records of _smtp._tls (RFC 8460 section
 * 3).
 *
 *	v=TLSRPTv1; rua=mailto:tls@example.org,https://tls.example.org/v1
 *
 * Strangers write it. One record counts, or none: where several begin so, nobody knows which of
 * them is meant. Fields and schemes that are not known are passed by.
 */
#ifndef POSTERN_RUA_H
#define POSTERN_RUA_H

#include "lib/limits.h"
#include "lib/span.h"

enum {
	RUA_PLACES = 4, /* that get a report; others of a longer list get none */
	RUA_URL = 1024, /* octets of one */
};

struct rua {
	int n;
	struct rua_place {
		enum { RUA_MAIL, RUA_POST } kind;
		char text[RUA_URL + 1]; /* a mailbox; or the URL, as it was written */
	} v[RUA_PLACES];
};

/*
 * Reads all TXT records of the name, each ended by NUL (dns/txt.h). True: there is somewhere to
 * send to; else *why says why not.
 */
bool rua_parse(struct span texts, struct rua *out, const char **why);

#endif

/* txt: the TXT records of a name (RFC 1035 section 3.3.14): keys of DKIM, policies. */
#ifndef POSTERN_TXT_H
#define POSTERN_TXT_H

#include "dns.h"
#include "lib/buf.h"

enum { TXT_MAX = 64 * 1024 }; /* octets of all records together */

struct txt {
	struct buf texts; /* of each record its strings, joined, and a NUL; owned */
	enum answer answer; /* FOUND, NO_NAME, NO_DATA or TEMPORARY, as txt_find has it */
	char why[80];     /* unless FOUND */
};

/* FOUND: at least one. NO_NAME or NO_DATA: there is none. TEMPORARY: it cannot be told now. */
enum answer txt_find(struct resolver *r, const char *name, int64_t deadline, struct txt *out);

/*
 * With the next look-up of exchangers (dns.h) the TXT records of `name` are asked for, at the same
 * time: *out, which is to be freed as of txt_find. It is TEMPORARY if they were not. Where their
 * answer is waited for, and no other one, that takes 9 s at most.
 */
void txt_ask_also(struct resolver *r, const char *name, struct txt *out);

/* The next text of *rest, which begins as all of them (buf_span). Empty p: there is none. */
struct span txt_next(struct span *rest);

#endif

/*
 * recipients: who gets a message, from the command line or its header, through the aliases of this
 * host.
 *
 * An alias is for a name without a domain, or at localhost: what has another domain is meant as it
 * is written. A list is taken whole or not at all.
 */
#ifndef POSTERN_RECIPIENTS_H
#define POSTERN_RECIPIENTS_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/limits.h"

enum { RECIPIENTS_MAX = 10000 }; /* as many as max_recipients may be */

struct recipient {
	char address[LIMIT_PATH]; /* "root": the domain of this host is to be added */
	bool bare;
};

struct recipients {
	struct recipient *v; /* n of them, none twice */
	size_t n, room;
	struct span aliases; /* the text of the file (mail/aliases.h); empty: there are none */
	long steps;          /* values of aliases that were looked at */
	struct buf why;      /* what is wrong with the one that was refused */
};

/* Begins with no recipients; `aliases` is the caller's. */
struct recipients recipients_new(struct span aliases);

/*
 * Adds all addresses of a list. EX_OK; or a status of sysexits.h and a line in r->why: EX_DATAERR
 * what is no address, EX_CONFIG an alias that nothing can be done with, EX_TEMPFAIL no memory.
 */
int recipients_add(struct recipients *r, struct span list);

/* One address, as it is written; no alias is looked for. False: it is none, or more than one. */
bool recipients_one(struct span text, struct recipient *out);

void recipients_free(struct recipients *r);

#endif

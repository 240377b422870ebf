/*
 * hops: counts Received: fields while a message passes by (RFC 5321 section 6.3).
 *
 * Looks at nothing else and stops at the empty line.
 */
#ifndef POSTERN_HOPS_H
#define POSTERN_HOPS_H

#include <stdbool.h>

#include "lib/span.h"

struct hops {
	int received;  /* fields seen so far */
	int matched;   /* octets of "received:" at the start of this line; -1: another line */
	bool body;     /* the header is over */
};

void hops_feed(struct hops *h, struct span piece);

#endif

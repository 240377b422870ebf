/*
 * guard: where mail that is submitted here may go at all, so that nothing leaves a host for tests.
 *
 * The value of the key `guard`: "no"; "allow" and a list of addresses and domains; "redirect" and
 * an address that gets everything.
 */
#ifndef POSTERN_GUARD_H
#define POSTERN_GUARD_H

#include <stdbool.h>

#include "lib/span.h"

struct guard {
	enum guard_kind { GUARD_NONE, GUARD_ALLOW, GUARD_REDIRECT } kind;
	const char *what; /* the list (match_sender), or the address; part of the value */
};

/* Reads a value, of NULL as of "no". False: it is none, and *out is as it was. */
bool guard_parse(const char *value, struct guard *out);

/* May mail go to this address, or a report to this sender? */
bool guard_allows(const struct guard *g, struct span address);

#endif

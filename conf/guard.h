/*
 * guard: where mail that is submitted here may go at all, so that nothing leaves a host for tests.
 *
 * The value of the key `guard`: "no"; "allow" and a list of addresses and domains; "redirect" and
 * an address that gets everything; "sink" and a directory in which all of it becomes files.
 */
#ifndef POSTERN_GUARD_H
#define POSTERN_GUARD_H

#include <stdbool.h>

#include "lib/span.h"

struct guard {
	enum guard_kind { GUARD_NONE, GUARD_ALLOW, GUARD_REDIRECT, GUARD_SINK } kind;
	const char *what; /* the list (match_sender), address or path; the rest of the value */
};

/*
 * Mail for the directory is queued in the lane of a route of this name, which no section can have:
 * without the guard it goes nowhere.
 */
#define GUARD_ROUTE "guard"

/* Reads a value, of NULL as of "no". False: it is none, and *out is as it was. */
bool guard_parse(const char *value, struct guard *out);

/* May mail go to this address, or a report to this sender? */
bool guard_allows(const struct guard *g, struct span address);

#endif

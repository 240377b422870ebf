/*
 * aliases: the text of /etc/aliases, as sendmail reads it.
 *
 *	name: value, value
 *		more values
 *
 * "#" begins a line that is a comment. A value is an address, a name that may be an alias itself,
 * or "\name", which is none. Programs, files and lists in files are recognised, so that somebody
 * can be told: nothing here delivers to them.
 */
#ifndef POSTERN_ALIASES_H
#define POSTERN_ALIASES_H

#include <stdbool.h>

#include "lib/span.h"

enum alias_kind {
	ALIAS_ADDRESS, /* what addrlist.h takes */
	ALIAS_FINAL,   /* a name behind a backslash, which is not in it */
	ALIAS_PROGRAM, /* "|command" */
	ALIAS_FILE,    /* "/file" */
	ALIAS_INCLUDE, /* ":include:/file", and other words between colons */
};

struct alias {
	enum alias_kind kind;
	struct span text; /* part of the file, without quotes around it */
};

/* The next entry, its name as it stands there; *text moves behind it. False: there are no more. */
bool aliases_entry(struct span *text, struct span *name, struct span *values);

/*
 * Are these the same name? In any case of letters, and with or without quotes around it, or
 * backslashes: "\"root\"" is root (RFC 5321 section 4.1.2).
 */
bool aliases_same(struct span a, struct span b);

/* The values of the first entry of this name. False: there is none. */
bool aliases_find(struct span text, struct span name, struct span *values);

/* The next of the values of an entry; *values moves behind it. False: there are no more. */
bool aliases_value(struct span *values, struct alias *out);

#endif

/*
 * postmap: lookup tables of Postfix, as the text that they were made from.
 *
 * A setting names tables ("hash:/etc/postfix/transport, inline:{ a=b }"). Those of the kinds that
 * postmap(1) makes out of a text file are read from that file, with which the .db or .lmdb beside
 * it agrees if somebody did not forget to run postmap; "inline:", "static:", "regexp:", "pcre:" and
 * "cidr:" are text themselves. What is asked of a program or a server (LDAP, SQL) cannot be listed,
 * and that is a warning, as is a file that cannot be read.
 */
#ifndef POSTERN_POSTMAP_H
#define POSTERN_POSTMAP_H

#include "admin/translate.h"

enum { POSTMAP_FILES = 16 }; /* of one setting */

/* What it says of one key; the spans are those of its table. */
struct postmap_row {
	struct span key, value;
	const char *path; /* where it stands; NULL: in main.cf itself */
	int line;
	enum postmap_key {
		POSTMAP_KEY,	 /* a text, letter case does not matter */
		POSTMAP_PATTERN, /* a regular expression with what is around it */
		POSTMAP_ANY,	 /* whatever is asked for */
	} kind;
};

struct postmap {
	struct postmap_row *v; /* owned; in the order in which they are looked at */
	int n;
	struct buf texts[POSTMAP_FILES]; /* owned */
	struct buf paths[POSTMAP_FILES]; /* owned, with their NUL */
	int files;
};

enum postmap_form {
	POSTMAP_PAIRS,	 /* lines "key value", as postmap(1) reads them */
	POSTMAP_ALIASES, /* lines "key: value", as postalias(1) does */
	POSTMAP_LIST,	 /* the words themselves are keys; "/file" is a file of such words */
};

/* The tables that a setting names, one behind the other. The caller frees *m. */
void postmap_read(
	struct postmap *m, struct translation *t, struct span maps, enum postmap_form form);

/* The first row for this key, in any letter case; or NULL. Patterns are not looked at. */
const struct postmap_row *postmap_find(const struct postmap *m, struct span key);

/* Is it for whatever is asked for, also if it is a pattern? */
bool postmap_is_any(const struct postmap_row *row);

/* What is written next comes of this row. */
void postmap_from(struct translation *t, const struct postmap_row *row);

void postmap_free(struct postmap *m);

#endif

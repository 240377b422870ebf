/* keys: the table of keys, and setting values by their names; between value.h and load.c. */
#ifndef POSTERN_CONF_KEYS_H
#define POSTERN_CONF_KEYS_H

#include "conf/conf.h"

enum {
	CONF_LINE = 4096,       /* octets of a line of the file, or of what a variable names */
	CONF_DOUBTS = 3 * 1024, /* octets of all doubts (conf_doubt): each is a line of the log */
};

/* What is being loaded. */
struct setting {
	struct conf *c;
	struct conf_origins *from;
	struct buf *why; /* what is wrong, if something is */
};

/* Which key this is, in any letter case; -1: none. And back. */
int conf_find(struct span name);
const char *conf_name(int key);

/* Puts "origin: name: what is wrong" into *why. -EINVAL. `v` is quoted if it has a pointer. */
int conf_complain(struct buf *why, struct conf_origin at, struct span name, const char *wrong,
	struct span v);

/* The same of a key that is set already, where it was. */
int conf_complain_of(struct setting *s, const char *name, const char *wrong);

/*
 * May this key stand outside of a route's section? 0, or -EINVAL with the reason in *s->why. Also
 * for keys of a profile that nobody asks for, whose values are not looked at.
 */
int conf_check_place(struct setting *s, int key, struct conf_origin at);

/* What works, though somebody ought to look at it, for the operator to hear (conf.h). */
void conf_doubt(struct setting *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets a key, or the one of a text "key = value". 0, or -EINVAL with the reason in *s->why. */
int conf_set(struct setting *s, struct span name, struct span v, struct conf_origin at);
int conf_set_pair(struct setting *s, struct span line, struct conf_origin at);

/* A text "key = value" of a route's section. The same. */
int conf_set_route(struct setting *s, struct route *r, struct span line, struct conf_origin at);

/* All that have a default in the table. */
int conf_set_defaults(struct setting *s);

#endif

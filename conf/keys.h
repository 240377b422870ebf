/* conf_keys: setting values by the name of their key; between conf.c and conf_load.c. */
#ifndef POSTERN_CONF_KEYS_H
#define POSTERN_CONF_KEYS_H

#include "conf/conf.h"

/* Which key this is, in any letter case; -1: none. And back. */
int conf_find(struct span name);
const char *conf_name(int key);

/* Puts "origin: name: what is wrong" into *why. -EINVAL. `v` is quoted if it has a pointer. */
int conf_complain(struct buf *why, const char *origin, struct span name, const char *wrong,
	struct span v);

/* Sets a key, or the one of a text "key = value". 0, or -EINVAL with the reason in *why. */
int conf_set(struct conf *c, struct span name, struct span v, const char *origin, struct buf *why);
int conf_set_pair(struct conf *c, struct span line, const char *origin, struct buf *why);

/* A text "key = value" of a route's section. The same. */
int conf_set_route(struct route *r, struct span line, const char *origin, struct buf *why);

/* All that have a default in the table. */
int conf_set_defaults(struct conf *c, struct buf *why);

#endif

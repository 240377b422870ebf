/*
 * environment: what the environment sets: POSTERN_ and the name of a key, or that and _FILE, which
 * names a file that holds the value.
 */
#ifndef POSTERN_ENVIRONMENT_H
#define POSTERN_ENVIRONMENT_H

#include "conf/keys.h"

/*
 * Sets all of it; what is no key is a doubt, for others have variables of these names, too. In a
 * program that has rights which whoever started it has not (set-id) none of it counts, and it is
 * taken out of the environment. 0, or -EINVAL and a line in *s->why.
 */
int environment_load(struct setting *s);

#endif

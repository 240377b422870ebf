/*
 * explained: what `postern explain` has found, as text.
 *
 * Its fields are those of docs/JSON.md. What strangers wrote in them is escaped here.
 */
#ifndef POSTERN_EXPLAINED_H
#define POSTERN_EXPLAINED_H

#include <jansson.h>

#include "admin/out.h"

void explained_say(struct out *o, const json_t *all);

#endif

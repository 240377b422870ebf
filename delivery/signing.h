/* signing: starts sign, which has the keys of DKIM (sign.c). */
#ifndef POSTERN_SIGNING_H
#define POSTERN_SIGNING_H

#include "lib/buf.h"
#include "process/launch.h"

/* Our end of the socket to it; -1: the reason is in *why. Reaps nothing. */
int signing_start(const struct launcher *l, struct buf *why);

#endif

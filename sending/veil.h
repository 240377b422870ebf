/*
 * veil: what a host says is kept, in logs and in the spool, but for what it repeats of a secret.
 *
 * Hosts repeat commands that they do not understand, and who did not follow an exchange of AUTH
 * takes our name and password for one.
 */
#ifndef POSTERN_VEIL_H
#define POSTERN_VEIL_H

#include "lib/buf.h"

/*
 * Puts "(hidden)" in place of each piece of the secret that is in a text: of eight octets or more,
 * or of all of a shorter one. One of less than four is left, for that would be found in many words.
 * What was there is wiped.
 */
void veil_cover(struct buf *text, struct span secret);

#endif

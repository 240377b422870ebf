/*
 * hops: counts Received: fields while a message passes by (RFC 5321 section 6.3). A listener
 * (header.h).
 *
 * Text between the fields does not end them: a host that puts a line of its own in front of a
 * message has it loop all the same.
 */
#ifndef POSTERN_HOPS_H
#define POSTERN_HOPS_H

#include "mail/header.h"

void hops_hear(int *hops, const struct header_part *part);

#endif

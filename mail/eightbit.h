/*
 * eightbit: is the header of a message that passes by in ASCII? A listener (header.h).
 *
 * It ends before the first line that is no field: text without a header is text.
 */
#ifndef POSTERN_EIGHTBIT_H
#define POSTERN_EIGHTBIT_H

#include "mail/header.h"

/* Begins as { 0 }. */
struct eightbit {
	bool over;
	bool found; /* an octet beyond ASCII stands in a field */
};

void eightbit_hear(struct eightbit *e, const struct header_part *part);

#endif

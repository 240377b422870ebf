/*
 * withheld: words of MAIL and RCPT at which hosts of the lane broke off, in this turn, and which
 * are kept back from them. hosts.h remembers that for longer; but it may not be able to, or for a
 * short time only, and a turn would have no end if the same host were told them again and again.
 *
 * What one host refused is said to the others all the same: they may take it, and it is worth
 * having. Where more hosts than there are places for refuse words, the last place is theirs
 * together.
 */
#ifndef POSTERN_WITHHELD_H
#define POSTERN_WITHHELD_H

#include "dns/exchangers.h"

enum { WITHHELD_HOSTS = 8 };

/* Begins as { 0 }. UNIX sockets are one host. */
struct withheld {
	struct withheld_host {
		struct netaddr addr;
		uint16_t port;
		unsigned words; /* CAN_*; 0: nobody's place */
	} v[WITHHELD_HOSTS];
};

/* This host broke off at these words (CAN_*). */
void withheld_note(struct withheld *w, const struct exchanger *to, unsigned words);

/* All that it did so at. */
unsigned withheld_from(const struct withheld *w, const struct exchanger *to);

#endif

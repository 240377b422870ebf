/* extension: the extensions of SMTP that a host may announce, by their keywords. */
#ifndef POSTERN_EXTENSION_H
#define POSTERN_EXTENSION_H

#include "lib/span.h"

enum {
	CAN_PIPELINING = 1,
	CAN_8BITMIME = 2,
	CAN_SIZE = 4,
	CAN_CHUNKING = 8,
	CAN_BINARYMIME = 16,
	CAN_SMTPUTF8 = 32,
	CAN_DSN = 64,
	CAN_DELIVERBY = 128,
	CAN_PRIORITY = 256,
	CAN_STARTTLS = 512,
	CAN_REQUIRETLS = 1024,
	CAN_BDAT = CAN_CHUNKING | CAN_BINARYMIME, /* what stands on that command */
};

/* CAN_*, for a keyword in any letter case; 0: none that we know. */
unsigned extension_named(struct span keyword);

/*
 * All of a list, with blanks or commas between. False, and *out as it was: a word is none, or is
 * STARTTLS, about which the policy of TLS decides.
 */
bool extension_list(struct span words, unsigned *out);

#endif

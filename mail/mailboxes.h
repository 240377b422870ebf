/*
 * mailboxes: the addresses in a field such as From: (RFC 5322 section 3.4), where they stand.
 *
 * Nothing is decoded and nothing is judged: quoted strings, comments, groups and display names are
 * told apart from addresses, in ASCII, UTF-8 or any other octets. A field that is not understood as
 * a whole is not understood at all, so nobody changes half of it.
 */
#ifndef POSTERN_MAILBOXES_H
#define POSTERN_MAILBOXES_H

#include <stdbool.h>

#include "lib/span.h"

enum {
	MAILBOXES_MAX = 64,    /* of one field; what has more is left alone */
	MAILBOXES_NESTED = 32, /* comments within comments */
};

struct mailboxes {
	int n;      /* elements of the list, those of groups too */
	bool group; /* there is a group */
	/*
	 * Of each element the octets of its address: what stands in "<" and ">", or all of it but
	 * blanks and comments around it. p is NULL where it has words and no address. Whether it is
	 * one, and may be changed, is for the caller (address.h).
	 */
	struct span of[MAILBOXES_MAX];
};

/* `value` is what stands behind the colon, with its line ends. 0; -EINVAL: not understood. */
int mailboxes_find(struct span value, struct mailboxes *out);

#endif

/*
 * hostname: our name, where nobody wrote one into the configuration.
 *
 * The system's name was chosen for other ends ("my_app_1" by a container, "(none)" by nobody), so
 * it is not judged like a setting: if a domain can be made of it, that is the name, and otherwise
 * one of this host's addresses as a literal (RFC 5321 section 4.1.3). The operator hears of both.
 */
#ifndef POSTERN_HOSTNAME_H
#define POSTERN_HOSTNAME_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/limits.h"
#include "lib/net.h"
#include "lib/span.h"

enum { HOSTNAME_SIZE = LIMIT_DOMAIN + 1 };
_Static_assert((int)HOSTNAME_SIZE >= (int)NETADDR_LITERAL, "a literal is a name too");

/* Makes a domain of the system's name. False: it cannot be done, and *out is untouched. */
bool hostname_of(struct span given, char out[static HOSTNAME_SIZE]);

/* The name, and what the operator ought to know of it, or nothing, into *doubt. */
void hostname_default(char out[static HOSTNAME_SIZE], struct buf *doubt);

#endif

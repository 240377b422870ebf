/* dial: begins a connection to a host. */
#ifndef POSTERN_DIAL_H
#define POSTERN_DIAL_H

#include "dns.h"

enum { DIAL_NAME = LIMIT_DOMAIN + NETADDR_TEXT + 16 };

/* "host[address]:port", or "unix:/path"; for logs and reports. */
void dial_name(const struct exchanger *to, char out[static DIAL_NAME]);

/*
 * Begins to connect, from an address of `source` (conf/target.h) if it has one of that family. A
 * non-blocking fd, or -errno.
 */
int dial_begin(const struct exchanger *to, const char *source);

#endif

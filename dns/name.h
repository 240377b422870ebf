/* name: a name of the DNS as text. */
#ifndef POSTERN_DNS_NAME_H
#define POSTERN_DNS_NAME_H

#include <udns.h>

#include "lib/limits.h"

/*
 * In lower case, escaped by udns: an octet may become four. What is too long then is cut, for who
 * has such a name only wants to see what becomes of it.
 */
void name_write(dnscc_t *dn, char out[static LIMIT_DOMAIN + 1]);

#endif

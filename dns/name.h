/* name: a name of the DNS as text. */
#ifndef POSTERN_DNS_NAME_H
#define POSTERN_DNS_NAME_H

#include <udns.h>

#include "lib/limits.h"

/* In lower case, escaped by udns. */
void name_write(dnscc_t *dn, char out[static LIMIT_DOMAIN + 1]);

#endif

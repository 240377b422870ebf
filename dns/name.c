#include "dns/name.h"

#include "lib/span.h"

void
name_write(dnscc_t *dn, char out[static LIMIT_DOMAIN + 1])
{
	dns_dntop(dn, out, LIMIT_DOMAIN + 1);
	for (char *c = out; *c != '\0'; c++)
		*c = ascii_lower(*c);
}

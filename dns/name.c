#include "dns/name.h"

#include "lib/span.h"

void
name_write(dnscc_t *dn, char out[static LIMIT_DOMAIN + 1])
{
	char text[DNS_MAXNAME];
	size_t n = 0;
	(void)dns_dntop(dn, text, sizeof(text)); /* for which there is room in any case */
	for (; n < LIMIT_DOMAIN && text[n] != '\0'; n++)
		out[n] = ascii_lower(text[n]);
	out[n] = '\0';
}

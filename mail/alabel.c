#include "mail/alabel.h"

#include <errno.h>
#include <idn2.h>
#include <stdio.h>

#include "mail/address.h"

int
alabel_domain(struct span domain, char out[static ALABEL_DOMAIN])
{
	char text[LIMIT_DOMAIN + 1], *labels = NULL;
	if (domain.n >= sizeof(text) || memchr(domain.p, '\0', domain.n) != NULL)
		return -EINVAL;
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	int r = idn2_to_ascii_8z(text, &labels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK)
		return r == IDN2_MALLOC ? -ENOMEM : -EINVAL;
	bool fits = address_is_domain(span_of(labels));
	if (fits)
		snprintf(out, ALABEL_DOMAIN, "%s", labels);
	idn2_free(labels);
	return fits ? 0 : -EINVAL;
}

struct span
alabel_address(struct span address, char room[static ALABEL_ADDRESS])
{
	const char *at = address.n > 0 ? memrchr(address.p, '@', address.n) : NULL;
	char domain[ALABEL_DOMAIN];
	if (at == NULL || span_is_ascii(address))
		return address;
	struct span local = span_from(address.p, at + 1);
	if (!span_is_ascii(local) || local.n > LIMIT_PATH ||
		alabel_domain(span_from(at + 1, address.p + address.n), domain) < 0)
		return address;
	int n = snprintf(room, ALABEL_ADDRESS, "%.*s%s", (int)local.n, local.p, domain);
	return (struct span){ room, (size_t)n };
}

bool
alabel_needs_utf8(struct span address)
{
	char room[ALABEL_ADDRESS];
	return !span_is_ascii(alabel_address(address, room));
}

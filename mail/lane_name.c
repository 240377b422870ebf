/*
 * Lanes of domains: an internationalized domain name becomes A-labels by IDNA 2008 (RFC 5891), with
 * the non-transitional mapping of UTS 46, as browsers do it.
 */
#include "mail/lane_name.h"

#include <errno.h>
#include <idn2.h>
#include <stdio.h>

#include "mail/address.h"

static int
to_a_labels(struct span domain, char out[static LANE_NAME_SIZE])
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
		snprintf(out, LANE_NAME_SIZE, "%s", labels);
	idn2_free(labels);
	return fits ? 0 : -EINVAL;
}

int
lane_name_of(struct span domain, char out[static LANE_NAME_SIZE])
{
	if (!span_is_ascii(domain))
		return to_a_labels(domain, out);
	if (!address_is_domain(domain) && !address_is_literal(domain))
		return -EINVAL;
	for (size_t i = 0; i < domain.n; i++)
		out[i] = ascii_lower(domain.p[i]);
	out[domain.n] = '\0';
	return 0;
}

struct span
lane_name_route(struct span name)
{
	static const struct span prefix = { LANE_ROUTE, sizeof(LANE_ROUTE) - 1 };
	return span_istarts(name, prefix) ? span_skip(name, prefix.n) : (struct span){ NULL, 0 };
}

bool
lane_name_valid(struct span name)
{
	struct span route = lane_name_route(name);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != ascii_lower(name.p[i]))
			return false;
	if (route.n > 0)
		return address_is_domain(route) && name.n < LANE_NAME_SIZE;
	return name.n > 0 && (address_is_domain(name) || address_is_literal(name));
}

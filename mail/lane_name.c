#include "mail/lane_name.h"

#include <errno.h>

#include "mail/address.h"
#include "mail/alabel.h"

int
lane_name_of(struct span domain, char out[static LANE_NAME_SIZE])
{
	if (!span_is_ascii(domain))
		return alabel_domain(domain, out);
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

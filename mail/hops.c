#include "mail/hops.h"

static const struct span name = { "Received", 8 };

void
hops_hear(int *hops, const struct header_part *part)
{
	if (part->kind == HEADER_FIELD && span_ieq(part->name, name))
		++*hops;
}

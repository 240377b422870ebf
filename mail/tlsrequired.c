#include "mail/tlsrequired.h"

static const struct span name = { "TLS-Required", 12 }, no = { "No", 2 };

void
tlsrequired_hear(struct tlsrequired *t, const struct header_part *part)
{
	t->over = t->over || part->kind == HEADER_TEXT;
	if (!t->over)
		header_take(&t->value, part, name, t->text, sizeof(t->text));
}

bool
tlsrequired_says_no(const struct tlsrequired *t)
{
	struct span says = { t->text, t->value.n };
	return t->value.fields == 1 && says.n < sizeof(t->text) && span_ieq(span_trim(says), no);
}

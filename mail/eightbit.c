#include "mail/eightbit.h"

void
eightbit_hear(struct eightbit *e, const struct header_part *part)
{
	e->over = e->over || part->kind == HEADER_TEXT || part->kind == HEADER_END;
	if (!e->over && part->kind == HEADER_VALUE && !span_is_ascii(part->text))
		e->found = true;
}

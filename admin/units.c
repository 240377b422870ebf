#include "admin/units.h"

struct span
units_value(struct span block, const char *name)
{
	while (block.n > 0) {
		struct span line = span_line(&block), key = span_word(&line, "=");
		if (span_eq(key, span_of(name)))
			return span_skip(line, line.n > 0);
	}
	return (struct span){ 0 };
}

bool
units_next(struct span *text, struct span *block)
{
	*block = (struct span){ text->p, 0 };
	while (text->n > 0) {
		if (span_line(text).n > 0)
			block->n = (size_t)(text->p - block->p);
		else if (block->n > 0)
			return true;
		else
			block->p = text->p;
	}
	return block->n > 0;
}

static bool
has(struct span block, const char *name, const char *value)
{
	return span_eq(units_value(block, name), span_of(value));
}

bool
units_is_loaded(struct span block)
{
	return has(block, "LoadState", "loaded");
}

bool
units_is_active(struct span block)
{
	return has(block, "ActiveState", "active") || has(block, "ActiveState", "activating");
}

bool
units_is_failed(struct span block)
{
	return has(block, "ActiveState", "failed");
}

bool
units_is_enabled(struct span block)
{
	return !has(block, "UnitFileState", "disabled") && !has(block, "UnitFileState", "masked");
}

int64_t
units_number(struct span block, const char *name)
{
	int64_t n = span_number(units_value(block, name));
	return n < 0 ? INT64_MAX : n;
}

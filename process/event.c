#include "process/event.h"

#include <stddef.h>
#include <string.h>

/* Without a pointer, so that nothing of it has to be made ready by those who do not log there. */
static const struct row {
	char name[16];
	char id[EVENT_ID + 1];
} rows[] = {
#define ROW(name, id, meaning) { #name, id },
	EVENT_TABLE(ROW)
#undef ROW
};

const char *
event_id(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].id;
	return NULL;
}

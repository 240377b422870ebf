#include "tlsreport/agenda.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

int
agenda_add(struct agenda *a, const struct agenda_item *item)
{
	if (a->n == a->room) {
		size_t room = a->room == 0 ? FIRST_ROOM : 2 * a->room;
		struct agenda_item *v = reallocarray(a->v, room, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		a->v = v;
		a->room = room;
	}
	a->v[a->n++] = *item;
	return 0;
}

static int
order(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare(const void *p, const void *q)
{
	const struct agenda_item *a = p, *b = q;
	int r = order(a->again, b->again);
	if (r == 0 && !a->again)
		r = order(a->place, b->place);
	if (r == 0)
		r = order(a->when, b->when);
	return r != 0 ? r : strcmp(a->domain, b->domain);
}

void
agenda_sort(struct agenda *a)
{
	if (a->n > 0)
		qsort(a->v, a->n, sizeof(*a->v), compare);
}

void
agenda_end(struct agenda *a, const char *domain)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].domain, domain) == 0)
			a->v[i].ended = true;
}

void
agenda_free(struct agenda *a)
{
	free(a->v);
	*a = (struct agenda){ 0 };
}

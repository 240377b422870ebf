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

/* The last two labels. */
static const char *
family_of(const struct agenda_item *item)
{
	const char *p = item->domain + strlen(item->domain);
	for (int dots = 0; p > item->domain && (p[-1] != '.' || ++dots < 2); p--)
		;
	return p;
}

/* Of those whose turn is the same: what was never tried, by place; and what was. */
static int
compare_kinds(const struct agenda_item *a, const struct agenda_item *b)
{
	int r = order(a->again, b->again);
	return r == 0 && !a->again ? order(a->place, b->place) : r;
}

static int
compare_times(const struct agenda_item *a, const struct agenda_item *b)
{
	int r = order(a->when, b->when);
	return r != 0 ? r : strcmp(a->domain, b->domain);
}

static int
compare_families(const void *p, const void *q)
{
	const struct agenda_item *a = p, *b = q;
	int r = compare_kinds(a, b);
	if (r == 0)
		r = strcmp(family_of(a), family_of(b));
	return r != 0 ? r : compare_times(a, b);
}

static int
compare(const void *p, const void *q)
{
	const struct agenda_item *a = p, *b = q;
	int r = compare_kinds(a, b);
	if (r == 0)
		r = order((int64_t)a->rank, (int64_t)b->rank);
	return r != 0 ? r : compare_times(a, b);
}

/* Of those of a kind and family, which stand together. */
static void
rank(struct agenda *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct agenda_item *before = i > 0 ? &a->v[i - 1] : NULL;
		bool same = before != NULL && compare_kinds(before, &a->v[i]) == 0 &&
			strcmp(family_of(before), family_of(&a->v[i])) == 0;
		a->v[i].rank = same ? before->rank + 1 : 0;
	}
}

void
agenda_sort(struct agenda *a)
{
	if (a->n == 0)
		return;
	qsort(a->v, a->n, sizeof(*a->v), compare_families);
	rank(a);
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

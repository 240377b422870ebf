#include "delivery/suspects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
suspects_init(struct suspects *s)
{
	*s = (struct suspects){ .n = 0 };
	pthread_mutex_init(&s->lock, NULL);
}

void
suspects_free(struct suspects *s)
{
	free(s->v);
	pthread_mutex_destroy(&s->lock);
	*s = (struct suspects){ .n = 0 };
}

/* Its number, or s->n. */
static size_t
find(const struct suspects *s, const char *lane, const char *id)
{
	size_t i = 0;
	while (i < s->n && (strcmp(s->v[i].id, id) != 0 || strcmp(s->v[i].lane, lane) != 0))
		i++;
	return i;
}

static bool
add(struct suspects *s, const char *lane, const char *id)
{
	if (s->n == SUSPECTS_MAX || find(s, lane, id) < s->n)
		return false;
	struct suspect *v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (v == NULL)
		return false;
	s->v = v;
	snprintf(v[s->n].id, sizeof(v->id), "%s", id);
	snprintf(v[s->n].lane, sizeof(v->lane), "%s", lane);
	s->n++;
	return true;
}

bool
suspects_add(struct suspects *s, const char *lane, const char *id)
{
	pthread_mutex_lock(&s->lock);
	bool added = add(s, lane, id);
	pthread_mutex_unlock(&s->lock);
	return added;
}

void
suspects_remove(struct suspects *s, const char *lane, const char *id)
{
	pthread_mutex_lock(&s->lock);
	size_t i = find(s, lane, id);
	if (i < s->n)
		s->v[i] = s->v[--s->n];
	pthread_mutex_unlock(&s->lock);
}

bool
suspects_has(struct suspects *s, const char *lane, const char *id)
{
	pthread_mutex_lock(&s->lock);
	bool has = find(s, lane, id) < s->n;
	pthread_mutex_unlock(&s->lock);
	return has;
}

bool
suspects_any(struct suspects *s)
{
	pthread_mutex_lock(&s->lock);
	bool any = s->n > 0;
	pthread_mutex_unlock(&s->lock);
	return any;
}

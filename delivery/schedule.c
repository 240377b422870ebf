#include "delivery/schedule.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_SIZE = 64, /* places of the heap */
	LEFT_PAUSE = 1,  /* s from some of the lanes that a host has left to the next ones */
};

/* ---- what is due later: a heap ----------------------------------------------------------- */

static void
put_at(struct schedule *s, struct schedule_lane *l, size_t at)
{
	s->later.v[at] = l;
	l->at = at;
}

/* Moves the lane at `at` to where it belongs, either way. */
static void
sift(struct schedule *s, size_t at)
{
	struct schedule_lane **v = s->later.v, *l = v[at];
	while (at > 0 && l->due < v[(at - 1) / 2]->due) {
		put_at(s, v[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	for (size_t child; (child = 2 * at + 1) < s->later.n; at = child) {
		if (child + 1 < s->later.n && v[child + 1]->due < v[child]->due)
			child++;
		if (l->due <= v[child]->due)
			break;
		put_at(s, v[child], at);
	}
	put_at(s, l, at);
}

/* There is a place for each lane (reserve). */
static void
push_later(struct schedule *s, struct schedule_lane *l)
{
	put_at(s, l, s->later.n++);
	l->place = SCHEDULE_LATER;
	sift(s, l->at);
}

static void
drop_later(struct schedule *s, struct schedule_lane *l)
{
	struct schedule_lane *last = s->later.v[--s->later.n];
	if (last == l)
		return;
	put_at(s, last, l->at);
	sift(s, last->at);
}

/* A place in the heap for one lane more. */
static int
reserve(struct schedule *s)
{
	if (s->n < s->later.size)
		return 0;
	size_t size = s->later.size > 0 ? 2 * s->later.size : FIRST_SIZE;
	struct schedule_lane **v = reallocarray(s->later.v, size, sizeof(struct schedule_lane *));
	if (v == NULL)
		return -ENOMEM;
	s->later.v = v;
	s->later.size = size;
	return 0;
}

/* ---- lanes ------------------------------------------------------------------------------- */

static int
compare_lanes(const void *a, const void *b)
{
	const struct schedule_lane *const l = a, *const m = b;
	return strcmp(l->name, m->name);
}

/* The lane of this name, a new one if need be; NULL: no memory. */
static struct schedule_lane *
find_lane(struct schedule *s, const char *name, bool *new)
{
	struct schedule_lane key = { .name = (char *)name }, **found;
	found = tfind(&key, &s->lanes, compare_lanes);
	*new = found == NULL;
	if (found != NULL)
		return *found;
	struct schedule_lane *l = calloc(1, sizeof(*l));
	if (l == NULL || reserve(s) < 0 || (l->name = strdup(name)) == NULL ||
		tsearch(l, &s->lanes, compare_lanes) == NULL) {
		if (l != NULL)
			free(l->name);
		free(l);
		return NULL;
	}
	s->n++;
	return l;
}

static void
free_lane(void *lane)
{
	struct schedule_lane *l = lane;
	free(l->name);
	exchanger_free(l->offer);
	free(l);
}

static void
forget_lane(struct schedule *s, struct schedule_lane *l)
{
	tdelete(l, &s->lanes, compare_lanes);
	s->n--;
	free_lane(l);
}

static struct schedule_queue *
queue_of(struct schedule *s, bool fresh)
{
	return fresh ? &s->fresh : &s->ready;
}

static void
make_ready(struct schedule *s, struct schedule_lane *l, bool fresh)
{
	l->place = SCHEDULE_READY;
	l->fresh = fresh;
	l->wanted = 1;
	l->due = 0;
	l->news = false;
	TAILQ_INSERT_TAIL(queue_of(s, fresh), l, list);
	s->waiting++;
}

struct schedule_lane *
schedule_lane(struct schedule *s, const char *name, int64_t due)
{
	bool new;
	struct schedule_lane *l = find_lane(s, name, &new);
	if (l == NULL)
		return NULL;
	if (!new && l->place == SCHEDULE_AT_WORK)
		l->news = l->news || due == 0;
	if (!new && (l->place != SCHEDULE_LATER || l->due <= due))
		return l;
	if (!new)
		drop_later(s, l);
	l->due = due;
	if (due == 0)
		make_ready(s, l, true);
	else
		push_later(s, l);
	return l;
}

/* ---- hosts ------------------------------------------------------------------------------- */

static int
compare_hosts(const void *a, const void *b)
{
	const struct schedule_host *const h = a, *const i = b;
	int r = memcmp(&h->addr, &i->addr, sizeof(h->addr));
	return r != 0 ? r : (h->port > i->port) - (h->port < i->port);
}

static void
unlist(struct schedule *s, struct schedule_host *h)
{
	if (h->left)
		TAILQ_REMOVE(&s->left, h, list);
	h->left = false;
}

static void
forget_idle_host(struct schedule *s, struct schedule_host *h)
{
	if (h->connections > 0 || !TAILQ_EMPTY(&h->waiting))
		return;
	unlist(s, h);
	tdelete(h, &s->hosts, compare_hosts);
	free(h);
}

static struct schedule_host *
find_host(struct schedule *s, const struct exchanger *to)
{
	struct schedule_host key = { .addr = to->addr, .port = to->port, .limit = s->per_host };
	struct schedule_host **found;
	found = tfind(&key, &s->hosts, compare_hosts);
	if (found != NULL)
		return *found;
	struct schedule_host *h = malloc(sizeof(*h));
	if (h == NULL)
		return NULL;
	*h = key;
	TAILQ_INIT(&h->waiting);
	if (tsearch(h, &s->hosts, compare_hosts) != NULL)
		return h;
	free(h);
	return NULL;
}

static bool
has_room(const struct schedule_host *h)
{
	return h->connections < h->limit;
}

struct schedule_host *
schedule_connect(struct schedule *s, const struct schedule_lane *l, const struct exchanger *to)
{
	struct schedule_host *h = find_host(s, to);
	bool idle = h != NULL && h->idle > 0 && l != NULL && l->couriers == 1;
	if (h == NULL || !has_room(h) || idle)
		return NULL;
	h->connections++;
	return h;
}

/* The first lane that waits for this host is ready. */
static void
release(struct schedule *s, struct schedule_host *h)
{
	struct schedule_lane *l = TAILQ_FIRST(&h->waiting);
	TAILQ_REMOVE(&h->waiting, l, list);
	l->host = NULL;
	make_ready(s, l, false);
}

/* There is no connection: as many lanes as it has room for are ready, and more in a while. */
static void
release_some(struct schedule *s, struct schedule_host *h, int64_t now)
{
	for (int i = 0; i < h->limit && !TAILQ_EMPTY(&h->waiting); i++)
		release(s, h);
	if (TAILQ_EMPTY(&h->waiting))
		return;
	h->left = true;
	h->until = now + LEFT_PAUSE;
	TAILQ_INSERT_TAIL(&s->left, h, list);
}

bool
schedule_disconnect(struct schedule *s, struct schedule_host *h, int64_t now)
{
	bool begins = --h->connections == 0 && !h->left;
	if (begins)
		release_some(s, h, now);
	else if (!TAILQ_EMPTY(&h->waiting))
		release(s, h);
	begins = begins && h->left;
	forget_idle_host(s, h);
	return begins;
}

/* Is it time for more of its lanes? Also if the clock was set back. */
static bool
is_over(const struct schedule_host *h, int64_t now)
{
	return h->until <= now || h->until > now + LEFT_PAUSE;
}

/* A host to which there is a connection again needs no time: that one's end wakes the next lane. */
static void
ripen_left(struct schedule *s, int64_t now)
{
	for (struct schedule_host *h; (h = TAILQ_FIRST(&s->left)) != NULL && is_over(h, now);) {
		unlist(s, h);
		if (h->connections == 0)
			release_some(s, h, now);
		forget_idle_host(s, h);
	}
}

void
schedule_refused(struct schedule_host *h)
{
	h->limit = h->connections > 1 ? h->connections - 1 : 1;
}

bool
schedule_went_well(struct schedule *s, struct schedule_host *h)
{
	if (h->limit == s->per_host)
		return false;
	h->limit++;
	if (!has_room(h) || TAILQ_EMPTY(&h->waiting))
		return false;
	release(s, h);
	return true;
}

/* ---- turns ------------------------------------------------------------------------------- */

size_t
schedule_ripen(struct schedule *s, int64_t now)
{
	while (s->later.n > 0 && s->later.v[0]->due <= now) {
		struct schedule_lane *l = s->later.v[0];
		drop_later(s, l);
		make_ready(s, l, false);
	}
	ripen_left(s, now);
	return s->waiting;
}

int64_t
schedule_next(const struct schedule *s, int64_t now)
{
	if (s->waiting > 0 || !TAILQ_EMPTY(&s->more))
		return 0;
	int64_t next = s->later.n > 0 ? s->later.v[0]->due : -1;
	if (schedule_is_any_left(s) && (next < 0 || TAILQ_FIRST(&s->left)->until < next))
		next = TAILQ_FIRST(&s->left)->until;
	return next >= 0 && next <= now ? 0 : next;
}

bool
schedule_is_any_left(const struct schedule *s)
{
	return !TAILQ_EMPTY(&s->left);
}

static void
leave_list(struct schedule *s, struct schedule_lane *l)
{
	if (l->listed)
		TAILQ_REMOVE(&s->more, l, list);
	l->listed = false;
}

/* Puts it among the lanes that are worth one courier more, or takes it out. */
static void
review(struct schedule *s, struct schedule_lane *l)
{
	bool worth = l->place == SCHEDULE_AT_WORK && l->couriers < l->wanted;
	if (!worth)
		leave_list(s, l);
	else if (!l->listed)
		TAILQ_INSERT_TAIL(&s->more, l, list);
	l->listed = worth;
}

static struct schedule_lane *
begin(struct schedule *s, struct schedule_lane *l)
{
	l->place = SCHEDULE_AT_WORK;
	l->couriers++;
	review(s, l);
	return l;
}

struct schedule_lane *
schedule_take(struct schedule *s, int64_t now)
{
	(void)schedule_ripen(s, now);
	bool fresh = s->turn_of_fresh ? !TAILQ_EMPTY(&s->fresh) : TAILQ_EMPTY(&s->ready);
	struct schedule_lane *l = TAILQ_FIRST(queue_of(s, fresh));
	if (l == NULL) {
		l = TAILQ_FIRST(&s->more);
		return l != NULL ? begin(s, l) : NULL;
	}
	s->turn_of_fresh = !fresh;
	TAILQ_REMOVE(queue_of(s, fresh), l, list);
	s->waiting--;
	return begin(s, l);
}

struct schedule_lane *
schedule_take_at(struct schedule *s, struct schedule_host *host)
{
	struct schedule_lane *l = TAILQ_FIRST(&host->waiting);
	if (l == NULL)
		return NULL;
	TAILQ_REMOVE(&host->waiting, l, list);
	l->host = NULL;
	l->wanted = 1;
	return begin(s, l);
}

void
schedule_grow(struct schedule *s, struct schedule_lane *l, int most)
{
	if (l->wanted == l->couriers && l->wanted < most)
		l->wanted++;
	review(s, l);
}

void
schedule_shrink(struct schedule *s, struct schedule_lane *l)
{
	l->wanted = l->couriers;
	review(s, l);
}

/* One courier less; true: it was the last. */
static bool
end(struct schedule *s, struct schedule_lane *l)
{
	l->couriers--;
	l->wanted = l->couriers > 0 ? l->couriers : 1; /* it found that there is not that much */
	review(s, l);
	if (l->couriers == 0)
		leave_list(s, l);
	return l->couriers == 0;
}

void
schedule_done(struct schedule *s, struct schedule_lane *l, int64_t next)
{
	if (next != 0 && (l->due == 0 || next < l->due))
		l->due = next;
	if (!end(s, l))
		return;
	if (l->news)
		make_ready(s, l, true);
	else if (l->due != 0)
		push_later(s, l);
	else
		forget_lane(s, l);
}

void
schedule_yield(struct schedule *s, struct schedule_lane *l)
{
	if (end(s, l))
		make_ready(s, l, l->fresh);
	else
		l->news = true;
}

struct schedule_host *
schedule_wait_for(struct schedule *s, struct schedule_lane *l, const struct exchanger *to)
{
	struct schedule_host *h = find_host(s, to);
	if (!end(s, l))
		return NULL; /* the others go on */
	struct exchanger *offer = h != NULL ? calloc(1, sizeof(*offer)) : NULL;
	if (offer == NULL || (has_room(h) && h->idle == 0)) { /* a connection ended meanwhile */
		make_ready(s, l, false);
		if (h != NULL)
			forget_idle_host(s, h);
		free(offer);
		return NULL;
	}
	exchanger_keep(offer, to);
	exchanger_free(l->offer);
	l->offer = offer;
	l->place = SCHEDULE_AT_HOST;
	l->news = false;
	l->due = 0;
	l->host = h;
	TAILQ_INSERT_TAIL(&h->waiting, l, list);
	return h->idle > 0 ? h : NULL;
}

/* ---- all of it --------------------------------------------------------------------------- */

void
schedule_init(struct schedule *s, int per_host)
{
	*s = (struct schedule){ .per_host = per_host };
	TAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->fresh);
	TAILQ_INIT(&s->more);
	TAILQ_INIT(&s->left);
}

void
schedule_free(struct schedule *s)
{
	tdestroy(s->lanes, free_lane);
	tdestroy(s->hosts, free);
	free(s->later.v);
	*s = (struct schedule){ 0 };
}

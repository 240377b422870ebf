#include "process/quota.h"

#include <poll.h>
#include <stdatomic.h>
#include <time.h>

#include "lib/clock.h"

enum {
	SLOTS = QUOTA_NETWORKS,
	WAYS = 8,         /* places a network can take */
	/* ms; to give a place away takes less than one, unless whoever does it has no processor. */
	GIVING_TIME = 200,
};

/* `key` is written last when a place changes hands, so a half-made one belongs to nobody. */
struct quota_slot {
	_Atomic uint64_t key;    /* of network and window; 0: free */
	_Atomic uint32_t count[QUOTA_KINDS];
	_Atomic uint32_t giving; /* in the first of WAYS: one of them is being given away */
	uint32_t unused[8];
};

_Static_assert(sizeof(struct quota_slot) == QUOTA_SIZE / SLOTS, "a slot is a cache line");

/* FNV-1a of the network and the window; never 0. */
static uint64_t
key_of(const struct netaddr *a, int64_t window)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t n = netaddr_is_v4(a) ? sizeof(a->ip) : NETADDR_SITE;
	for (size_t i = 0; i < n; i++)
		h = (h ^ a->ip[i]) * UINT64_C(0x100000001b3);
	for (int i = 0; i < 8; i++)
		h = (h ^ (uint64_t)(window >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
	return h != 0 ? h : 1;
}

static uint32_t
load_of(struct quota_slot *s)
{
	uint32_t most = 0;
	for (int i = 0; i < QUOTA_KINDS; i++) {
		uint32_t c = atomic_load_explicit(&s->count[i], memory_order_relaxed);
		most = c > most ? c : most;
	}
	return most;
}

/* The place that this client has already among the few it can take; NULL: none. */
static struct quota_slot *
place_of(struct quota_slot *first, uint64_t key)
{
	for (int i = 0; i < WAYS; i++)
		if (atomic_load(&first[i].key) == key)
			return &first[i];
	return NULL;
}

/* A free one, that of its own window `before`, or the one that is missed least. */
static struct quota_slot *
cheapest_of(struct quota_slot *first, uint64_t before)
{
	struct quota_slot *least = first;
	for (int i = 0; i < WAYS; i++) {
		uint64_t k = atomic_load(&first[i].key);
		if (k == 0 || k == before)
			return &first[i];
		if (load_of(&first[i]) < load_of(least))
			least = &first[i];
	}
	return least;
}

/*
 * One at a time gives a place away, or two clients of a network that come at once would each have
 * one, or the same one, wiped by the second when the first had counted. Whoever was killed at it
 * is waited for in vain, once.
 */
static void
begin_giving(struct quota_slot *first)
{
	static const struct timespec a_moment = { .tv_nsec = 1000 * 1000 };
	for (int ms = 0; ms < GIVING_TIME; ms++) {
		uint32_t nobody = 0;
		if (atomic_compare_exchange_strong(&first->giving, &nobody, 1))
			return;
		(void)ppoll(NULL, 0, &a_moment, NULL);
	}
}

/*
 * The client's place. Which few it can take is decided by the network alone, so old windows of the
 * same network are what a new one replaces first.
 */
static struct quota_slot *
find_slot(struct quota_slot *table, const struct netaddr *a, int64_t window)
{
	int64_t now = clock_wall();
	uint64_t key = key_of(a, now / window);
	struct quota_slot *first = &table[key_of(a, 0) % (SLOTS / WAYS) * WAYS];
	struct quota_slot *s = place_of(first, key);
	if (s != NULL)
		return s;
	begin_giving(first);
	s = place_of(first, key);
	if (s == NULL) {
		s = cheapest_of(first, key_of(a, now / window - 1));
		atomic_store(&s->key, 0);
		for (int i = 0; i < QUOTA_KINDS; i++)
			atomic_store(&s->count[i], 0);
		atomic_store(&s->key, key);
	}
	atomic_store(&first->giving, 0);
	return s;
}

void
quota_begin(struct quota *q, void *table)
{
	*q = (struct quota){ .table = table };
}

void
quota_client(struct quota *q, const struct netaddr *client, int64_t window)
{
	q->client = *client;
	q->window = window;
}

/*
 * The place is looked up each time: meanwhile the window may have ended, or another network may
 * have taken it, which is not to be charged with what this one does. NULL: nothing is counted.
 */
static struct quota_slot *
slot_of(const struct quota *q)
{
	return q->table != NULL && q->window > 0 ? find_slot(q->table, &q->client, q->window)
						 : NULL;
}

int64_t
quota_add(struct quota *q, enum quota_kind kind, int64_t n)
{
	struct quota_slot *s = slot_of(q);
	return s != NULL ? (int64_t)atomic_fetch_add(&s->count[kind], (uint32_t)n) + n : 0;
}

int64_t
quota_count(const struct quota *q, enum quota_kind kind)
{
	struct quota_slot *s = slot_of(q);
	return s != NULL ? (int64_t)atomic_load(&s->count[kind]) : 0;
}

static int64_t
this_window(const struct quota *q)
{
	return clock_wall() / q->window;
}

bool
quota_take(struct quota *q, enum quota_kind kind, int64_t limit, struct quota_held *held)
{
	struct quota_slot *s = slot_of(q);
	if (s == NULL)
		return true;
	uint32_t n = atomic_load(&s->count[kind]);
	do {
		if (limit != 0 && (int64_t)n >= limit)
			return false;
	} while (!atomic_compare_exchange_weak(&s->count[kind], &n, n + 1));
	if (held->window != this_window(q))
		*held = (struct quota_held){ .window = this_window(q) };
	held->n++;
	return true;
}

void
quota_give_back(struct quota *q, enum quota_kind kind, struct quota_held *held)
{
	struct quota_slot *s = held->n > 0 ? slot_of(q) : NULL;
	if (s != NULL && held->window == this_window(q)) {
		/* Another network may have had the place meanwhile: never below nothing. */
		uint32_t n = atomic_load(&s->count[kind]), left;
		do
			left = n > (uint32_t)held->n ? n - (uint32_t)held->n : 0;
		while (!atomic_compare_exchange_weak(&s->count[kind], &n, left));
	}
	*held = (struct quota_held){ 0 };
}

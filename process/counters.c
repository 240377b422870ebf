#include "process/counters.h"

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>

/*
 * NULL: this process does not count. Among data that has values from the start, of which a session
 * writes a page anyway; in .bss it would be alone on a page, and a fault.
 */
static struct counters *counters __attribute__((section(".data")));

#define SAME_ORDER(block) \
	_Static_assert(COUNTER_##block##_OURS - COUNTER_##block##_DNS == CLASS_OURS && \
		COUNTER_##block##_LOST - COUNTER_##block##_DNS == CLASS_LOST, "rows are classes")
SAME_ORDER(LANES_DEFERRED);
SAME_ORDER(DEFERRED);

void
counters_begin(struct counters *at)
{
	counters = at;
}

/* By one access that writes: a new page of a mapped file is not taken for reading first. */
bool
counters_fit(void)
{
	uint64_t mark = 0;
	if (counters == NULL)
		return true;
	if (atomic_compare_exchange_strong(&counters->mark, &mark, COUNTERS_MARK) ||
		mark == COUNTERS_MARK)
		return true;
	counters = NULL;
	return false;
}

void
counters_add(enum counter c, uint64_t n)
{
	if (counters != NULL)
		atomic_fetch_add_explicit(&counters->value[c], n, memory_order_relaxed);
}

/* The bucket of up to 2^i ms. */
static int
bucket_of(uint64_t ms)
{
	int i = ms <= 1 ? 0 : (int)(sizeof(ms) * CHAR_BIT) - __builtin_clzll(ms - 1);
	return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1;
}

void
counters_time(enum counter h, int64_t ms)
{
	uint64_t n = ms > 0 ? (uint64_t)ms : 0;
	counters_one(h + (enum counter)bucket_of(n));
	counters_add(h + HISTOGRAM_BUCKETS, n);
}

enum counter
counters_of_lane(enum counters_class why)
{
	return COUNTER_LANES_DEFERRED_DNS + (enum counter)why;
}

enum counter
counters_of_deferred(enum counters_class why)
{
	return COUNTER_DEFERRED_DNS + (enum counter)why;
}

enum counter
counters_of_bounced(enum counters_class why)
{
	return why == CLASS_DNS ? COUNTER_BOUNCED_DNS
		: why == CLASS_HOST_5YZ ? COUNTER_BOUNCED_HOST_5YZ : COUNTER_BOUNCED_OURS;
}

/* counted: counters that only the test's own process adds to, and can see. */
#ifndef POSTERN_COUNTED_H
#define POSTERN_COUNTED_H

#include "tests/unit/unit.h"

#include <stdatomic.h>

#include "process/counters.h"

static struct counters counted;

/* From nothing on. */
static inline void
count_anew(void)
{
	memset(&counted, 0, sizeof(counted));
	counters_begin(&counted);
	assert_true(counters_fit());
}

static inline uint64_t
count_of(enum counter which)
{
	return atomic_load(&counted.value[which]);
}

/* The sum of neighbours. */
static inline uint64_t
count_between(enum counter first, enum counter last)
{
	uint64_t n = 0;
	for (enum counter i = first; i <= last; i++)
		n += count_of(i);
	return n;
}

#endif

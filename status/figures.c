#include "status/figures.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "process/numbers.h"
#include "queue/spool.h"

static void
take_counters(struct figures *f, const char *runtime)
{
	static char path[NUMBERS_PATH];
	const struct counters *c = numbers_map(runtime, path, &f->uncounted);
	f->counted = c != NULL;
	for (int i = 0; c != NULL && i < COUNTERS; i++)
		f->value[i] = atomic_load_explicit(&c->value[i], memory_order_relaxed);
}

static void
take_queue(struct figures *f, const char *path)
{
	struct spool s = SPOOL_CLOSED;
	int r = spool_open(&s, path);
	if (r == 0)
		r = survey_take(&f->queue, &s, f->now);
	spool_close(&s);
	f->surveyed = r == 0;
	f->unsurveyed = strerror(-r);
}

void
figures_take(struct figures *f, const struct conf *c)
{
	*f = (struct figures){ .now = clock_wall() };
	snprintf(f->hostname, sizeof(f->hostname), "%s", c->who.hostname);
	take_counters(f, c->who.runtime);
	take_queue(f, c->who.spool);
	int n = samples_read(c->who.runtime, f->now, f->sample);
	f->samples = n > 0 ? n : 0;
}

uint64_t
figures_sum(const struct figures *f, enum counter first, enum counter last)
{
	uint64_t sum = 0;
	for (enum counter c = first; c <= last; c++)
		sum += f->value[c];
	return sum;
}

struct sample
figures_sample(const struct figures *f)
{
	const uint64_t *v = f->value;
	return (struct sample){ .time = f->now,
		.connections = v[COUNTER_CONNECTIONS],
		.accepted = v[COUNTER_MESSAGES_ACCEPTED],
		.refused = v[COUNTER_REFUSED_4YZ] + v[COUNTER_REFUSED_5YZ],
		.delivered = v[COUNTER_DELIVERED],
		.deferred = figures_sum(f, COUNTER_DEFERRED_DNS, COUNTER_DEFERRED_OURS),
		.bounced = figures_sum(f, COUNTER_BOUNCED_DNS, COUNTER_BOUNCED_EXPIRED),
		.waiting = f->queue.messages };
}

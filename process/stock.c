#include "process/stock.h"

#include "lib/clock.h"

static int
greater(int a, int b)
{
	return a > b ? a : b;
}

/* A time is over: what was needed before it counts no longer. */
static void
turn(struct stock *s, int serving, int64_t time)
{
	if (time - s->tick < STOCK_LATELY)
		return;
	s->before = time - s->tick < 2 * STOCK_LATELY ? s->most : serving;
	s->most = serving;
	s->tick = time;
}

void
stock_taken(struct stock *s, int serving, int64_t time)
{
	turn(s, serving, time);
	s->most = greater(s->most, serving);
	s->used = time;
}

struct stock_plan
stock_plan(struct stock *s, struct stock_counts now, int64_t idle, int64_t time)
{
	struct stock_plan plan = { .next = CLOCK_NEVER };
	if (s->used == 0 || time - s->used >= idle) {
		plan.retire = now.waiting;
		return plan;
	}
	turn(s, now.serving, time);
	int wanted = greater(s->most, s->before) + STOCK_SPARE;
	int surplus = now.serving + now.waiting - wanted;
	plan.next = clock_earlier(s->tick + STOCK_LATELY, s->used + idle);
	if (surplus > 0)
		plan.retire = surplus < now.waiting ? surplus : now.waiting;
	if (surplus < 0)
		plan.start = 1;
	if (surplus < -1)
		plan.next = time;
	return plan;
}

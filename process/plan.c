#include "process/plan.h"

#include "lib/clock.h"

static int
lesser(int a, int b)
{
	return a < b ? a : b;
}

/* A moment is over: who waited all the time was not needed. */
static int
take_stock(struct plan_pace *p, int spare, int waiting, int64_t time)
{
	int surplus = p->least - spare - p->extra;
	p->extra /= 2;
	p->least = waiting;
	p->tick = time;
	return surplus > 0 ? surplus : 0;
}

struct plan
plan_make(struct plan_pace *p, int most, int spare, struct plan_counts now, int64_t time)
{
	struct plan plan = { .next = CLOCK_NEVER, .refuser = now.busy >= most };
	int room = most - now.busy - now.waiting;
	if (p->tick == 0)
		p->tick = time;
	p->least = lesser(p->least, now.waiting);
	if (now.waiting == 0 && now.busy > 0)
		p->extra = lesser(p->extra > 0 ? 2 * p->extra : spare, PLAN_BATCH);
	if (time - p->tick >= PLAN_CALM)
		plan.retire = take_stock(p, spare, now.waiting, time);
	int lack = spare + p->extra - now.waiting;
	if (lack > 0 && room > 0)
		plan.start = lesser(lack, room);
	if (plan.start > 0)
		plan.retire = 0;
	if (p->extra > 0 || now.waiting > spare)
		plan.next = p->tick + PLAN_CALM;
	return plan;
}

int64_t
plan_pause(int failures)
{
	enum { FIRST = 100, LONGEST = 10000, DOUBLINGS = 7 };
	if (failures == 0)
		return 0;
	int64_t ms = (int64_t)FIRST << lesser(failures - 1, DOUBLINGS);
	return ms < LONGEST ? ms : LONGEST;
}

/*
 * plan: how many workers a pool has (pool.h). Counts go in, numbers come out; it starts nobody.
 *
 * Some workers wait, so that a client need not. When a burst has taken all of them, more are
 * started, twice as many each time; when they were too many for a while, those that were not needed
 * go.
 */
#ifndef POSTERN_PLAN_H
#define POSTERN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PLAN_BATCH = 64,  /* started beyond busy_spare at once, which takes some 20 ms */
	PLAN_CALM = 1000, /* ms; so long nobody needed them, then they go */
};

struct plan_counts {
	int waiting; /* for a client; those that are being started too */
	int busy;    /* have one */
};

/* What was learned of the load. Zeroed at first. */
struct plan_pace {
	int extra;     /* workers wanted beyond the spare ones */
	int least;     /* that waited since `tick` */
	int64_t tick;  /* when that was last looked at, ms (clock.h); 0: never */
};

struct plan {
	int start;    /* so many more */
	int retire;   /* so many of those that wait are to end */
	bool refuser; /* all places are taken: somebody is to say so to those who come */
	int64_t next; /* look again then, whatever happens (clock.h); CLOCK_NEVER */
};

/* `most` places, `spare` of them waiting. */
struct plan plan_make(struct plan_pace *p, int most, int spare, struct plan_counts now,
	int64_t time);

/* Workers that end as soon as they begin: how long nothing is started then, ms. */
int64_t plan_pause(int failures);

#endif

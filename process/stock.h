/*
 * stock: how many tls, or auth, wait for clients (standby.h). Counts go in, numbers come out; it
 * starts nobody.
 *
 * There is none until the first client asks for one: a site whose clients never do pays nothing.
 * From then on there is one more than were needed at once lately, so that the next client need not
 * wait for a start, and those that end are replaced beforehand. When nobody asked for a while, all
 * of them go.
 */
#ifndef POSTERN_STOCK_H
#define POSTERN_STOCK_H

#include <stdint.h>

enum {
	STOCK_LATELY = 10 * 1000, /* ms; what was needed in this time and in the one before */
	STOCK_SPARE = 1,
};

struct stock_counts {
	int waiting; /* for a client; those that are getting ready too */
	int serving;
};

/* What was learned of the load. Zeroed at first. */
struct stock {
	int most, before; /* served at once: since `tick`, and in the time before that */
	int64_t tick;
	int64_t used;     /* when a client asked last (clock.h); 0: none did */
};

struct stock_plan {
	int start;    /* one more, or none: what asks meanwhile is not to wait for many */
	int retire;   /* so many of those that wait are to end */
	int64_t next; /* look again then, whatever happens (clock.h); CLOCK_NEVER */
};

/* A client asks, the last of `serving` ones. */
void stock_taken(struct stock *s, int serving, int64_t time);

/* After `idle` ms without a client there is none. */
struct stock_plan stock_plan(struct stock *s, struct stock_counts now, int64_t idle, int64_t time);

#endif

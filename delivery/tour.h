/*
 * tour: a lane that couriers are at, one or several. It is opened, with its lock, by the first of
 * them and closed by the last. They go over it together, oldest message first within a batch of
 * names; each name is given to one of them.
 */
#ifndef POSTERN_TOUR_H
#define POSTERN_TOUR_H

#include "delivery/delivery.h"

enum { TOUR_BATCH = 1024 }; /* names read from a lane at a time; memory stays flat (I12) */

struct tour {
	struct lane lane;
	struct lane_state state; /* as it was when it was opened */
	pthread_mutex_t lock;    /* of what follows */
	DIR *dir;                /* where it is gone over; NULL: it was read to its end */
	enum { TOUR_ALL, TOUR_URGENT, TOUR_REST } part; /* of the names; all: they are a batch */
	size_t n, at;            /* names of the batch, and those that were given out */
	char ids[TOUR_BATCH][ID_SIZE];
	bool marked;             /* @retry was made before it was gone over this time */
	int couriers;            /* that are at it, for people (lane_show) */
	bool rested;             /* a courier has waited here for more mail, and none came */
	struct found found;      /* by those that have gone over it, this time */
};

/*
 * Opens a lane and takes its lock. NULL: there is nothing to do now, and *next says when there may
 * be (wall clock, s; 0: it is gone).
 */
struct tour *tour_open(struct relay *r, const char *name, int64_t *next);

/*
 * Begins to go over it, from its first name on. Only for a courier that is alone at it. The second:
 * because mail came; it has to be gone over once more before it is left.
 */
void tour_begin(struct courier *c);
void tour_look_again(struct courier *c);

/* One more courier is at it, or one less; who leaves it last need not say so. */
void tour_join(struct tour *t);
void tour_part(struct tour *t);

/* The next message that nobody has had. False: there is none. */
bool tour_next(struct courier *c, char id[static ID_SIZE]);

/* How many names of the batch are left. And: are there any, or may there be? */
size_t tour_left(struct tour *t);
bool tour_has_more(struct tour *t);

/* Adds what one courier found to what all did. */
void tour_add(struct tour *t, const struct found *found);

/*
 * The last courier leaves the lane, which is to be looked at again at `next`, 0 if it is empty;
 * frees the tour. -EAGAIN: new mail came. Other -errno: that time cannot be written down, and the
 * lane is to rest all the same. What cannot be written down is said.
 */
int tour_close(struct relay *r, struct tour *t, int64_t next);

#endif

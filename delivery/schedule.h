/*
 * schedule: which lane has its turn, and how many connections a lane and a host have.
 *
 * It is told of lanes and of the times at which they are due, and is asked for work. It knows no
 * network, no file and no clock. Who uses it from several threads lets one in at a time.
 *
 *	later       not due yet; by time
 *	ready       due; the oldest first. New mail has a queue of its own, and every second turn,
 *	            so that it does not wait for all that has waited before. Behind all of these:
 *	            lanes with couriers that are worth one more
 *	at a host   due, but its host has all the connections that it may have: the next courier
 *	            that is done with another lane of this host takes it, by the connection it has
 *	at work     couriers have it
 */
#ifndef POSTERN_SCHEDULE_H
#define POSTERN_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dns.h"

struct tour;

/* A host to which there are connections, or for which lanes wait. */
struct schedule_host {
	struct netaddr addr;
	uint16_t port;
	int connections;
	int limit; /* of them: fewer than usual where the host took no more */
	int idle;  /* of them, those that wait for mail */
	TAILQ_HEAD(schedule_waiting, schedule_lane) waiting;
	bool left;     /* its last connection was closed while lanes waited: it is in that list, */
	int64_t until; /* ... and so many more of them are ready then (wall clock, s) */
	TAILQ_ENTRY(schedule_host) list;
};

/* A lane. Its fields are for reading. */
struct schedule_lane {
	char *name;
	enum { SCHEDULE_LATER, SCHEDULE_READY, SCHEDULE_AT_HOST, SCHEDULE_AT_WORK } place;
	int64_t due;                /* wall clock, s: when it is to be looked at; 0: at once */
	int couriers;               /* at work on it */
	int wanted;                 /* couriers that it is worth */
	bool news;                  /* mail came while couriers were at work */
	bool fresh;                 /* it is ready for new mail, in the queue of that */
	bool listed;                /* in `more` */
	struct schedule_host *host; /* while it waits there */
	struct exchanger *offer;    /* ... as it was found for this lane; goes with it; owned */
	struct tour *tour;          /* while couriers are at work; theirs */
	size_t at;                  /* its place in `later` */
	TAILQ_ENTRY(schedule_lane) list;
};

struct schedule {
	int per_host; /* connections to an address and port, however many domains lead there */
	void *lanes, *hosts; /* trees (tsearch): by name; by address and port */
	size_t n;            /* lanes */
	struct {
		struct schedule_lane **v; /* a heap; the first is due first */
		size_t n, size;
	} later;
	TAILQ_HEAD(schedule_left, schedule_host) left; /* the first one's time comes first */
	size_t waiting; /* lanes that are ready */
	TAILQ_HEAD(schedule_queue, schedule_lane) ready, fresh, more;
	bool turn_of_fresh; /* the next one */
};

void schedule_init(struct schedule *s, int per_host);
void schedule_free(struct schedule *s);

/*
 * The lane is to be looked at, at `due` or (0) at once: new mail, or what a look at all lanes
 * found. An earlier time replaces a later one. NULL: there is no memory.
 */
struct schedule_lane *schedule_lane(struct schedule *s, const char *name, int64_t due);

/*
 * Lanes whose time has come are ready, and some more of those that wait for a host to which there
 * is no connection. How many are.
 */
size_t schedule_ripen(struct schedule *s, int64_t now);

/*
 * When the next lane is due, or (schedule_ripen) may be ready; 0: one is; -1: none ever. The
 * second: does one wait for a host to which there may be no connection?
 */
int64_t schedule_next(const struct schedule *s, int64_t now);
bool schedule_is_any_left(const struct schedule *s);

/*
 * The lane whose turn it is, with one courier more; NULL: there is none. The second: one that waits
 * for this host.
 */
struct schedule_lane *schedule_take(struct schedule *s, int64_t now);
struct schedule_lane *schedule_take_at(struct schedule *s, struct schedule_host *host);

/*
 * Does a lane wait for this host? Then a courier that has a connection to it stops in the middle
 * of a long lane, which comes back behind those that wait.
 */
static inline bool
schedule_is_waited_for(const struct schedule_host *host)
{
	return !TAILQ_EMPTY(&host->waiting);
}

/* A courier went well and much of the lane is left: it is worth one more, of `most` at most. */
void schedule_grow(struct schedule *s, struct schedule_lane *l, int most);

/* ... or the host had enough of us: no more than are at work now. */
void schedule_shrink(struct schedule *s, struct schedule_lane *l);

/*
 * A courier is done with a lane, which is to be looked at again at `next` (wall clock, s); 0:
 * nothing is left in it. When its last courier is done, the earliest of these times counts; if mail
 * came meanwhile, it is ready, and if nothing is left, forgotten.
 */
void schedule_done(struct schedule *s, struct schedule_lane *l, int64_t next);

/* A courier stops in the middle: the lane is ready again, behind the others. */
void schedule_yield(struct schedule *s, struct schedule_lane *l);

/*
 * Before a courier connects for this lane. The host, with one connection more; NULL: it has all
 * that it may have, or one that waits for mail and will do (not if `l` is NULL), or there is no
 * memory.
 */
struct schedule_host *schedule_connect(struct schedule *s, const struct schedule_lane *l,
	const struct exchanger *to);

/*
 * A courier could not connect for that reason: the lane waits for a connection to this host. The
 * host, if one of its connections waits for mail; else NULL.
 */
struct schedule_host *schedule_wait_for(struct schedule *s, struct schedule_lane *l,
	const struct exchanger *to);

/*
 * It is closed. A lane that waits for the host is ready in its place. If it was the last one, that
 * lane may go elsewhere, and nobody who waits would be woken any more: so as many are ready as the
 * host may have connections, and as many again each second, until there is a connection. True: that
 * has begun (schedule_next).
 */
bool schedule_disconnect(struct schedule *s, struct schedule_host *host, int64_t now);

/* The host took no further connection: it gets none as long as it has as many as now, less one. */
void schedule_refused(struct schedule_host *host);

/*
 * Mail went well by one of its connections: it may have one more again. True: for a lane that
 * waited for it and is ready now.
 */
bool schedule_went_well(struct schedule *s, struct schedule_host *host);

#endif

/*
 * sources: how many connections each client's network has open at a pool (pool.h).
 *
 * A table in memory that the pool and its workers share has a place for each worker, in which that
 * one writes the network of the client it has (IPv4 /32, IPv6 /64). To count is to look at all of
 * them, so there is no sum that a killed worker could leave wrong: the pool empties its place.
 *
 * A worker that was taken over can write there what it likes, so it can have clients of a network
 * turned away, or let in more; the counts of quota.h are as open to it. It cannot have others look
 * beyond the table: what they know of its size is their own.
 */
#ifndef POSTERN_SOURCES_H
#define POSTERN_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net.h"

struct sources {
	int places;                    /* 0: nothing is counted */
	struct sources_table *table;
};

/* One worker's place among them. Zeroed: that of no pool, where nothing is counted. */
struct source {
	struct sources all;
	int place;
};

/* A network as a number, which is never SOURCES_NOBODY. */
enum { SOURCES_NOBODY = 0 };
uint64_t sources_network(const struct netaddr *client);

/* For so many workers, all without a client. 0 or -errno. */
int sources_open(struct sources *s, int places);
void sources_close(struct sources *s);

/* What the pool knows of one: it begins and has nobody, or somebody of that network; it ended. */
void sources_set(const struct sources *s, int place, uint64_t network);
uint64_t sources_get(const struct sources *s, int place);

/*
 * A worker's client is of that network. False: more than `most` (0: any number) would be open then,
 * and it does not count; of several that come at once for the last places all may hear that. To ask
 * again for the same client changes nothing.
 */
bool sources_take(const struct source *own, uint64_t network, int64_t most);

/* It has gone. */
void sources_leave(const struct source *own);

#endif

/*
 * quota: how much a client's network has done of late, counted across the short-lived processes.
 *
 * A part of the file of counts (counts.h), mapped by all: a table of networks (IPv4 /32, IPv6 /64),
 * each with its counts in this window of time. Sessions count by atomic additions and wait for
 * nobody. The table has a fixed size: a network that finds no place takes that of the one that did
 * least, so many networks at once make the counts coarse, never large. Nothing in the file is
 * trusted to be more than numbers (K13).
 */
#ifndef POSTERN_QUOTA_H
#define POSTERN_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/net.h"

enum quota_kind {
	QUOTA_CONNECTIONS,
	QUOTA_MESSAGES,
	QUOTA_RECIPIENTS,
	QUOTA_ERRORS,        /* refused commands */
	QUOTA_AUTH_FAILURES,
	QUOTA_KINDS,
};

struct quota {
	struct quota_slot *table; /* NULL: nothing is counted */
	struct netaddr client;
	int64_t window;           /* s; 0: no client */
};

enum {
	/* networks; 64 octets each make 256 KiB, of which a session touches a page */
	QUOTA_NETWORKS = 4096,
	QUOTA_SIZE = QUOTA_NETWORKS * 64, /* octets of the table */
};

/* Counts in this table, which may hold anything. */
void quota_begin(struct quota *q, void *table);

/* Counts for this client from now on, in windows of `window` s. */
void quota_client(struct quota *q, const struct netaddr *client, int64_t window);

/* Adds n. The new count of this window; 0 if nothing is counted. */
int64_t quota_add(struct quota *q, enum quota_kind kind, int64_t n);

/* What was taken, and may be given back; zeroed: nothing. */
struct quota_held {
	int64_t n;
	int64_t window; /* in which it was taken: its number since the epoch */
};

/*
 * Adds one, unless there would be more than `limit` then (0: there may be any number). In one step:
 * of many sessions that ask together no more are told yes than there is room for. False: it would
 * be too many.
 */
bool quota_take(struct quota *q, enum quota_kind kind, int64_t limit, struct quota_held *held);

/* Takes back what is held. What belongs to a window that has ended is gone with it. */
void quota_give_back(struct quota *q, enum quota_kind kind, struct quota_held *held);

/* The count without adding. */
int64_t quota_count(const struct quota *q, enum quota_kind kind);

#endif

/*
 * quota: how much a client's network has done of late, counted across the short-lived processes.
 *
 * A small file in the runtime directory, mapped by all: a table of networks (IPv4 /32, IPv6 /64),
 * each with its counts in this window of time. Sessions count by atomic additions and wait for
 * nobody. The table has a fixed size: a network that finds no place takes that of the one that did
 * least, so many networks at once make the counts coarse, never large. Nothing in the file is
 * trusted to be more than numbers (K13).
 */
#ifndef POSTERN_QUOTA_H
#define POSTERN_QUOTA_H

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

/* Maps the table in `directory`; before the process locks itself in. 0 or -errno. */
int quota_open(struct quota *q, const char *directory);

/* Counts for this client from now on, in windows of `window` s. */
void quota_client(struct quota *q, const struct netaddr *client, int64_t window);

/* Adds n. The new count of this window; 0 if nothing is counted. */
int64_t quota_add(struct quota *q, enum quota_kind kind, int64_t n);

/* The count without adding. */
int64_t quota_count(const struct quota *q, enum quota_kind kind);

#endif

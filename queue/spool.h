/*
 * spool: the directory that is the queue (docs/QUEUE.md).
 *
 *	lane/<next hop>/<id>       a message; one file, hard-linked into every lane it goes to
 *	lane/<next hop>/<id>.log   what happened to it in this lane; mtime = not tried before
 *	lane/<next hop>/@lock      lane slots and claims are locks on byte positions of this file
 *	lane/<next hop>/@retry     mtime = nothing in this lane is due before; text = host is down
 *	tmp/<id>                   being received; locked by its writer
 *	aside/<id>                 not whole, never acknowledged; for the operator to look at
 *	slots                      one locked byte for each relay that runs, others for those that wait
 *	crowd                      there may be a lane that is due and has no relay
 *	hosts/<address>-<port>     what was learned of a host (delivery/hosts.h)
 */
#ifndef POSTERN_SPOOL_H
#define POSTERN_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/address.h"
#include "lib/buf.h"
#include "mail/envelope.h"
#include "lib/id.h"

struct spool {
	int root, lanes, tmp, aside; /* directories; -1 when closed */
};

#define SPOOL_CLOSED ((struct spool){ -1, -1, -1, -1 })

/*
 * Opens the spool and makes what is missing inside it. The directory itself must exist, be ours
 * and writable by nobody else: -EPERM otherwise; -ENOTDIR for a symbolic link; or -errno.
 */
int spool_open(struct spool *s, const char *path);
void spool_close(struct spool *s);

/* Takes one of n global relay slots. The fd that holds it (close it to give it back), -EAGAIN if
 * none is free, or -errno. */
int spool_slot(const struct spool *s, int n);

/* The same for relays that wait. */
int spool_linger(const struct spool *s, int n);

/*
 * A lane that is due found no slot, or nobody starts a relay for it: whoever could wait looks for work first.
 * Taking the mark away is promising to look; true: it was there.
 */
void spool_crowd(const struct spool *s);
bool spool_crowd_take(const struct spool *s);

/* Is there room for `octets` more and a reserve, and for a file (J3, J4)? True if it cannot be told. */
bool spool_has_room(const struct spool *s, int64_t octets, int64_t reserve);

/* Removes files in tmp/ that no process holds and that are older than SPOOL_TMP_AGE. */
void spool_sweep(const struct spool *s);

enum { SPOOL_TMP_AGE = 3600 }; /* s; long enough that no slow machine is between open and lock */

/*
 * draft: a message on its way into the spool.
 *
 *	draft_begin, draft_recipient..., draft_body..., then draft_commit or draft_drop
 *
 * Errors stick: body and recipients may be added blindly, draft_commit reports the first error.
 */
enum {
	DRAFT_LANES = 100,        /* next hops of one transaction; one open directory each */
	DRAFT_BUFFER = 64 * 1024, /* octets gathered before a write: most messages need one */
	DRAFT_HEAD = 512 * 1024,  /* octets of all recipients together: held in memory */
};

struct draft {
	const struct spool *spool;
	char id[ID_SIZE];
	int fd;                              /* in tmp/, locked; -1 before the first write */
	int err;                             /* 0 or the first -errno */
	bool head_written;
	struct buf head;                     /* envelope text */
	int recipients;
	int lanes;
	char lane[DRAFT_LANES][LANE_NAME_SIZE];
	uint64_t length;                     /* octets of body */
	uint32_t crc;
	size_t fill;
	char buffer[DRAFT_BUFFER];
};

/* Starts a message. 0 or -errno. */
int draft_begin(struct draft *d, const struct spool *s, const struct envelope *e);

/* 0, -E2BIG when it goes to too many lanes, or -errno. Nothing has changed on failure. */
int draft_recipient(struct draft *d, const char *lane, struct span address,
	const struct terms *terms);

/* Adds to the body: wire form, CRLF, not dot-stuffed. */
void draft_body(struct draft *d, struct span bytes);

/*
 * Makes the message durable in all its lanes: names it, syncs the file, syncs the lanes, and only
 * then lets relays at it. 0: it is safe, and its lanes are in d->lane. -errno: nothing is left of
 * it. A sync that failed is never tried again.
 */
int draft_commit(struct draft *d);

/* Forgets a message that was begun and not committed. Safe on a zeroed draft. */
void draft_drop(struct draft *d);

#endif

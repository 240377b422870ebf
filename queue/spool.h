/*
 * spool: the directory that is the queue (docs/QUEUE.md).
 *
 *	lane/<next hop>/<id>       a message; one file, hard-linked into every lane it goes to
 *	lane/<next hop>/<id>.log   what happened to it in this lane; mtime = not tried before
 *	lane/<next hop>/@lock      the relay that works on the lane holds a lock on it
 *	lane/<next hop>/@retry     mtime = nothing in this lane is due before; text = host is down
 *	tmp/<id>                   being received; locked by its writer
 *	aside/<id>                 not whole, never acknowledged; made when there is one, for the
 *	                           operator to look at
 *	held/<next hop>/<id>       kept back by hand (held.h)
 *	relay/<host>/<login>/      lock and bell of the relay of a host and a login (bell.h)
 *	sts/<domain>               policies of MTA-STS (delivery/stscache.h)
 *	hosts/<address>-<port>     what was learned of a host (delivery/hosts.h)
 *	tlsrpt/<day>/<domain>/     what came of TLS, for reports on it (tally.h)
 *	tended                     when somebody looked after the queue (tended.h)
 */
#ifndef POSTERN_SPOOL_H
#define POSTERN_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

struct spool {
	int root, lanes, tmp; /* directories; -1 when closed */
};

#define SPOOL_CLOSED ((struct spool){ -1, -1, -1 })

/*
 * Opens the spool and makes what is missing: the directory, if its parent lets us, and what is in
 * it. It must be ours and writable by nobody else: -EPERM otherwise; -ENOTDIR or -ELOOP for a
 * symbolic link; or -errno.
 */
int spool_open(struct spool *s, const char *path);

/*
 * The same for somebody who only looks, whoever that is: nothing is made, and nothing need be ours.
 * What is not there yet stays -1. 0 or -errno.
 */
int spool_look(struct spool *s, const char *path);

/* Opens a directory, which is made if it is missing, and synced by its name. An fd or -errno. */
int spool_open_made(int parent, const char *name);

/* Says in words why spool_open failed, and what to do: "spool /var/spool/postern: ...". */
void spool_explain(const char *path, int err, struct buf *why);

/*
 * The same for what was found later: what is wrong with the spool itself, or with a directory in
 * it, which is named. False: nothing that would explain it, and nothing was said.
 */
bool spool_explain_part(const char *path, int err, struct buf *why);

/*
 * How many lanes there are that cannot be written, as where root has put one there: their mail
 * would get 451 for ever. What is wrong with the first is said in *why, and what to do.
 */
int spool_explain_lanes(const struct spool *s, const char *path, struct buf *why);

/*
 * Can messages be written? Makes a file, locks it, gives it another name, and removes it. 0; or
 * -errno, and *wrong are the words for what that is about.
 */
int spool_try(const struct spool *s, const char **wrong);

void spool_close(struct spool *s);

/*
 * Is there neither a lane nor a file that was left in tmp/? A lane goes when its last message does.
 * False if it cannot be told.
 */
bool spool_is_empty(const struct spool *s);

/*
 * Is there room for `octets` more and a reserve, and for a message in some lanes with all that a
 * relay makes there (J3, J4, S13)? True if it cannot be told.
 */
bool spool_has_room(const struct spool *s, int64_t octets, int64_t reserve);

/* Removes files in tmp/ that no process holds and that are older than SPOOL_TMP_AGE. */
void spool_sweep(const struct spool *s);

enum { SPOOL_SPARE_FILES = 8 }; /* inodes that must be free for that */

enum { SPOOL_TMP_AGE = 3600 }; /* s; long enough that no slow machine is between open and lock */

#endif

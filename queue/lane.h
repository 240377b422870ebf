/*
 * lane: the mail for one next hop.
 *
 * A relay works on a lane while it holds the lock on @lock. Which of its connections sends which
 * message is its own business.
 *
 * A message that a relay's scan missed is not forgotten when the relay dies (docs/QUEUE.md,
 * "Handshake"): a writer links the message, then removes an empty @retry; a relay makes @retry,
 * then scans, then looks whether @retry is still there.
 */
#ifndef POSTERN_LANE_H
#define POSTERN_LANE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/id.h"
#include "mail/lane_name.h"
#include "queue/spool.h"

#define LANE_LOCK  "@lock"
#define LANE_RETRY "@retry"

struct lane {
	char name[LANE_NAME_SIZE];
	int dir;  /* directory; -1 when closed */
	int lock; /* @lock; -1 when closed */
};

#define LANE_CLOSED ((struct lane){ .dir = -1, .lock = -1 })

/*
 * The directory of a lane for a writer, made if it is missing. `*proven`: the lane's own name is on
 * disk. Its proof is @lock, which is made only after that name was synced; a writer that finds no
 * proof syncs lane/ and then calls lane_prove. fd or -errno.
 */
int lane_for_writing(const struct spool *s, const char *name, bool *proven);

/* Makes @lock, now that the lane's name was synced. 0 or -errno. */
int lane_prove(int dir);

/* After the link: what waits in this lane is due, unless its host is known to be down. */
void lane_announce(int dir);

/* Opens an existing lane. 0, -ENOENT, or -errno. */
int lane_open(struct lane *l, const struct spool *s, const char *name);

/* For people who look: its directory alone, whatever @lock is. 0 or -errno. */
int lane_look(struct lane *l, const struct spool *s, const char *name);

/* Closes it, which gives back the lock. */
void lane_close(struct lane *l);

/* Takes the lock. 0, -EAGAIN if another relay has it, -ESTALE if the lane was removed meanwhile. */
int lane_take(struct lane *l);

/*
 * For people who look: the holder of the lock says that n are at the lane now, where `before` were,
 * by the kind of its lock on octets of @lock behind all that there are. Nothing is written, and it
 * is gone with the lock.
 */
void lane_show(const struct lane *l, int before, int n);

/* How many; -1: nobody has the lock, or that cannot be seen. The lane's @lock need not be open. */
int lane_shown(const struct lane *l);

/* Why nothing is tried: read from @retry. */
struct lane_state {
	bool down;        /* the host could not be reached; new mail waits too */
	int attempts;     /* in a row that failed because of it; on disk 0 unless down */
	int64_t next;     /* wall clock, s; 0: at once */
};

void lane_state(const struct lane *l, struct lane_state *out);

/* Is anything due, in a lane of this state? A time farther away than `longest` s is a clock that
 * was set back, and counts as due (J12). */
bool lane_is_due(const struct lane_state *st, int64_t now, int64_t longest);

/*
 * The same, by a stat of @retry and without opening the lane; true if it cannot be told, false if
 * there is no lane of this name. *next is that time, 0 if there is none.
 */
bool lane_looks_due(const struct spool *s, const char *name, int64_t now, int64_t longest,
	int64_t *next);

/* The time before which what a file stands for is not tried is the file's own. 0 or -errno. */
int lane_set_time(int fd, int64_t next);

/* Marks the host down until `next`. `reason` is one line for people. 0 or -errno. */
int lane_set_down(const struct lane *l, int attempts, int64_t next, const char *reason);

/*
 * Nothing waits for a time any more, neither the lane nor its messages. Failed attempts stay
 * counted. 0; or -errno: some do.
 */
int lane_make_due(const struct lane *l);

/*
 * The same of the lane alone, whose messages keep their times. If a relay is at work here it looks
 * again.
 */
void lane_wait_no_more(const struct lane *l);

/* The host answered. */
void lane_set_up(const struct lane *l);

/*
 * The end of a relay's work, in two steps:
 *	lane_settle   before it goes over the lane for the last time: makes @retry
 *	lane_leave    after it; `next` is the time of the earliest message, 0 if the lane is empty.
 *	              Gives back the lock and closes. 0: done. -EAGAIN: new mail came, open again.
 *	              Other -errno: the time cannot be written down, so that the lane looks due.
 */
int lane_settle(const struct lane *l);
int lane_leave(struct lane *l, const struct spool *s, int64_t next);

#endif

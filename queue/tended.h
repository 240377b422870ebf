/*
 * tended: when somebody looked after the queue, so that mail ages only while it can be delivered.
 *
 * A clock that jumps, and a machine that was off for days, must not return mail that was tried for
 * an hour. So relays write down that they are there, and what lay between two of them that was far
 * longer than any wait of the schedule counts as one such wait (J12, L7). Nothing of this is
 * synced: what is odd makes mail younger, never older.
 */
#ifndef POSTERN_TENDED_H
#define POSTERN_TENDED_H

#include "queue/spool.h"

/*
 * The first mail is queued, now (wall clock, s): from now on somebody should look. Does nothing if
 * there was some before.
 */
void tended_begin(const struct spool *s, int64_t now);

/*
 * A relay is there, now. `longest` is the longest wait of its schedule, s. 0, or -errno: that could
 * not be written down, and mail does not grow old.
 */
int tended_note(const struct spool *s, int64_t now, int64_t longest);

/* The same. So many seconds have passed since `since` that count. */
int64_t tended_since(const struct spool *s, int64_t since, int64_t now, int64_t longest);

#endif

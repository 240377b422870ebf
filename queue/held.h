/*
 * held: mail that nobody delivers until somebody lets it go.
 *
 *	held/<next hop>/<id>       a message that was taken out of lane/<next hop>
 *	held/<next hop>/<id>.log   ... its log
 *
 * No relay and no session looks there, so it needs nobody to stay, and it is neither tried nor
 * returned; its age goes on. For its lane's other names, of other next hops, nothing changes.
 *
 * Whoever moves a message has seized it (message_seize). It has one of the two names at any time;
 * which of them, after a loss of power, is sure only behind held_sync.
 */
#ifndef POSTERN_HELD_H
#define POSTERN_HELD_H

#include "queue/lane.h"

/* The directory of all held mail. An fd; -ENOENT: nothing was ever held; or -errno. */
int held_open_all(const struct spool *s);

/* What is held of a lane, to be read by what reads a lane. 0, -ENOENT, or -errno. */
int held_open(struct lane *held, const struct spool *s, const char *name);

/* The same, made if it is missing; the name of what was made is on disk. */
int held_open_for_writing(struct lane *held, const struct spool *s, const char *name);

/* Moves a message with its log. 0, -ENOENT, or -errno; then it is where it was. */
int held_take(const struct lane *from, const struct lane *held, const char *id);

/*
 * Moves it back into its lane, which is made if need be, and opened into *to unless it is there
 * already. It is due there at once. 0, -ENOENT, or -errno; then it is where it was. *to is the
 * caller's to close, whatever becomes of this message: others may have come there before.
 */
int held_let_go(const struct lane *held, struct lane *to, const struct spool *s, const char *id);

/* Makes sure that what moved between these two stays so. 0 or -errno. */
int held_sync(const struct lane *to, const struct lane *from);

/* Takes away a directory in which nothing is held any more. */
void held_tidy(const struct spool *s, const char *name);

#endif

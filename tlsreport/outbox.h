/*
 * outbox: the reports of a domain and day, from the first octet to their lanes; each goes out once,
 * whenever we die.
 *
 *	tlsrpt/<day>/<domain>/@new/<lane>/<id>  being written: forgotten, if it is found later
 *	tlsrpt/<day>/<domain>/@out/<lane>/<id>  what was counted has become this, for good
 *
 * @new becomes @out in one step, and so does each mail get into its lane, where a relay finds it.
 * As long as the day is remembered @out stays, and says that nothing more is to be sent.
 */
#ifndef POSTERN_OUTBOX_H
#define POSTERN_OUTBOX_H

#include "queue/spool.h"

/* Begins anew: `spool` is one whose lanes are @new, to be written by draft.h. 0 or -errno. */
int outbox_begin(struct spool *spool, const struct spool *s, int domain);

/*
 * All of them are written, or there is to be none: what was counted counts no more. Closes `spool`.
 * 0 or -errno; then nothing has changed.
 */
int outbox_seal(struct spool *spool, int domain);

/* ... and there is no report. */
void outbox_forget(struct spool *spool, int domain);

bool outbox_is_sealed(int domain);

/*
 * Of one that is sealed: takes away what was counted, and moves what is left of the mail into its
 * lanes. 0 or -errno: what could not be moved now is there the next time.
 */
int outbox_flush(const struct spool *s, int domain);

/* Removes a domain's directory `name` in that of a day, with all that we put there. */
void outbox_remove(int day, const char *name);

#endif

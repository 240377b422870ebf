/*
 * outbox: the reports of a domain and day, from the first octet to their lanes; each goes out once,
 * whenever we die.
 *
 *	tlsrpt/<day>/<domain>/@new/<lane>/<id>  being written: forgotten, if it is found later
 *	tlsrpt/<day>/<domain>/@out/<lane>/<id>  what was counted has become this, for good
 *	tlsrpt/<day>/<domain>/@out/@post-<n>    ... and this is for a web server: a line with its
 *	                                        URL, and the report, packed; its time is when it is
 *	                                        to be tried again, 0: it never was
 *
 * @new becomes @out in one step, and so does each mail get into its lane, where a relay finds it.
 * As long as the day is remembered @out stays, and says that nothing more is to be sent. What is
 * posted is removed when the server has it: it may come there twice, with the same id.
 */
#ifndef POSTERN_OUTBOX_H
#define POSTERN_OUTBOX_H

#include "lib/buf.h"
#include "queue/spool.h"

enum { OUTBOX_POST = 9 * 1024 * 1024 }; /* octets of such a file */

/* Begins anew: `spool` is one whose lanes are @new, to be written by draft.h. 0 or -errno. */
int outbox_begin(struct spool *spool, const struct spool *s, int domain);

/* Adds the n-th that is to be posted, which was never tried. 0 or -errno. */
int outbox_put(const struct spool *spool, int n, const char *url, struct span packed);

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
 * lanes. 0 or -errno: what could not be done now is there the next time.
 */
int outbox_flush(const struct spool *s, int domain);

/* Nothing of one that is sealed waits to go out. */
bool outbox_is_empty(int domain);

/* One that is to be posted: its number, and when it is to be tried again, s; 0: it never was. */
typedef int outbox_visitor(void *context, int n, int64_t when);

/* Calls for each that is to be posted. 0, or the first -errno that it meets. */
int outbox_posts(int domain, outbox_visitor *visit, void *context);

/* Not before that time (s). 0 or -errno. */
int outbox_put_off(int domain, int n, int64_t until);

/* Who posts, or tells of it: 0: it is there, or never will be; or -errno: not now. */
typedef int outbox_poster(void *context, const char *url, struct span packed);

/* Has the n-th posted, and removes it if it is not to be tried again. 0 or -errno. */
int outbox_post(int domain, int n, outbox_poster *post, void *context);

/* Removes a domain's directory `name` in that of a day, with all that we put there. */
void outbox_remove(int day, const char *name);

#endif

/*
 * settle: what an attempt brought is written down, logged and reported.
 */
#ifndef POSTERN_SETTLE_H
#define POSTERN_SETTLE_H

#include "delivery/delivery.h"

/* Wall clock, s: when to try again after so many attempts that failed (conf: retry). */
int64_t settle_retry_after(const struct conf *c, int attempts);

/*
 * Is a message that was tried so often too old to be tried again (conf: expire)? Time in which
 * nobody tried does not count (tended.h).
 */
bool settle_is_expired(const struct courier *c, const struct message *m, int attempts);

/* Is the time over by which it was to be delivered or returned (RFC 2852)? */
bool settle_is_too_late(const struct message *m);

/* While the lane is down: is there nothing to tell the sender of this message? It is not opened. */
bool settle_is_quiet(const struct courier *c, const char *id);

/*
 * What to count a failure, or an attempt that led to nothing, for: the reply of a host, if `text`
 * is one (report/diagnosis.h); or something of ours; or else this.
 */
enum counters_class settle_class(struct span text, enum counters_class otherwise);

/* Has the attempt settled at least one, though it is not written down yet? */
bool settle_any_end(const struct message *m);

/*
 * Writes down the outcomes of an attempt: the message is removed, or waits. `unfinished`: not all
 * recipients had their turn, or another host is to have it; if some were settled, the rest is tried
 * at once.
 */
void settle_message(const struct courier *c, struct message *m, bool unfinished,
	struct found *found);

/* The same, where all recipients have one outcome for one reason. */
void settle_all(const struct courier *c, struct message *m, enum outcome o, struct span why,
	struct found *found);

/* It fails, because its time is over (settle_is_too_late). */
void settle_too_late(const struct courier *c, struct message *m, struct found *found);

/*
 * The message was not tried, for its lane is down: its sender is told that it waits, if that is
 * due.
 */
void settle_waiting(const struct courier *c, struct message *m, struct found *found);

#endif

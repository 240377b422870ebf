/*
 * dsn: the report to the sender of a message that could not be delivered (RFC 3464).
 *
 * A report is mail like any other: it goes into the spool, with a null sender, and a relay delivers
 * it. The failure may be forgotten only after dsn_queue returned 0 (E16).
 */
#ifndef POSTERN_DSN_H
#define POSTERN_DSN_H

#include "../lib/conf.h"
#include "../lib/message.h"

enum { DSN_HEADER_MAX = 64 * 1024 }; /* of the original, what is given back (E9) */

/*
 * Queues a report about every recipient of `m` whose outcome is HARD and that was not settled
 * before. 0: it is durable; `id` is its queue id. -ENOENT: nobody to report to (null sender, one
 * that cannot be routed, or one that asked not to be told); or -errno.
 */
int dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf,
	char id[static ID_SIZE]);

#endif

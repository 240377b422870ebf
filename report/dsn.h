/*
 * dsn: who is to be told what became of a message, and how that gets into the queue (RFC 3461).
 *
 * A report is mail like any other: it goes into the spool, with a null sender, and a relay delivers
 * it. A failure may be forgotten only after dsn_queue returned (E16). Mail that has no sender itself is
 * given to `double_bounce`, if there is such an address; nothing comes of what is lost on that way (E7).
 */
#ifndef POSTERN_DSN_H
#define POSTERN_DSN_H

#include "conf/conf.h"
#include "queue/message.h"

/*
 * Queues one report about all recipients that were not settled before: those whose outcome is HARD, those
 * who were passed on where that is to be told, and, if `waiting`, those who still wait. 0: it is durable;
 * `id` is its queue id. -ENOENT: nothing to say, or nobody to say it to; or -errno.
 */
int dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf, bool waiting,
	char id[static ID_SIZE]);

#endif

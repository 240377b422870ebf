/*
 * dsn: queues a report of what became of a message, if one is due (RFC 3461).
 *
 * A report is mail like any other: it goes into the spool, with a null sender, and a relay
 * delivers it. A failure may be forgotten only after dsn_queue returned (E16). A report about
 * mail that has no sender, or one to whom no mail can be sent, goes to `double_bounce`, if that is
 * set; if it cannot be delivered either, no other report follows (E7). But a report of ours that
 * gave a message back whole, and does not fit its host like that, goes there once more with the
 * header alone: to be told counts more than to get the text back.
 */
#ifndef POSTERN_DSN_H
#define POSTERN_DSN_H

#include "conf/conf.h"
#include "queue/message.h"

/*
 * Who is told: the sender, or double_bounce; nobody, because the sender wants to know nothing, or
 * because there is no mailbox for it, or no other than the one that failed, or because guard lets
 * no mail go there. DSN_SHORTER: it was a report, and its reader gets a shorter one.
 */
enum dsn { DSN_SENDER, DSN_DOUBLE_BOUNCE, DSN_SHORTER, DSN_NOTHING, DSN_NOBODY };

/*
 * Queues one report about all recipients that were not settled before: those whose outcome is
 * HARD, those that were delivered or passed on if the sender asked to be told, and, if `waiting`,
 * those that still wait. DSN_SENDER, DSN_DOUBLE_BOUNCE, DSN_SHORTER: it is durable, by the queue
 * id `id` in `lane`, which its relay is to hear of.
 * Another of enum dsn: none is due; or -errno.
 */
int dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf, bool waiting,
	char id[static ID_SIZE], char lane[static LANE_NAME_SIZE]);

/* Who is told by it, for the log; NULL: nobody is. */
const char *dsn_reader(int told);

#endif

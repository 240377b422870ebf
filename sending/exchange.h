/*
 * exchange: the replies to one transaction, and what follows from each.
 *
 * A word about a recipient counts for good when replies and commands are known to be in step: in
 * lock step that is seen before each command, for nothing may have been said that was not asked; in
 * a group 354 shows it, which nothing but DATA is answered with, or RSET, which is never refused;
 * a window has its own mark (window.h).
 */
#ifndef POSTERN_EXCHANGE_H
#define POSTERN_EXCHANGE_H

#include "sending/job.h"

/* MAIL and all RCPT, as one group. */
void exchange_put_envelope(struct link *l, const struct job *j);

/*
 * Reads the replies to MAIL and to each RCPT. False: the connection is lost. In lock step each RCPT
 * is sent only now, before its reply.
 */
bool exchange_envelope(struct link *l, struct job *j, bool lock_step);

/*
 * Behind the envelope, or the reply to DATA: sends the text, or does what else follows. The word
 * about the text is still to come then.
 */
void exchange_follow_envelope(struct link *l, struct job *j);
void exchange_follow_data(struct link *l, struct job *j);

/* Reads the word about the text. `last`: it is all that is owed. */
void exchange_end(struct link *l, struct job *j, bool last);

/*
 * The text broke off. A host that refused it in the middle may have said so, and its 5yz counts
 * more than our broken pipe (F10).
 */
void exchange_broke_off(struct link *l, struct job *j);

#endif

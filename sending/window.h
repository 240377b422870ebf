/*
 * window: messages that follow each other whole, by BDAT, before the first reply is read.
 *
 * Behind each goes RSET, which ends what failed. Behind all of them goes EHLO once more (RFC 5321
 * section 4.1.4), as a mark: the list that it is answered with looks like no other reply, so if
 * that comes in its place, and nothing behind it, all replies before it were to the commands that
 * we think. Until then no word about these messages is believed.
 *
 * LMTP has no window: its words about a text are as many as there were recipients, so that one word
 * too many and one too few may add up.
 */
#ifndef POSTERN_WINDOW_H
#define POSTERN_WINDOW_H

#include "sending/job.h"

void window_send(struct link *l, struct job *j);

/* Reads all replies that are owed. No job is open any more then. */
void window_read(struct link *l);

#endif

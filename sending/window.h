/*
 * window: messages that follow each other whole, by BDAT, before the first reply is read.
 *
 * Behind each goes RSET, which ends what failed, and behind all of them a mark (probe.h). Until
 * that is seen in its place no word about these messages is believed.
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

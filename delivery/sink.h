/*
 * sink: mail that a guard keeps on this host becomes files of a directory (conf/guard.h).
 *
 * A message is one file, <id>.eml, of the text as it would have been sent, behind Return-Path: and
 * an X-Original-To: for each recipient. It is durable before the message leaves the queue, and has
 * its name only when it is whole; what is there of an attempt that broke off is written anew. The
 * directory is opened before the process locks itself in, and is all that it may write beside the
 * spool.
 */
#ifndef POSTERN_SINK_H
#define POSTERN_SINK_H

#include "delivery/delivery.h"

/* Opens the directory, if there is one: r->sink. Before the process locks itself in. */
void sink_open(struct relay *r);

/* Is the lane that this courier is at the guard's? */
bool sink_has(const struct courier *c);

/* Writes the message to a file and settles it; it waits where that cannot be done. */
void sink_take(struct courier *c, struct message *m, struct found *found);

#endif

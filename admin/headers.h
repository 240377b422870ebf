/* headers: messages in the queue by a field of their header. */
#ifndef POSTERN_HEADERS_H
#define POSTERN_HEADERS_H

#include "admin/story.h"
#include "queue/spool.h"

/*
 * Begins the stories of the messages that are in the queue with this Message-ID, without its
 * brackets. All of the queue is looked at, what is held, too: the beginning of each message.
 */
void headers_find(const struct spool *spool, struct span id, struct stories *out);

/* Is that the Message-ID of the message whose file begins so? */
bool headers_have(struct span file, struct span id);

#endif

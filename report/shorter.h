/*
 * shorter: a report that its host does not take, once more without the text it gave back.
 *
 * Only of a report of ours: its boundary is the id it was queued by, which nobody knew before. The
 * shorter one is queued by another id, so no third one follows.
 */
#ifndef POSTERN_SHORTER_H
#define POSTERN_SHORTER_H

#include "queue/message.h"

/*
 * Is this a report of which the only recipient failed because of its form or size? What it says is
 * not read yet.
 */
bool shorter_may_help(const struct message *m);

enum { NOT_WHOLE = 1 };

/* The whole mail. 0; NOT_WHOLE: it holds no whole message, or is none of ours; or -errno. */
int shorter_write(const struct message *m, struct buf *b);

#endif

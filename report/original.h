/*
 * original: the last part of a report, the message it is about.
 *
 * The header is given back; the whole message only if it was asked for and is small (E9, E10).
 * What came as BINARYMIME may hold anything, and a report goes out in lines (A7): of that the
 * header up to the first odd line.
 */
#ifndef POSTERN_ORIGINAL_H
#define POSTERN_ORIGINAL_H

#include "queue/message.h"

enum { ORIGINAL_HEADER_MAX = 64 * 1024 }; /* of a header, what is given back */

/* Appends the text up to `end`, or to its own end, or to what the buffer takes. 0 or -errno. */
int original_read_until(const struct message *m, const char *end, struct buf *b);

/*
 * Reads the message into *whole, if all of it can be given back, in UTF-8 (`global`) or to any
 * host. 0; -EINVAL: it cannot; or -errno.
 */
int original_read(const struct message *m, bool global, struct buf *whole);

/* The part's fields and text: all of *whole, */
void original_put_whole(struct buf *b, const struct message *m, const struct buf *whole);

/* ... or the header; `global`: in UTF-8 as it is, if it is UTF-8 (RFC 6533). 0 or -errno. */
int original_put_header(struct buf *b, const struct message *m, bool global);

#endif

/*
 * history: the log of a message in a lane, lane/<next hop>/<id>.log. What its lines say is known to
 * entry.c. The time of the file is the one before which the message is not tried.
 *
 * It has words, and losing it loses no mail: there may be no room for it.
 */
#ifndef POSTERN_HISTORY_H
#define POSTERN_HISTORY_H

#include "lib/buf.h"
#include "queue/lane.h"

enum { HISTORY_MAX = 4 * 1024 * 1024 }; /* octets of it that are looked at */

/* Reads it into `text`, whose maximum is HISTORY_MAX. 0; -ENOENT: there is none; or -errno. */
int history_read(const struct lane *l, const char *id, struct buf *text);

/*
 * Appends lines, and sets the time, for which there is room where there is none for lines. `sync`:
 * both are on disk when it returns. 0, or -errno if any of it failed.
 */
int history_append(const struct lane *l, const char *id, const struct buf *lines, int64_t next,
	bool sync);

/* The time alone: 0: at once. Makes the log if there is none. 0 or -errno. */
int history_set_next(const struct lane *l, const char *id, int64_t next);

/* What has a log waits for no time any more; a log is not made for that. 0 or -errno. */
int history_make_due(const struct lane *l, const char *id);

/*
 * Gives the log, if there is one, a second name in another directory, in place of what stands
 * there. 0 or -errno.
 */
int history_share(const struct lane *from, const struct lane *to, const char *id);

/* 0: there is no log; where that cannot be seen there may be one. */
int64_t history_next(const struct lane *l, const char *id);

/* 0, also if there was none; or -errno. */
int history_remove(const struct lane *l, const char *id);

#endif

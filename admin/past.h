/*
 * past: what happened to a message in a lane, as its log says.
 */
#ifndef POSTERN_PAST_H
#define POSTERN_PAST_H

#include "admin/out.h"
#include "queue/entry.h"
#include "queue/message.h"

struct past {
	struct buf text; /* the whole log; owned */
	int attempts;    /* that left somebody waiting */
	struct entry last; /* of them; its text may be empty. `when` 0: none */
};

/* Reads it. What cannot be read is empty. */
void past_read(struct past *p, const struct lane *l, const char *id);
void past_free(struct past *p);

/* The next line from *rest, which begins as all of p->text. False: that was the last one. */
bool past_next(struct span *rest, struct entry *line);

/*
 * When a message is tried next: its own time or its lane's, the later one. 0: now. `held`: never,
 * which is INT64_MAX.
 */
int64_t past_next_try(const struct lane *l, const char *id, bool held, const struct lane_state *st);

/* "now", "12 min", "held". */
void past_say_next(char *text, size_t size, int64_t next);

/* As JSON: seconds since 1970, 0: now; null: it is held. */
json_t *past_json_next(int64_t next);

/* Why the host could not be reached, from @retry: its text without the end. Empty: it could. */
void past_lane_reason(struct buf *text, const struct lane *l);

#endif

/*
 * story: what the log says of messages, put together: a story for each message, its events in the
 * order in which they were found.
 */
#ifndef POSTERN_STORY_H
#define POSTERN_STORY_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/out.h"
#include "lib/id.h"
#include "lib/span.h"
#include "mail/lane_name.h"

enum {
	STORY_MESSAGES = 100, /* of one search, the newest; more are left out */
	STORY_EVENTS = 5000,  /* of one message */
	STORY_LANES = 100,    /* that a message is known to be, or to have been, in */
};

struct story {
	char id[ID_SIZE];
	json_t *events; /* array of objects: "time" (us; null), "program", "event", "text", ... */
	char lane[STORY_LANES][LANE_NAME_SIZE];
	int lanes;
	bool waits;      /* it is in the queue */
};

struct stories {
	struct story *v; /* owned; STORY_MESSAGES of them */
	int n;
	bool more;       /* some were left out */
};

/* 0 or -ENOMEM. */
int story_begin_all(struct stories *s);
void story_end_all(struct stories *s);

/* The story of this message, begun if there is room for it; NULL: there is none, or it is no id. */
struct story *story_of(struct stories *s, struct span id);
/* ... if there is one. */
struct story *story_find(struct stories *s, struct span id);

/* This message is, or was, in that lane. */
void story_note_lane(struct story *s, struct span lane);
bool story_has_lane(const struct story *s, struct span lane);

/* Takes an event over. */
void story_add(struct story *s, json_t *event);

/* Prints one, in a line. tzset was called. */
void story_say(struct out *o, const json_t *event);

/*
 * What somebody who asks may have meant: an id; "local@domain", which is an address, or a
 * Message-ID where it is in <> or its left part is an id of ours.
 */
enum clue { CLUE_ID, CLUE_ADDRESS, CLUE_MESSAGE_ID, CLUE_NONE };

/* What it is. *what is the text without brackets; `id` the id that it begins with, or "". */
enum clue story_clue(const char *asked, char id[static ID_SIZE], struct span *what);

#endif

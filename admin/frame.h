/*
 * frame: one picture of `top`, as lines of text that fit a screen. Without a screen, files or a
 * clock: what it shows it is given.
 */
#ifndef POSTERN_FRAME_H
#define POSTERN_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "mail/lane_name.h"

enum { FRAME_LANES = 200, FRAME_RATES = 9 };

struct frame_lane {
	char name[LANE_NAME_SIZE];
	int64_t messages;
	int64_t oldest; /* wall clock, s */
	int64_t next;   /* the same; what is past: now */
	bool down;      /* its hosts cannot be reached */
	int attempts;
};

/* Something that is counted. */
struct frame_rate {
	const char *name;
	uint64_t total;
	double each;  /* a second, of late; less than 0: not known yet */
};

struct frame {
	const char *host;
	int64_t now;  /* wall clock, s */
	int sessions, relays, connections;
	int64_t messages, lanes, down, oldest; /* of the whole queue; oldest 0: it is empty */
	int64_t held; /* messages that are kept back by hand, and not among those */
	const char *uncounted; /* why there are no counters; NULL: there are */
	struct frame_rate rate[FRAME_RATES];
	int rates;
	struct frame_lane lane[FRAME_LANES]; /* the fullest first */
	int shown;
};

/* Puts a lane among those that are shown, if it is full enough. */
void frame_add_lane(struct frame *f, const struct frame_lane *lane);

/*
 * The lines, each with its end, at most `rows` of them and none of more than `columns` characters.
 * What does not fit is left out, the emptiest lanes first.
 */
void frame_print(const struct frame *f, int rows, int columns, bool utf8, struct buf *out);

#endif

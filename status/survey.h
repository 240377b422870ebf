/*
 * survey: what waits in the queue, lane by lane, by names and times alone.
 *
 * No message is opened: its age is in its name, when a lane is tried again is in the lane's @retry.
 * A message for several lanes counts in each. Nothing is locked, so what comes and goes meanwhile
 * may be counted or not. What is held (queue/held.h) waits for nothing but a hand, and is counted
 * apart from what waits.
 */
#ifndef POSTERN_SURVEY_H
#define POSTERN_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/lane_name.h"
#include "queue/spool.h"

enum {
	SURVEY_AGES = 6,
	SURVEY_LANES = 50, /* the fullest, by name: a scrape of 10^5 lanes would help nobody */
};

struct survey_lane {
	char name[LANE_NAME_SIZE];
	uint64_t messages;
	int64_t age;   /* of the oldest, s */
	int64_t next;  /* until it is tried again, s; 0: it is due */
	int failures;  /* in a row, of a lane that is down */
	bool down;     /* its hosts could not be reached */
};

struct survey {
	uint64_t messages, lanes, down;
	uint64_t by_age[SURVEY_AGES];
	int64_t age;          /* of the oldest, s */
	uint64_t held;        /* messages that somebody keeps back */
	int64_t held_age;     /* of the oldest of them, s */
	uint64_t free_octets; /* of the file system */
	struct survey_lane top[SURVEY_LANES]; /* the fullest first */
	int n;
};

/* The end of an age, s, which the next one begins with; of the last there is none. */
int64_t survey_age_end(int i);

/* `now`: wall clock, s. 0 or -errno: not all could be looked at. */
int survey_take(struct survey *v, const struct spool *s, int64_t now);

#endif

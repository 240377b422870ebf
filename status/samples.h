/*
 * samples: one of the counters for each minute of the last day, in a file of the runtime directory.
 *
 * There is no resident process that could remember; the timer has `postern-status --sample` write
 * one (units/postern-status.timer). The file is a ring of fixed size: the place of a sample is its
 * minute, so it needs no index, and a sample of another day is seen by its time. What stands there
 * is believed to be numbers and no more; who writes it is our own user.
 */
#ifndef POSTERN_SAMPLES_H
#define POSTERN_SAMPLES_H

#include <stdint.h>

#define SAMPLES_FILE "status-1" /* the layout's version */

enum {
	SAMPLES_STEP = 60,      /* s from one place to the next */
	SAMPLES_MAX = 1440, /* a day */
};

struct sample {
	int64_t time; /* wall clock, s; 0: none */
	uint64_t connections, accepted, refused, delivered, deferred, bounced; /* since the boot */
	uint64_t waiting; /* messages in the queue */
};

/* Writes it into its place. 0 or -errno. */
int samples_note(const char *runtime, const struct sample *sample);

/*
 * The samples of the day that ends now, oldest first, into out[SAMPLES_MAX]. How many; a missing
 * file has none; or -errno.
 */
int samples_read(const char *runtime, int64_t now, struct sample *out);

#endif

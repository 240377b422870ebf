/*
 * progress: a bar on a terminal while something goes on for long, and ^C, which ends it in order:
 * what was done stays done, and is told.
 */
#ifndef POSTERN_PROGRESS_H
#define POSTERN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "lanes"; NULL: nobody watches */
	int64_t n, all;
	int64_t shown;    /* lib/clock.h's ms: when the bar was drawn last; 0: never */
};

/* From now on SIGINT, SIGTERM and SIGHUP are remembered. */
void progress_watch(void);
bool progress_is_interrupted(void);

/* On standard error, if that is a terminal. `all` 0: how many there are is not known. */
void progress_begin(struct progress *p, const char *what, int64_t all);

/* So many are done by now. */
void progress_show(struct progress *p, int64_t n);

/* Makes room for a line of text; the bar comes again behind it. */
void progress_clear(const struct progress *p);

/* Takes the bar away. */
void progress_end(struct progress *p);

/* Waits, or until interrupted. */
void progress_pause(int ms);

#endif

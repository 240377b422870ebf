/* errand: another program is run, and what it says is read. */
#ifndef POSTERN_ERRAND_H
#define POSTERN_ERRAND_H

#include <stdint.h>

#include "lib/buf.h"

/* Standard output, or standard error; what it says by the other one is gone. */
enum errand_ear { ERRAND_OUTPUT, ERRAND_ERRORS };

/*
 * Runs a program, by its path or found in PATH, with nothing on standard input. What it says is
 * added to *said, as far as there is room. Its exit status; -ETIMEDOUT: it was killed after so many
 * seconds; -ECHILD: it died; or -errno: it cannot be run.
 */
int errand_run(const char *const argv[], enum errand_ear ear, int64_t seconds, struct buf *said);

/*
 * The same with this on standard input, which has room in a pipe (ERRAND_INPUT); and standard error
 * is ours if standard output is listened to.
 */
enum { ERRAND_INPUT = 64 * 1024 };
int errand_talk(const char *const argv[], struct span input, int64_t seconds, struct buf *said);

#endif

/*
 * numbers: what readers see of the counters. docs/COUNTERS.md is about this format.
 */
#ifndef POSTERN_NUMBERS_H
#define POSTERN_NUMBERS_H

#include <stdio.h>

#include "process/counters.h"

/*
 * The counters of this runtime directory, to be read one by one while others count; or NULL, and
 * why: path[] is the file, *why is lasting. Nothing in it is believed.
 */
enum { NUMBERS_PATH = 4096 };
const struct counters *numbers_map(const char *runtime, char path[static NUMBERS_PATH],
	const char **why);

/*
 * Prints the counters of this runtime directory: a line of name and number for each, and for a
 * histogram a line for each bucket, and the sum. Nothing in the file is believed, and nothing is
 * written. 0; or an exit status of sysexits.h, and a line on standard error.
 */
int numbers_print(const char *runtime, FILE *out);

#endif

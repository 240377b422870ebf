/*
 * counts: the file of the runtime directory in which processes count.
 *
 * Counters (counters.h), and behind them the table of networks (quota.h): one file, so that a
 * session maps both at once; who does not need the table maps the counters alone. Its name holds
 * the version of its layout: processes of another version, old or new, have another file, and it
 * is gone at the next boot. It belongs to our user and to nobody else, and holds numbers alone.
 */
#ifndef POSTERN_COUNTS_H
#define POSTERN_COUNTS_H

#include "process/counters.h"
#include "process/quota.h"

#define COUNTS_PREFIX "counts-"
#define COUNTS_TEXT_(v) #v
#define COUNTS_TEXT(v) COUNTS_TEXT_(v)
#define COUNTS_FILE COUNTS_PREFIX COUNTS_TEXT(COUNTERS_VERSION)

/* What is said if counters_fit is not. */
#define COUNTS_FOREIGN "what stands in " COUNTS_FILE " is not ours, and is left alone"

enum { COUNTS_SIZE = COUNTERS_SIZE + QUOTA_SIZE };

/*
 * Maps the file of this directory, which is made if it is missing, before the process locks itself
 * in: the counters, for counters_begin, and with `quota` the table. Nothing of it is touched. 0 or
 * -errno.
 */
int counts_map(const char *directory, struct quota *quota);

#endif

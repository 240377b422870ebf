/*
 * files: how many descriptors this process may have open (RLIMIT_NOFILE).
 *
 * A pool needs one for each session. A program that it starts does not, and may take what it
 * inherits for the numbers that it is to close, or that select(2) can have.
 */
#ifndef POSTERN_FILES_H
#define POSTERN_FILES_H

#include <stdint.h>

#include "conf/conf.h"

/* So many more than there may be now, or as many as the hard limit allows. */
void files_reserve(int more);

/* As it was before the first files_reserve, for another program in this process. */
void files_restore(void);

/* That program could not be executed: as it was before files_restore. */
void files_again(void);

/* What a relay needs, beside what each of its connections needs. */
enum { FILES_OF_RELAY = 64 };
int64_t files_of_connection(const struct conf_relay *c);

#endif

/*
 * loop: the session as a process: from the first word of a proxy to the last reply.
 */
#ifndef POSTERN_LOOP_H
#define POSTERN_LOOP_H

#include "session/session.h"

/*
 * Locks the process in and talks until the end. The caller has filled conf, spool, counts, monitor
 * and stop. The exit status of the process.
 */
int loop_main(struct session *s, const struct peer *peer);

#endif

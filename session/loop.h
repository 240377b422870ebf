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

/* The parts of that for a process that has more clients, each begun by session_begin. */

/* A session needs no environment. It is overwritten, because it may hold secrets. */
void loop_forget_environment(void);

/* Is what it counts in ours? Before it counts (counters.h). */
void loop_begin_to_count(const struct session *s);

/* Talks to the client until the end. */
void loop_converse(struct session *s);

/* Says to the client that there is no place for it. */
void loop_turn_away(struct session *s);

#endif

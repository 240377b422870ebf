/*
 * worker: a session of a pool, which serves one client after the other (process/pool.h).
 */
#ifndef POSTERN_WORKER_H
#define POSTERN_WORKER_H

#include "process/pool.h"
#include "process/stamp.h"
#include "session/session.h"

struct worker_terms {
	struct session *session; /* conf, spool, counts, monitor and stop are filled */
	const struct stamps *stamps;
	int listeners;
	pid_t parent;
};

/*
 * Locks the process in, then takes clients from the listening sockets until it has had busy_reuse
 * of them, or is told to end, or a file changed. The exit status of the process.
 */
int worker_main(const struct worker_terms *t, enum pool_role role);

#endif

/*
 * monitor: the process that starts other programs for a session, and sees no byte of its client.
 */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include <sys/types.h>

#include "process/budget.h"
#include "process/launch.h"
#include "process/request.h"

/* What is known of a session that is served. */
struct attended {
	struct budget budget;
	bool warned;  /* that it is spent */
	bool started; /* something that may end before the session */
};

/*
 * Does what a session asks for, if it may, and closes the fds that came along. If not, or if it
 * fails, the session finds the other end of its pair closed. False: it may not, or it is nothing
 * that an honest session asks for.
 */
bool monitor_answer(const struct launcher *l, struct attended *a, const struct request *r,
	const int *fds, int n);

/*
 * Makes this process the monitor of `session`, its child, whose requests (request.h) come from the
 * socket `requests`. It lets go of standard input and output, and serves until the session ends.
 * The session's exit status; EX_SOFTWARE if a signal ended it.
 */
int monitor_run(const struct launcher *l, int requests, pid_t session);

#endif

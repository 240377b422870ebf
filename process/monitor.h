/*
 * monitor: the process that starts other programs for a session, and sees no byte of its client.
 */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include <sys/types.h>

#include "process/launch.h"

/*
 * Makes this process the monitor of `session`, its child, whose requests (request.h) come from the
 * socket `requests`. It lets go of standard input and output, and serves until the session ends.
 * The session's exit status; EX_SOFTWARE if a signal ended it.
 */
int monitor_run(const struct launcher *l, int requests, pid_t session);

#endif

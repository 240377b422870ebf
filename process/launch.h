/*
 * launch: starts the other programs.
 *
 * A program gets two open files at fixed fds, an own session, no fd of a client that it does not
 * need, no environment but our settings and no argument that a client wrote but a lane name. A
 * relay is started if a slot of its lane and a global slot are free; it inherits both, locked, so
 * there is no moment between "does one run?" and "start one".
 */
#ifndef POSTERN_LAUNCH_H
#define POSTERN_LAUNCH_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "queue/spool.h"

enum {
	LAUNCH_FIRST_FD = 3,  /* relay: the lane's slot; tls: the connection; auth: the session */
	LAUNCH_SECOND_FD = 4, /* relay: the global slot; tls: the session's end, in clear */
};

struct launcher {
	const struct spool *spool;
	const struct conf *conf;
	const struct conf_args *args; /* handed on to relay */
};

/*
 * 0: started. -EAGAIN: nothing to start now (slots are taken, or nothing in the lane is due);
 * -ENOENT: no such lane; or -errno. Does not wait for the relay: the caller reaps.
 */
int launch_relay(const struct launcher *l, const char *lane);

/* Is that result one to tell the operator? Not if there is nothing to do, or no such lane. */
static inline bool
launch_is_trouble(int result)
{
	return result < 0 && result != -EAGAIN && result != -EBUSY && result != -ENOENT &&
		result != -ENOTDIR && result != -ESTALE;
}

/*
 * Starts a program of the site's with `fd` as its standard input and output. It has `seconds` to
 * live (SIGALRM), for nobody waits longer. Its pid or -errno.
 */
pid_t launch_check(const char *path, int fd, int64_t seconds);

/* Starts tls or auth with one or two fds of the session's. Its pid or -errno. */
pid_t launch_helper(const struct launcher *l, const char *name, const char *path, const int *fds,
	int n);

#endif

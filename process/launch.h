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

#include "process/options.h"
#include "queue/spool.h"

enum {
	LAUNCH_FIRST_FD = 3,  /* relay: the lane's slot; tls: the connection; auth: the session */
	LAUNCH_SECOND_FD = 4, /* relay: the global slot; tls: the session's end, in clear */
	LAUNCH_ARGUMENTS = 2 * OPTIONS_MAX + 10,
};

struct launcher {
	const struct spool *spool;
	const struct conf *conf;
	const struct conf_args *args; /* handed on to relay */
};

/*
 * A program counts as started when it runs: what cannot be executed is an error here (S18).
 *
 * The relay's pid. -EAGAIN: nothing to start now (slots are taken, or nothing in the lane is due);
 * -ESTALE: no such lane; or -errno. Does not wait for the relay: the caller reaps.
 */
pid_t launch_relay(const struct launcher *l, const char *lane);

/* Was it trouble that nothing was started, and not just that nothing is to be? */
static inline bool
launch_is_trouble(pid_t r)
{
	return r < 0 && r != -EAGAIN && r != -ESTALE && r != -EBUSY;
}

/* The command line of a program of ours: `what`, its argument (NULL: none), and our settings. */
void launch_arguments(const struct conf_args *settings, const char *program, const char *what,
	const char *argument, const char *arg[static LAUNCH_ARGUMENTS]);

/*
 * Starts a program of the site's with `fd` as its standard input and output. It has `seconds` to
 * live (SIGALRM), for nobody waits longer. Its pid or -errno.
 */
pid_t launch_check(const char *path, int fd, int64_t seconds);

/* Starts tls or auth with one or two fds of the session's. Its pid or -errno. */
pid_t launch_helper(const struct launcher *l, const char *name, const char *path, const int *fds,
	int n);

#endif

/*
 * launch: starts the other programs.
 *
 * A program gets one or two open files at fixed fds, an own session, no fd of a client that it does
 * not need, no environment but our settings and no argument that a client wrote.
 */
#ifndef POSTERN_LAUNCH_H
#define POSTERN_LAUNCH_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "process/options.h"
#include "queue/spool.h"

enum {
	LAUNCH_FIRST_FD = 3,  /* relay: the login's lock; tls: the connection; auth: the session;
	                       * sign: the relay; fetch: who asks; postern-tlsreport: its lock */
	LAUNCH_SECOND_FD = 4, /* tls: the session's end, in clear; fetch: the connection; else the
	                       * same as the first */
	LAUNCH_ARGUMENTS = 2 * OPTIONS_MAX + 10,
};

struct standby;

struct launcher {
	const struct spool *spool;
	const struct conf *conf;
	const struct conf_args *args; /* handed on to each program of ours */
	struct standby *standby;      /* tls and auth that wait (standby.h); NULL: none do */
};

/*
 * A program counts as started when it runs: what cannot be executed is an error here (S18).
 *
 * The relay of a login (conf/way.h), with its lock. Its pid or -errno. Does not wait for it: the
 * caller reaps.
 */
pid_t launch_login(const struct launcher *l, const char *login, int lock);

/*
 * Does a program get this TZ of ours? If it is the name of a zone, or a rule, like "Europe/Berlin"
 * and "CET-1CEST", and no path to anything else.
 */
bool launch_takes_zone(struct span zone);

/* The command line of a program of ours: `what`, its argument (NULL: none), and our settings. */
void launch_arguments(const struct conf_args *settings, const char *program, const char *what,
	const char *argument, const char *arg[static LAUNCH_ARGUMENTS]);

/*
 * Starts a program of the site's with `fd` as its standard input and output. It has `seconds` to
 * live (SIGALRM), for nobody waits longer. Its pid or -errno.
 */
pid_t launch_check(const char *path, int fd, int64_t seconds);

/* Starts tls or auth with one or two fds of the session's, or sign. Its pid or -errno. */
pid_t launch_helper(const struct launcher *l, const char *name, const char *path, const int *fds,
	int n);

/*
 * The same for fetch, with two fds. It has so many seconds to live (SIGALRM) unless it asks for
 * another time itself: one that hangs before it can would stay for ever.
 */
pid_t launch_brief(const struct launcher *l, const char *name, const char *path,
	const int fds[static 2], unsigned seconds);

/* The same for one that waits for clients, which come over the socket `fd` (await.h). */
pid_t launch_waiting(const struct launcher *l, const char *name, const char *path, int fd);

#endif

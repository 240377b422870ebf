/*
 * pool: the monitor of many sessions, each of which serves one client after the other.
 *
 * It never accepts and never reads from a client. It forks workers beforehand, all of which wait at
 * the same listening sockets (listen.h); how many, plan.h says. Each has a socket to it for
 * requests (request.h) and a budget of its own (budget.h), which begins anew with each client.
 *
 * What a worker that was taken over can do beside what a session can: take connections, as long as
 * it lives, and read what those clients say. It says itself when a client begins, so its budget
 * is that of busy_reuse clients at most: one who begins more is killed, and so is one that has a
 * client, or waits, for longer than there can be a reason for.
 *
 * A worker that finds a file changed that it was made from (stamp.h) says so instead of accepting.
 * Then an smtpd is started in this process that takes over the sockets and the workers; those that
 * have a client finish with it. A configuration that is wrong is told to the operator, and what was
 * in force stays so. The same is done after a worker crashed, so that nobody can try again at one
 * that is like it.
 */
#ifndef POSTERN_POOL_H
#define POSTERN_POOL_H

#include "process/crew.h"
#include "process/launch.h"
#include "process/stamp.h"

struct pool_terms {
	const struct launcher *launcher;
	struct stamps *stamps;
	const volatile int *stop; /* set by SIGTERM and SIGINT, which are blocked but for a wait */
	int listeners;
	bool stays;               /* nobody would start it again */
	char *const *argv;        /* of this process, for the one that takes over */
	pool_work *work;
	void *ctx;
};

/* Is this process one that takes over from another one of ours? What it has open is needed. */
bool pool_takes_over(void);

/*
 * Serves until there was no client for busy_idle, or until it is stopped, or a listening socket was
 * shut down, and the last session has ended. The exit status of the process.
 */
int pool_run(const struct pool_terms *t);

#endif

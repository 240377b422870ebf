/*
 * standby: tls and auth that wait for the clients of a pool (pool.h), on the monitor's side.
 *
 * To start one costs more than to serve a client by it: libraries are mapped, certificate and key
 * are read. So a pool has some that did all that before; how many, stock.h says. Each has a packet
 * socket to the monitor, says when it is ready (await.h), and is handed the descriptors that a
 * session has sent for one client. It serves that client alone, forgets it, says that it is ready,
 * and is handed the next one, up to busy_reuse of them; then it is let go. When none waits, one is
 * started and handed the client at once. Those that wait end when their socket closes.
 *
 * A file that they were made from (program, certificate, key, signers, key of tickets, users) is
 * looked at before each client: if it has changed, none of them gets another client. Where that
 * cannot be done for all files, and where auth asks saslauthd or Dovecot, none wait: a connection
 * to those is for one question, and while it is open it may be one that others wait for.
 *
 * What one that was taken over can do here:
 *
 *	tls   reads, and may change, what clients say that come after, in the same process: no more
 *	      than busy_reuse in all, which is counted here, and not for longer than LIFE. A tls
 *	      that was started for its client has that one alone. What it has beside that it has in
 *	      both ways: the key, and no way to anywhere but its client and session.
 *	auth  nothing: it forks for each client, and only that child hears it.
 *
 * It cannot get at what clients before it said, which was wiped out; nor at clients that nobody
 * handed to it. If it says that it is ready while it still has a client it is handed the next one:
 * that changes when, and not how many. With busy_reuse = 1 each serves one client.
 */
#ifndef POSTERN_STANDBY_H
#define POSTERN_STANDBY_H

#include "process/budget.h"
#include "process/launch.h"

struct standby;

/*
 * None waits yet, but there may be descriptors for them. `l` is the caller's, and stays. NULL: no
 * memory, or no descriptor.
 */
struct standby *standby_open(const struct launcher *l);

/* Those that wait see that nobody can hand them a client any more, and end. */
void standby_close(struct standby *s);

/* When this one can be read, standby_attend has something to do. */
int standby_fd(const struct standby *s);
void standby_attend(struct standby *s);

/*
 * Hands a client over; its descriptors stay the caller's. The pid of who has it, which is to be put
 * into the budget, and taken out of it here when the client has gone; 0: one is to be started for
 * this client alone; or -errno: it cannot be.
 */
pid_t standby_hand(struct standby *s, enum request_kind kind, const int *fds, int n,
	struct budget *budget);

/* A child ended, whatever it was. */
void standby_ended(struct standby *s, pid_t pid, int status);

/* As many as there should be. When to look again (clock.h). */
int64_t standby_adjust(struct standby *s, int64_t now);

#endif

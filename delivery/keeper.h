/*
 * keeper: the first process of a relay. It holds the login's lock, talks to nobody and reads no
 * mail; so it is there when the one that does both has died, and starts it anew.
 *
 *	keeper ── fork ──> the relay at work, locked in, with couriers (serve.h)
 *	       ── fork ──> a message at which one died, alone
 *	       ── exec ──> relays for mail that needs another login
 */
#ifndef POSTERN_KEEPER_H
#define POSTERN_KEEPER_H

#include "delivery/delivery.h"
#include "process/launch.h"

/* What the other processes do, with r->keeper set. An exit status. */
struct keeper_work {
	int (*serve)(struct relay *r, int dir);
	int (*try_alone)(struct relay *r, const char *lane, const char *id);
};

/*
 * Keeps a relay at work until nothing is due, or somebody asks that one to end (SIGTERM and the
 * like). `dir` is the directory of the login's bell (bell.h), `lock` its lock, which is from now on
 * the keeper's. Exit status.
 */
int keeper_run(struct relay *r, const struct launcher *l, const struct keeper_work *work, int dir,
	int lock);

#endif

/*
 * launch: starts a relay for a lane, if a slot of the lane and a global slot are free.
 *
 * The relay inherits both, locked, at fixed fds, so there is no moment between "does one run?" and
 * "start one". It gets an own session, no fd of a client, and no environment but our settings.
 */
#ifndef POSTERN_LAUNCH_H
#define POSTERN_LAUNCH_H

#include "conf.h"
#include "spool.h"

enum { LAUNCH_LANE_FD = 3, LAUNCH_SLOT_FD = 4 };

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

#endif

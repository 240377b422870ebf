/*
 * ring: new mail is made known to the relay that is to deliver it.
 *
 * Each login has a relay (conf/way.h). If one is at work it is rung for (queue/bell.h); a new one
 * inherits the login's lock, so there is no moment between "does one run?" and "start one".
 */
#ifndef POSTERN_RING_H
#define POSTERN_RING_H

#include "process/launch.h"

/*
 * There is new mail in this lane. The pid of a relay that was started for it, whom the caller
 * reaps; -EAGAIN: none was, because one that is at work hears of it, or nothing in the lane is due;
 * or -errno.
 */
pid_t ring_lane(const struct launcher *l, const char *lane);

/* The same for any lanes of a login. */
pid_t ring_login(const struct launcher *l, const char *login);

/*
 * Makes what the relay of each login needs in the spool, while there is room for it. What cannot be
 * made is said when it is needed.
 */
void ring_prepare(const struct launcher *l);

/* Was it trouble that nothing was started, and not just that nothing is to be? */
static inline bool
ring_is_trouble(pid_t r)
{
	return r < 0 && r != -EAGAIN;
}

#endif

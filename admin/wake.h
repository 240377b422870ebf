/*
 * wake: the relay of a lane hears that there is something to do, or is started.
 *
 * As smtpd's monitor does it (process/ring.h). One whose password is a credential of its unit is
 * not started from here, where nobody could read that: it is rung for if it is at work, and else
 * left to the timer, which is said once.
 */
#ifndef POSTERN_WAKE_H
#define POSTERN_WAKE_H

#include "admin/admin.h"

/* Any lane, because it is due. */
void wake_lane(const struct admin *a, const char *lane);

#endif

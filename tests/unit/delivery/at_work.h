/*
 * at_work: a relay with one courier, which is at the lane of d.example, without a thread: the test
 * does what the courier would do.
 */
#ifndef POSTERN_AT_WORK_H
#define POSTERN_AT_WORK_H

#include "tests/unit/spooled.h"

#include "delivery/connect.h"
#include "delivery/courier.h"
#include "delivery/flight.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "process/log.h"

static struct relay r;
static struct courier *c;
static struct tour tour; /* its own: the test opens and closes the lane */

/*
 * Begins with r.common. Its max_connections must be 1, or others would be started. For the rest of
 * the test nothing but c is at the lane. 0 or -1.
 */
static inline int
hire(void)
{
	r.spool = sp;
	r.keeper = -1;
	suspects_init(&r.suspects);
	r.hands = hands_new((int)r.common.relay.max_connections,
		(int)r.common.relay.window_messages + 1);
	c = r.hands != NULL && turns_init(&r) == 0 ? courier_new(&r, 0) : NULL;
	if (c == NULL)
		return -1;
	tour = (struct tour){ .lane = LANE_CLOSED };
	pthread_mutex_init(&tour.lock, NULL);
	(void)schedule_lane(&r.turns.schedule, "d.example", 0);
	c->turn.lane = schedule_take(&r.turns.schedule, clock_wall());
	c->tour = &tour;
	r.turns.courier[0] = c;
	r.turns.n = 1;
	return c->turn.lane != NULL ? 0 : -1;
}

static inline void
dismiss(void)
{
	if (tour.dir != NULL)
		closedir(tour.dir);
	lane_close(&tour.lane);
	courier_free(c);
	turns_free(&r);
	hands_free(r.hands);
	free(r.suspects.v);
	buf_free(&r.unable);
}

#endif

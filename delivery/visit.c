#include "delivery/stslane.h"
#include "delivery/visit.h"

#include <errno.h>

#include "delivery/connect.h"
#include "delivery/flight.h"
#include "delivery/meet.h"
#include "delivery/scan.h"
#include "delivery/tour.h"
#include "delivery/turns.h"
#include "lib/clock.h"

enum { ALONE_TIMES = 10 }; /* hosts that a message has tried alone may be sent to */

/* ---- one lane ------------------------------------------------------------------------------ */

/* Begins with the lane that it is at. */
static void
begin_work(struct courier *c)
{
	struct work *w = &c->work;
	*w = (struct work){ .verdict = DONE, .state = c->tour->state, .since = clock_ms() };
	way_of(&c->relay->common, c->tour->lane.name, &w->delivery);
	if (c->link.fd < 0)
		c->link.terms.name[0] = '\0';
}

/* The lane is gone over once more, after one of several couriers got no connection. */
static void
try_again(struct courier *c)
{
	struct work *w = &c->work;
	if (w->extra && w->verdict == SOFT)
		w->verdict = DONE;
	w->unfound = DONE;
	w->extra = false;
}

/* May it wait with the connection open? */
static bool
may_linger(const struct courier *c)
{
	return c->relay->common.relay.linger != 0 && sending_is_open(&c->link) &&
		link_was_of_use(&c->link) && c->work.verdict == DONE && !meet_is_detour(c);
}

/* Waits, by one of these two. */
static bool
waits(struct courier *c, bool (*wait)(struct courier *c, int64_t deadline))
{
	if (!may_linger(c))
		return false;
	bool more = wait(c, clock_deadline(c->relay->common.relay.linger));
	link_wake(&c->link);
	return more;
}

/*
 * The last courier at a lane leaves it: for good, or because others wait for it (`over`), or until
 * there is a connection to its host (parked).
 */
static void
leave_lane(struct courier *c, bool over)
{
	struct work *w = &c->work;
	struct tour *t = c->tour;
	int64_t now = clock_wall(), next = t->found.next;
	if (w->state.down && next != 0) /* all messages wait for the host */
		next = w->state.next;
	bool back = (over || w->parked) && !t->found.stop, last = t->found.last;
	struct exchanger to = { 0 }; /* outlives the lane's other hosts */
	if (w->parked)
		exchanger_keep(&to, &w->to);
	connect_end(c);
	int left = tour_close(c->relay, t, back ? now : next);
	bool unmarked = left < 0 && (left != -EAGAIN || last); /* nobody can mark it */
	if (unmarked && next < now + BUSY_RETRY)
		next = now + BUSY_RETRY;
	if (back && w->parked)
		turns_park(c, &to);
	else if (back || (left == -EAGAIN && !last))
		turns_yield(c);
	else
		turns_done(c, next);
	exchanger_drop(&to);
}

/* Is the lane gone over once more? Then that has begun. */
static bool
begins_again(struct courier *c)
{
	struct tour *t = c->tour;
	if (t->found.last)
		return false;
	bool news = false;
	if (!t->found.again) {
		connect_forget(c); /* nothing is between two hosts */
		news = turns_take_news(c) || (!t->rested && waits(c, turns_linger));
		t->rested = !news;
		if (!news && t->marked)
			return false;
	}
	try_again(c);
	if (news)
		tour_look_again(c);
	else
		tour_begin(c);
	return true;
}

/*
 * Its turn would be over, but messages wait for a host that can have them: they have that turn now.
 * By the next one nobody would know of them.
 */
static bool
has_to_seek(struct courier *c)
{
	if (!c->work.fitting.seeks || c->work.sought >= FITTING_ASKED)
		return false;
	c->work.sought++;
	c->work.since = clock_ms();
	return true;
}

/* Goes over the lane until nothing in it is due, nor comes while it waits. */
static void
visit_lane(struct courier *c)
{
	struct found found;
	bool over;
	begin_work(c);
	tour_join(c->tour);
	if (!turns_has_others(c))
		tour_begin(c);
	do {
		over = scan_lane(c, &found);
		bool others = turns_has_others(c);
		if (others)
			tour_part(c->tour); /* which it may be the last to see */
		if (turns_leave_to_others(c, &found)) {
			connect_end(c);
			return;
		}
		if (others)
			tour_join(c->tour);
		over = over && !has_to_seek(c);
	} while (!over && !c->work.parked && begins_again(c));
	leave_lane(c, over);
}

/* Is at the lane that it was given. */
static void
visit(struct courier *c)
{
	int64_t next = 0;
	struct schedule_lane *l = c->turn.lane;
	if (l->tour == NULL)
		l->tour = tour_open(c->relay, l->name, &next);
	c->tour = l->tour;
	if (c->tour != NULL)
		visit_lane(c);
	else
		turns_done(c, next);
}

/* Nobody waits for it: neither a lane nor its host. */
static void
refresh(struct courier *c)
{
	if (c->refresh.domain[0] == '\0')
		return;
	meet_leave(c);
	stslane_refresh(c);
}

void
visit_all(struct courier *c)
{
	do {
		while (turns_next(c)) {
			visit(c);
			refresh(c);
		}
	} while (waits(c, turns_rest));
	meet_leave(c);
	turns_end(c);
}

/* ---- alone --------------------------------------------------------------------------------- */

void
visit_alone(struct courier *c, const char *lane, const char *id)
{
	struct tour t = { .lane = LANE_CLOSED };
	struct found found = { .again = true };
	if (lane_open(&t.lane, &c->relay->spool, lane) < 0)
		return;
	c->tour = &t;
	begin_work(c);
	for (int i = 0; i < ALONE_TIMES && found.again && !found.stop; i++) {
		found = (struct found){ 0 };
		connect_make_way(c);
		scan_message(c, id, &found);
		flight_land_all(c, &found);
	}
	meet_leave(c);
	connect_end(c);
	lane_close(&t.lane);
}

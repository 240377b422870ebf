#include "delivery/turns.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "delivery/courier.h"
#include "delivery/idle.h"
#include "delivery/slow.h"
#include "delivery/tour.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"
#include "process/log.h"

enum { TICK = 1000 }; /* ms from one look at slow couriers to the next */

int
turns_init(struct relay *r)
{
	struct turns *t = &r->turns;
	*t = (struct turns){ .most = (int)r->common.relay.max_connections };
	t->courier = calloc((size_t)t->most, sizeof(struct courier *));
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->courier == NULL || t->wake < 0)
		return t->courier == NULL ? -ENOMEM : -errno;
	pthread_mutex_init(&t->lock, NULL);
	TAILQ_INIT(&t->idle);
	TAILQ_INIT(&t->ended);
	schedule_init(&t->schedule, (int)r->common.relay.max_connections_per_host);
	return 0;
}

void
turns_free(struct relay *r)
{
	struct turns *t = &r->turns;
	schedule_free(&t->schedule);
	free(t->courier);
	cleanup_fd(&t->wake);
	pthread_mutex_destroy(&t->lock);
}

static struct turns *
lock(const struct courier *c)
{
	struct turns *t = &c->relay->turns;
	pthread_mutex_lock(&t->lock);
	return t;
}

/*
 * What was decided under the lock is said behind it: whoever takes log lines may be slow, or not
 * there, and one that waits for him must not have all others wait.
 */
static void
unlock(struct turns *t)
{
	struct log_fields f = { .event = "courier" };
	int err = t->unsaid, n = t->n;
	t->unsaid = 0;
	pthread_mutex_unlock(&t->lock);
	if (err < 0)
		log_event(LOG_ERR, &f, "cannot start one more courier: %s; there are %d",
			strerror(-err), n);
}

/* ---- who begins ---------------------------------------------------------------------------- */

static int
find_place(const struct turns *t)
{
	int i = 0;
	while (t->courier[i] != NULL)
		i++;
	return i;
}

/* What a courier begins with when it gets a lane. */
static void
assign(struct courier *c, struct schedule_lane *l)
{
	struct turn *turn = &c->turn;
	exchanger_free(turn->offer);
	turn->lane = l;
	turn->offer = l->offer;
	l->offer = NULL;
	slow_begin(c);
	turn->patience = 0;
	turn->word = TURN_SILENCE;
	wait_forget(turn->told);
}

/*
 * One courier more, for this lane; if there can be one. The lock is held meanwhile: that takes a
 * moment, and waits for nobody, and the new thread, whose first act is to take the lock, is in its
 * place by then and may end at once.
 */
static void
start_one(struct relay *r, struct schedule_lane *l)
{
	struct turns *t = &r->turns;
	int number = find_place(t);
	struct courier *c = courier_new(r, number);
	if (c != NULL)
		assign(c, l);
	int err = c == NULL ? -errno : courier_start(c);
	if (err == 0) {
		t->courier[number] = c;
		t->n++;
		return;
	}
	if (c != NULL)
		courier_free(c);
	if (!t->failed)
		t->unsaid = err;
	t->failed = true;
	schedule_yield(&t->schedule, l);
}

/*
 * Each lane that is due gets a courier: a new one, or one that waits for mail elsewhere. False:
 * there is none.
 */
static bool
dispatch(struct relay *r, int64_t now)
{
	struct turns *t = &r->turns;
	(void)schedule_ripen(&t->schedule, now);
	while (!t->failed && t->n < t->most && schedule_next(&t->schedule, now) == 0)
		start_one(r, schedule_take(&t->schedule, now));
	size_t waiting = t->schedule.waiting;
	for (size_t i = t->coming; i < waiting && !TAILQ_EMPTY(&t->idle); i++) {
		struct courier *c = TAILQ_FIRST(&t->idle);
		idle_tell(t, c, TURN_GIVE_WAY);
		c->turn.summoned = true;
		t->coming++;
	}
	return waiting <= t->coming;
}

void
turns_lane(struct relay *r, const char *name, int64_t due)
{
	struct turns *t = &r->turns;
	pthread_mutex_lock(&t->lock);
	struct schedule_lane *l = schedule_lane(&t->schedule, name, due);
	struct courier *c = l != NULL && due == 0 ? idle_find(t, l, NULL) : NULL;
	if (c != NULL)
		idle_tell(t, c, TURN_NEWS);
	else
		(void)dispatch(r, clock_wall());
	unlock(t);
}

/* ---- the first thread ---------------------------------------------------------------------- */

/* Without the lock: a thread may have something to say before it ends. */
static void
bury(struct turns_list *ended)
{
	for (struct courier *c; (c = TAILQ_FIRST(ended)) != NULL;) {
		TAILQ_REMOVE(ended, c, turn.list);
		courier_free(c);
	}
}

static void
say_that_they_ran_out(const struct turns *t)
{
	struct log_fields f = { .event = "crowded" };
	log_event(LOG_WARNING, &f, "all %d connections are in use, and mail waits for one; "
		"slow hosts may keep half of them (max_connections)", t->most);
}

bool
turns_turn(struct relay *r, int *ms)
{
	struct turns *t = &r->turns;
	struct turns_list ended = TAILQ_HEAD_INITIALIZER(ended);
	pthread_mutex_lock(&t->lock);
	wait_forget(t->wake);
	TAILQ_CONCAT(&ended, &t->ended, turn.list);
	/* One look at the clock, or a lane could come to be due between two, and be waited for. */
	int64_t now = clock_wall();
	bool served = dispatch(r, now), crowded = !served && t->n == t->most;
	bool first = crowded && !t->ran_out;
	t->ran_out = t->ran_out || crowded;
	if (crowded)
		slow_give_up(t);
	int64_t next = schedule_next(&t->schedule, now);
	bool left = schedule_is_any_left(&t->schedule);
	bool rests = t->n == 0 && ((next != 0 && !left) || t->failed);
	if (rests && next == 0)
		r->unsettled = true; /* or another one would be started at once, to end like this */
	*ms = !served ? TICK : next > now ? clock_left(clock_deadline(next - now)) : -1;
	unlock(t);
	if (first)
		say_that_they_ran_out(t);
	bury(&ended);
	return !rests;
}

/* ---- couriers ------------------------------------------------------------------------------ */

/* Whoever was summoned is here, or ends instead: nobody counts on it any more. */
static void
answer_summons(struct turns *t, struct courier *c)
{
	if (c->turn.summoned)
		t->coming--;
	c->turn.summoned = false;
}

bool
turns_next(struct courier *c)
{
	struct turns *t = lock(c);
	struct schedule_lane *l = c->turn.lane; /* the one that it was started for */
	answer_summons(t, c);
	if (l == NULL && c->turn.at != NULL && sending_is_open(&c->link))
		l = schedule_take_at(&t->schedule, c->turn.at);
	if (l == NULL) {
		l = schedule_take(&t->schedule, clock_wall());
		t->taken += l != NULL && !c->turn.given_up;
	}
	if (l != NULL && l != c->turn.lane)
		assign(c, l);
	/* It may have taken another one than the one that was to be taken. */
	if (t->schedule.waiting > t->coming)
		(void)dispatch(c->relay, clock_wall());
	unlock(t);
	return l != NULL;
}

void
turns_end(struct courier *c)
{
	struct turns *t = lock(c);
	answer_summons(t, c);
	t->courier[c->turn.number] = NULL;
	t->n--;
	t->failed = false;
	TAILQ_INSERT_TAIL(&t->ended, c, turn.list);
	(void)dispatch(c->relay, clock_wall());
	wait_tell(t->wake);
	unlock(t);
}

bool
turns_has_others(const struct courier *c)
{
	struct turns *t = lock(c);
	bool others = c->turn.lane != NULL && c->turn.lane->couriers > 1;
	unlock(t);
	return others;
}

/* Does a lane wait for its host's connections, or any lane for a courier? */
static bool
is_needed(const struct turns *t, const struct turn *turn)
{
	return (turn->at != NULL && schedule_is_waited_for(turn->at)) ||
		(t->schedule.waiting > t->coming && t->n == t->most);
}

bool
turns_is_waited_for(const struct courier *c)
{
	struct turns *t = lock(c);
	bool waited = is_needed(t, &c->turn);
	unlock(t);
	return waited;
}

void
turns_grow(struct courier *c)
{
	struct turns *t = lock(c);
	schedule_grow(&t->schedule, c->turn.lane, (int)c->work.delivery.max_connections_per_lane);
	(void)dispatch(c->relay, clock_wall());
	unlock(t);
}

void
turns_shrink(struct courier *c)
{
	struct turns *t = lock(c);
	if (c->turn.lane != NULL)
		schedule_shrink(&t->schedule, c->turn.lane);
	unlock(t);
}

bool
turns_take_news(struct courier *c)
{
	struct turns *t = lock(c);
	bool news = c->turn.lane->news;
	c->turn.lane->news = false;
	unlock(t);
	return news;
}

void
turns_look_again(struct courier *c)
{
	struct turns *t = lock(c);
	if (c->turn.lane != NULL)
		c->turn.lane->news = true;
	unlock(t);
}

static void
leave(struct courier *c)
{
	c->turn.lane = NULL;
	c->tour = NULL;
}

bool
turns_leave_to_others(struct courier *c, const struct found *found)
{
	/* It has a lock of its own, under which the disk is read. */
	tour_add(c->tour, found);
	struct turns *t = lock(c);
	bool others = c->turn.lane->couriers > 1;
	if (others) {
		schedule_done(&t->schedule, c->turn.lane, 0);
		leave(c);
	} else {
		schedule_shrink(&t->schedule, c->turn.lane);
	}
	unlock(t);
	return others;
}

void
turns_done(struct courier *c, int64_t next)
{
	struct turns *t = lock(c);
	c->turn.lane->tour = NULL;
	bool ready = c->turn.at != NULL && schedule_went_well(&t->schedule, c->turn.at);
	schedule_done(&t->schedule, c->turn.lane, next);
	leave(c);
	if (next != 0 || ready)
		wait_tell(t->wake); /* for its time */
	unlock(t);
}

void
turns_yield(struct courier *c)
{
	struct turns *t = lock(c);
	c->turn.lane->tour = NULL;
	schedule_yield(&t->schedule, c->turn.lane);
	leave(c);
	unlock(t);
}

void
turns_park(struct courier *c, const struct exchanger *to)
{
	struct turns *t = lock(c);
	c->turn.lane->tour = NULL;
	struct schedule_host *h = schedule_wait_for(&t->schedule, c->turn.lane, to);
	struct courier *other = h != NULL ? idle_find(t, NULL, h) : NULL;
	if (other != NULL)
		idle_tell(t, other, TURN_GIVE_WAY);
	leave(c);
	unlock(t);
}

/* Until it is told something, its host says something, or the time is up. Unlocks meanwhile. */
static void
wait_idle(struct turns *t, struct courier *c, int64_t deadline)
{
	if (c->turn.patience == 0)
		c->turn.patience = deadline;
	idle_begin(t, c);
	unlock(t);
	idle_wait(c);
	(void)lock(c);
	idle_end(t, c);
}

bool
turns_linger(struct courier *c, int64_t deadline)
{
	struct turns *t = lock(c);
	struct turn *turn = &c->turn;
	turn->word = TURN_SILENCE;
	if (turn->at != NULL && !turn->lane->news && !is_needed(t, turn))
		wait_idle(t, c, deadline);
	wait_forget(turn->told);
	/* Who was told to give way does, whatever came meanwhile: another lane counts on that. */
	bool news = turn->lane->news && turn->word != TURN_GIVE_WAY && !turn->given_up;
	if (news) {
		turn->lane->news = false;
		turn->patience = 0;
	}
	unlock(t);
	return news;
}

bool
turns_rest(struct courier *c, int64_t deadline)
{
	struct turns *t = lock(c);
	struct turn *turn = &c->turn;
	turn->word = TURN_SILENCE;
	bool needed = is_needed(t, turn);
	if (turn->at != NULL && !needed)
		wait_idle(t, c, deadline);
	wait_forget(turn->told);
	bool lane = (needed || turn->word == TURN_GIVE_WAY) && !turn->given_up;
	unlock(t);
	return lane;
}

struct schedule_host *
turns_connect(struct courier *c, const struct exchanger *to)
{
	/* A lane that has waited for a host's connections, and cannot go by them, waits no more. */
	bool may_wait = c->turn.lane != NULL && c->turn.offer == NULL;
	struct turns *t = lock(c);
	struct schedule_host *h = schedule_connect(&t->schedule,
		may_wait ? c->turn.lane : NULL, to);
	unlock(t);
	return h;
}

void
turns_disconnect(struct courier *c, struct schedule_host *place, bool refused)
{
	if (place == NULL)
		return;
	struct turns *t = lock(c);
	if (refused)
		schedule_refused(place);
	int64_t now = clock_wall();
	if (schedule_disconnect(&t->schedule, place, now))
		wait_tell(t->wake); /* for its time */
	(void)dispatch(c->relay, now);
	unlock(t);
}

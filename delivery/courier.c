#include "delivery/courier.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "delivery/connect.h"
#include "delivery/flight.h"
#include "delivery/scan.h"
#include "delivery/settle.h"
#include "delivery/tour.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"

enum {
	STACK = 256 * 1024, /* octets; the largest that was seen is a TLS handshake's, 40 KiB */
	WHY_SIZE = 1024,
	ALONE_TIMES = 10,   /* hosts that a message has tried alone may be sent to */
};

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

/* The lane is gone over once more, after one of several courier got no connection to it. */
static void
try_again(struct courier *c)
{
	struct work *w = &c->work;
	if (w->extra && w->verdict == SOFT)
		w->verdict = DONE;
	w->extra = false;
}

/* May it wait for more mail with the connection open? */
static bool
may_linger(const struct courier *c)
{
	return c->relay->common.relay.linger != 0 && sending_is_open(&c->link) &&
		link_was_of_use(&c->link) && c->work.verdict == DONE;
}

static bool
lingers(struct courier *c)
{
	if (!may_linger(c))
		return false;
	bool news = turns_linger(c, clock_deadline(c->relay->common.relay.linger));
	link_wake(&c->link);
	return news;
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
	connect_end(c);
	int left = tour_close(c->relay, t, back ? now : next);
	if (left == -EAGAIN && last && next < now + BUSY_RETRY) /* nobody can mark it */
		next = now + BUSY_RETRY;
	if (back && w->parked)
		turns_park(c, &w->to);
	else if (back || (left == -EAGAIN && !last))
		turns_yield(c);
	else
		turns_done(c, next);
}

/* Goes over the lane until nothing in it is due, nor comes while it waits. */
static void
visit_lane(struct courier *c)
{
	struct found found;
	bool over, again = false;
	begin_work(c);
	if (!turns_has_others(c))
		tour_begin(c);
	do {
		if (again) {
			try_again(c);
			tour_begin(c);
		}
		over = scan_lane(c, &found);
		if (turns_leave_to_others(c, &found)) {
			connect_end(c);
			return;
		}
		again = !over && !c->work.parked && !c->tour->found.last &&
			(c->tour->found.again || turns_take_news(c) || lingers(c));
	} while (again);
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

/* ---- the thread ---------------------------------------------------------------------------- */

static void *
run(void *courier)
{
	struct courier *c = courier;
	wait_until_told(c->turn.told);
	hands_sign(c->relay->hands, c->turn.number);
	while (turns_next(c))
		visit(c);
	connect_close(c);
	turns_end(c);
	return NULL;
}

static void *
enter(void *context, const struct exchanger *to)
{
	return turns_connect(context, to);
}

static void
leave(void *context, void *place, bool refused)
{
	turns_disconnect(context, place, refused);
}

static size_t
size_of(const struct relay *r)
{
	return sizeof(struct courier) + (size_t)(r->common.relay.window_messages + 1) *
		sizeof(struct flight);
}

struct courier *
courier_new(struct relay *r, int number)
{
	/* Its buffers take memory only when they are used. */
	struct courier *c = mmap(NULL, size_of(r), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED)
		return NULL;
	c->relay = r;
	c->link.fd = -1;
	c->why = buf_new(WHY_SIZE);
	c->gate = (struct race_gate){ .context = c, .enter = enter, .leave = leave };
	c->flights = (struct flights){ .v = (struct flight *)(void *)(c + 1),
		.n = r->common.relay.window_messages + 1 };
	c->turn.number = number;
	c->turn.told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->turn.told >= 0)
		return c;
	munmap(c, size_of(r));
	return NULL;
}

int
courier_start(struct courier *c)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	(void)pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&c->thread, &attr, run, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	c->started = r == 0;
	return -r;
}

void
courier_free(struct courier *c)
{
	if (c->started)
		pthread_join(c->thread, NULL);
	cleanup_fd(&c->turn.told);
	free(c->turn.offer);
	buf_free(&c->why);
	buf_free(&c->link.text);
	munmap(c, size_of(c->relay));
}

/* ---- alone --------------------------------------------------------------------------------- */

void
courier_try_alone(struct courier *c, const char *lane, const char *id)
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
	connect_close(c);
	connect_end(c);
	lane_close(&t.lane);
}

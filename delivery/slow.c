#include "delivery/slow.h"

#include "lib/clock.h"
#include "lib/wait.h"

static uint64_t
sent_by(struct courier *c)
{
	return atomic_load_explicit(&c->link.stream.sent, memory_order_relaxed);
}

void
slow_begin(struct courier *c)
{
	struct turn *turn = &c->turn;
	turn->sent = sent_by(c);
	turn->seen = clock_ms();
	turn->slow = 0;
	turn->given_up = false;
}

/*
 * Did next to nothing go out by its connection of late? What comes in does not count: a host may
 * talk all the time and never come to an end.
 */
static bool
is_slow(struct courier *c, int64_t now)
{
	struct turn *turn = &c->turn;
	if (now - turn->seen >= SLOW_TIME) {
		uint64_t sent = sent_by(c);
		bool slow = sent - turn->sent < SLOW_OCTETS;
		turn->slow = !slow ? 0 : turn->slow != 0 ? turn->slow : turn->seen;
		turn->sent = sent;
		turn->seen = now;
	}
	return turn->slow != 0;
}

/*
 * Which of two slow ones is given up first? One that costs no message twice, or else the one that
 * is slow for longer.
 */
static bool
goes_before(const struct courier *a, const struct courier *b)
{
	bool a_flies = a->turn.in_flight, b_flies = b->turn.in_flight;
	return a_flies != b_flies ? b_flies : a->turn.slow < b->turn.slow;
}

/* The one to be given up first, of those that were not yet; NULL: there is none. */
static struct courier *
find_slowest(const struct turns *t)
{
	struct courier *slowest = NULL;
	for (int i = 0; i < t->most; i++) {
		struct courier *c = t->courier[i];
		if (c != NULL && c->turn.lane != NULL && c->turn.slow != 0 && !c->turn.given_up &&
			(slowest == NULL || goes_before(c, slowest)))
			slowest = c;
	}
	return slowest;
}

/* How many lanes get a courier in the time that makes one slow, though nobody is given up. */
static size_t
pace(struct turns *t, int64_t now)
{
	if (now - t->since >= SLOW_TIME) {
		t->pace = (size_t)((int64_t)t->taken * SLOW_TIME / (now - t->since));
		t->taken = 0;
		t->since = now;
	}
	return t->pace;
}

/* Whatever it waits for is over. */
static void
give_up(struct courier *c)
{
	c->turn.given_up = true;
	wait_tell(c->turn.told);
}

void
slow_give_up(struct turns *t)
{
	int64_t now = clock_ms();
	int slow = 0;
	size_t coming = t->coming + pace(t, now);
	for (int i = 0; i < t->most; i++) {
		struct courier *c = t->courier[i];
		if (c == NULL)
			continue;
		/* It takes its leave; or it was summoned, and is on its way already. */
		if (c->turn.lane == NULL && !c->turn.summoned && coming < t->schedule.waiting)
			give_up(c);
		if (c->turn.given_up)
			coming++;
		else if (c->turn.lane != NULL)
			slow += is_slow(c, now);
	}
	for (; slow > t->most / 2 && coming < t->schedule.waiting; slow--, coming++)
		give_up(find_slowest(t));
}

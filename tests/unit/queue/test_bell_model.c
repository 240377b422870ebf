/*
 * The argument that no mail waits for the timer, run over every interleaving of three writers and
 * the relays that they start: a model of bell, lock, marks of lanes and last look (queue/bell.h).
 *
 * A state is what the file system holds and how far each process has come. From the first one all
 * that can be reached are visited, one step of one process at a time. Where nobody has anything
 * left to do, no message may wait. So that the model proves something, it is also run with one
 * thing done in the wrong order, and must find the message that is left.
 */
#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdlib.h>

/* Each writer may start a relay, and one may be there before. */
enum { WRITERS = 3, RELAYS = WRITERS + 1, LANES = 2, CAPACITY = 2, ALL = (1 << LANES) - 1 };

/* One message each; two of them are for the same lane. */
static const int lane_of[WRITERS] = { 0, 0, 1 };

/* What is done otherwise than it should be. */
enum wrong {
	NOTHING,
	RING_FIRST,      /* a writer rings before its message has a name in the lane */
	MARK_LAST,       /* ... or before it removes the lane's mark */
	LOCK_ALONE,      /* a writer that finds the lock taken does not ring: somebody is at work */
	RING_ONCE,       /* a bell that nobody hears is enough */
	LISTEN_LATE,     /* a relay looks at the lanes, and opens its bell when that is done */
	NO_LAST_LOOK,    /* a relay ends when it has closed its bell and let the lock go */
	LOOK_LOCKED,     /* it looks at the lanes once more before it lets the lock go */
	LOOK_EARLY,      /* ... or before it closes its bell */
	FULL_IS_WELL,    /* a name that found no room in the bell is forgotten */
	MARK_BEHIND,     /* a relay marks a lane when it has gone over it, not before */
	WRONGS,
};

enum writer { W_LINK, W_MARK, W_RING, W_WRITE, W_LOCK, W_DONE };

enum relay {
	R_NOT_THERE,
	R_OPEN,      /* has the lock */
	R_LOOK,      /* at the lane `at`, if it is in `want` and not marked */
	R_TAKE,      /* its messages */
	R_LEAVE,
	R_LISTEN,
	R_CLOSE,     /* nothing came: the end begins */
	R_UNLOCK,
	R_LAST_LOOK, /* at the lane `at` */
	R_LOCK_AGAIN,
};

struct state {
	uint8_t writer[WRITERS], waits[WRITERS], relay[RELAYS];
	uint8_t want[RELAYS], at[RELAYS], heard[RELAYS];
	uint8_t marked[LANES]; /* @retry: a relay goes or went over the lane */
	uint8_t named[LANES];  /* times that the bell holds its name */
	uint8_t listens, lock; /* relay + 1; 0: none */
};

/* ---- all states that were seen ------------------------------------------------------------- */

enum { TABLE_BITS = 22, TABLE = 1 << TABLE_BITS };

static struct state *seen, *stack;
static bool *taken;
static size_t states, depth;

static size_t
place_of(const struct state *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ ((const uint8_t *)s)[i]) * UINT64_C(0x100000001b3);
	size_t at = h >> (64 - TABLE_BITS);
	while (taken[at] && memcmp(&seen[at], s, sizeof(*s)) != 0)
		at = (at + 1) % TABLE;
	return at;
}

/* A state that is new is to be gone on from. */
static void
reach(const struct state *s)
{
	size_t at = place_of(s);
	if (taken[at])
		return;
	assert_true(++states < TABLE / 2);
	taken[at] = true;
	seen[at] = stack[depth++] = *s;
}

/* ---- steps --------------------------------------------------------------------------------- */

static int
names_in_bell(const struct state *s)
{
	int n = 0;
	for (int i = 0; i < LANES; i++)
		n += s->named[i];
	return n;
}

/* A relay that somebody starts has the lock from the beginning. */
static void
start_relay(struct state *s)
{
	for (int r = 0; r < RELAYS && s->lock == 0; r++) {
		if (s->relay[r] != R_NOT_THERE)
			continue;
		s->relay[r] = R_OPEN;
		s->lock = (uint8_t)(r + 1);
	}
}

static uint8_t
after_link(enum wrong wrong)
{
	return wrong == RING_FIRST ? W_DONE : wrong == MARK_LAST ? W_RING : W_MARK;
}

/* Where a writer goes from a ring: heard, or not. */
static uint8_t
after_ring(const struct state *s, int w, bool heard, enum wrong wrong)
{
	if (!heard && wrong != RING_ONCE)
		return W_LOCK;
	if (wrong == RING_FIRST && s->waits[w] == 0)
		return W_LINK;
	return wrong == MARK_LAST ? W_MARK : W_DONE;
}

static void
step_writer(struct state s, int w, enum wrong wrong)
{
	int lane = lane_of[w];
	switch ((enum writer)s.writer[w]) {
	case W_LINK:
		s.waits[w] = 1;
		s.writer[w] = after_link(wrong);
		if (wrong == RING_FIRST)
			s.marked[lane] = 0;
		break;
	case W_MARK:
		s.marked[lane] = 0;
		s.writer[w] = wrong == MARK_LAST ? W_DONE : wrong == LOCK_ALONE ? W_LOCK : W_RING;
		break;
	case W_RING: /* opens the bell */
		s.writer[w] = (uint8_t)(s.listens != 0 ? W_WRITE : after_ring(&s, w, false, wrong));
		break;
	case W_WRITE: /* whoever listens now hears it; if nobody does any more, that is told */
		if (s.listens != 0 && names_in_bell(&s) < CAPACITY)
			s.named[lane]++;
		s.writer[w] = after_ring(&s, w, s.listens != 0, wrong);
		break;
	case W_LOCK:
		start_relay(&s);
		s.writer[w] = after_ring(&s, w, true, wrong);
		break;
	case W_DONE:
		return;
	}
	reach(&s);
}

/* All that waits in a lane. */
static void
take(struct state *s, int lane)
{
	for (int w = 0; w < WRITERS; w++)
		if (lane_of[w] == lane && s->waits[w] == 1)
			s->waits[w] = 2;
}

static void
close_bell(struct state *s)
{
	s->listens = 0;
	memset(s->named, 0, sizeof(s->named)); /* what was in it is gone */
}

/* To the next lane of those that are wanted, or on. */
static void
next_lane(struct state *s, int r)
{
	if (++s->at[r] < LANES)
		s->relay[r] = R_LOOK;
	else
		s->relay[r] = R_LISTEN;
}

static void
look_at(struct state *s, int r, uint8_t want)
{
	s->want[r] = want;
	s->at[r] = 0;
	s->relay[r] = R_LOOK;
}

/* The steps of a relay's end, in their order. */
static uint8_t
behind(enum relay step, enum wrong wrong)
{
	static const uint8_t right[] = { R_LISTEN, R_CLOSE, R_UNLOCK, R_LAST_LOOK, R_NOT_THERE },
		none[] = { R_LISTEN, R_CLOSE, R_UNLOCK, R_NOT_THERE },
		locked[] = { R_LISTEN, R_CLOSE, R_LAST_LOOK, R_UNLOCK, R_NOT_THERE },
		early[] = { R_LISTEN, R_LAST_LOOK, R_CLOSE, R_UNLOCK, R_NOT_THERE };
	const uint8_t *at = wrong == NO_LAST_LOOK ? none : wrong == LOOK_LOCKED ? locked
		: wrong == LOOK_EARLY ? early : right;
	while (*at != step)
		at++;
	return at[1];
}

static void
step_lane(struct state *s, int r, enum wrong wrong)
{
	int lane = s->at[r];
	switch (s->relay[r]) {
	case R_LOOK:
		if ((s->want[r] & 1 << lane) == 0 || s->marked[lane] != 0) {
			next_lane(s, r);
			break;
		}
		s->marked[lane] = wrong != MARK_BEHIND;
		s->relay[r] = R_TAKE;
		break;
	case R_TAKE:
		take(s, lane);
		s->relay[r] = R_LEAVE;
		break;
	default: /* R_LEAVE */
		if (wrong == MARK_BEHIND)
			s->marked[lane] = 1;
		if (s->marked[lane] != 0)
			next_lane(s, r);
		else
			s->relay[r] = R_LOOK;
		break;
	}
}

/* Takes one name out of the bell, any; empty, it goes to the lanes it heard of. */
static void
listen(struct state s, int r, enum wrong wrong)
{
	if (wrong == LISTEN_LATE)
		s.listens = (uint8_t)(r + 1);
	for (int lane = 0; lane < LANES; lane++) {
		struct state next = s;
		if (s.named[lane] == 0)
			continue;
		next.named[lane]--;
		next.heard[r]++;
		next.want[r] = (uint8_t)(next.want[r] | 1 << lane);
		reach(&next);
	}
	if (names_in_bell(&s) > 0)
		return;
	if (s.heard[r] > 0) {
		uint8_t want = s.heard[r] >= CAPACITY && wrong != FULL_IS_WELL ? ALL : s.want[r];
		s.heard[r] = 0;
		look_at(&s, r, want);
		reach(&s);
		return;
	}
	s.relay[r] = behind(R_LISTEN, wrong);
	s.at[r] = 0;
	reach(&s);
}

static void
step_relay(struct state s, int r, enum wrong wrong)
{
	switch ((enum relay)s.relay[r]) {
	case R_NOT_THERE:
		return;
	case R_OPEN:
		if (wrong != LISTEN_LATE)
			s.listens = (uint8_t)(r + 1);
		look_at(&s, r, ALL);
		break;
	case R_LOOK:
	case R_TAKE:
	case R_LEAVE:
		step_lane(&s, r, wrong);
		if (s.relay[r] == R_LISTEN)
			s.want[r] = 0;
		break;
	case R_LISTEN:
		listen(s, r, wrong);
		return;
	case R_CLOSE:
		close_bell(&s);
		s.relay[r] = behind(R_CLOSE, wrong);
		break;
	case R_UNLOCK:
		s.lock = 0;
		s.relay[r] = behind(R_UNLOCK, wrong);
		break;
	case R_LAST_LOOK:
		if (s.marked[s.at[r]] == 0)
			s.relay[r] = s.lock == r + 1 ? R_OPEN : R_LOCK_AGAIN;
		else if (++s.at[r] == LANES)
			s.relay[r] = behind(R_LAST_LOOK, wrong);
		break;
	case R_LOCK_AGAIN:
		s.relay[r] = s.lock == 0 ? R_OPEN : R_NOT_THERE;
		if (s.relay[r] == R_OPEN)
			s.lock = (uint8_t)(r + 1);
		break;
	}
	if (s.relay[r] == R_NOT_THERE)
		s.want[r] = s.at[r] = s.heard[r] = 0;
	reach(&s);
}

/* ---- the walk ------------------------------------------------------------------------------ */

/* All writers have ended, and each relay has, or listens to a bell with nothing in it. */
static bool
is_at_rest(const struct state *s)
{
	for (int w = 0; w < WRITERS; w++)
		if (s->writer[w] != W_DONE)
			return false;
	for (int r = 0; r < RELAYS; r++)
		if (s->relay[r] != R_NOT_THERE &&
			(s->relay[r] != R_LISTEN || s->heard[r] > 0 || names_in_bell(s) > 0))
			return false;
	return true;
}

static bool
waits_for_nobody(const struct state *s)
{
	for (int w = 0; w < WRITERS; w++)
		if (s->waits[w] == 1 && is_at_rest(s))
			return true;
	return false;
}

/* Visits all that can be reached. Is there one in which mail waits and nobody will come? */
static bool
loses_a_wakeup(enum wrong wrong)
{
	struct state first = { .marked = { 1, 1 } };
	bool lost = false;
	for (int w = 0; w < WRITERS; w++)
		first.writer[w] = wrong == RING_FIRST ? W_RING : W_LINK;
	memset(taken, 0, TABLE);
	states = depth = 0;
	reach(&first);
	first.lock = first.listens = 1; /* a relay is there already */
	first.relay[0] = R_LISTEN;
	reach(&first);
	while (depth > 0) {
		struct state s = stack[--depth];
		lost = lost || waits_for_nobody(&s);
		for (int w = 0; w < WRITERS; w++)
			step_writer(s, w, wrong);
		for (int r = 0; r < RELAYS; r++)
			step_relay(s, r, wrong);
	}
	return lost;
}

static void
test_no_wakeup_is_lost(void **state)
{
	(void)state;
	assert_false(loses_a_wakeup(NOTHING));
	assert_true(states > 10000); /* it did go everywhere */
}

static void
test_each_wrong_order_is_found(void **state)
{
	(void)state;
	for (int wrong = NOTHING + 1; wrong < WRONGS; wrong++)
		if (!loses_a_wakeup((enum wrong)wrong))
			fail_msg("wrong order %d loses nothing", wrong);
}

static int
enter(void **state)
{
	(void)state;
	seen = calloc(TABLE, sizeof(*seen));
	stack = calloc(TABLE, sizeof(*stack));
	taken = calloc(TABLE, sizeof(*taken));
	return seen == NULL || stack == NULL || taken == NULL;
}

static int
leave(void **state)
{
	(void)state;
	free(seen);
	free(stack);
	free(taken);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_wakeup_is_lost),
		cmocka_unit_test(test_each_wrong_order_is_found),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

/* tour: a lane that couriers go over together: each name once, and in order; and how it is left
 * (I8, I12, S13). */
#include "tests/unit/delivery/at_work.h"

#include <pthread.h>

enum { LATER = 1000 };

/* ---- what the system does ------------------------------------------------------------------- */

/* As many names are read of directories before that fails. The linker puts these functions in the
 * place of those of the same name. */
enum { ALL = -1 };
static int readable = ALL;

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);

struct dirent *
__wrap_readdir(DIR *dir)
{
	if (readable == 0) {
		errno = EIO;
		return NULL;
	}
	readable -= readable > 0;
	return __real_readdir(dir);
}

/* So often the lane was removed between its opening and its lock. */
static int stale;
int __real_lane_take(struct lane *l);
int __wrap_lane_take(struct lane *l);

int
__wrap_lane_take(struct lane *l)
{
	return stale-- > 0 ? -ESTALE : __real_lane_take(l);
}

static int settling; /* what comes of it: -errno */
int __real_lane_settle(const struct lane *l);
int __wrap_lane_settle(const struct lane *l);

int
__wrap_lane_settle(const struct lane *l)
{
	return settling < 0 ? settling : __real_lane_settle(l);
}

static bool timeless; /* no time of a file is ours to set */
int __real_utimensat(int dir, const char *name, const struct timespec t[2], int flags);
int __wrap_utimensat(int dir, const char *name, const struct timespec t[2], int flags);

int
__wrap_utimensat(int dir, const char *name, const struct timespec t[2], int flags)
{
	if (!timeless)
		return __real_utimensat(dir, name, t, flags);
	errno = EPERM;
	return -1;
}

/* ---- a relay -------------------------------------------------------------------------------- */

static int
start(void **state)
{
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	readable = ALL;
	stale = settling = 0;
	timeless = false;
	r = (struct relay){ .common = { .relay = { .retry = { { 60 }, 1 }, .max_connections = 1,
		.window_messages = 1 } } };
	return hire();
}

static int
stop(void **state)
{
	dismiss();
	return teardown(state);
}

static void
queue(void)
{
	begin("");
	add("d.example", "u@d.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
}

/* Opens the lane of d.example, which can be. */
static struct tour *
opens(void)
{
	int64_t next;
	c->tour = tour_open(&r, "d.example", &next);
	assert_non_null(c->tour);
	assert_false(r.unsettled);
	return c->tour;
}

/* A lane that cannot be worked on now. When it is to be looked at again; 0: never. */
static int64_t
fails_to_open(const char *name, bool unsettled)
{
	int64_t next = 7;
	r.unsettled = false;
	assert_null(tour_open(&r, name, &next));
	assert_int_equal(r.unsettled, unsettled);
	return next;
}

/* ... which is so long from now. */
static void
opens_not(const char *name, int64_t in, bool unsettled)
{
	int64_t before = clock_wall(), next = fails_to_open(name, unsettled);
	if (in == 0)
		assert_int_equal(next, 0);
	else
		assert_in_range(next, before + in, clock_wall() + in);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static void
test_no_lane(void **state)
{
	(void)state;
	opens_not("d.example", 0, false);
	spill(sp.lanes, "d.example", span_of("a file"));
	opens_not("d.example", 0, false);
	assert_int_equal(unlinkat(sp.lanes, "d.example", 0), 0);
	assert_int_equal(symlinkat("/tmp", sp.lanes, "d.example"), 0);
	opens_not("d.example", 0, false);
	/* L18: in a lane that is there, what stands in the place of @lock is another matter */
	assert_int_equal(unlinkat(sp.lanes, "d.example", 0), 0);
	assert_int_equal(mkdirat(sp.lanes, "d.example", 0700), 0);
	assert_int_equal(symlinkat("elsewhere", sp.lanes, "d.example/" LANE_LOCK), 0);
	opens_not("d.example", BUSY_RETRY, true);
}

/* Another relay has it. It looks due and is not our business now: the timer comes back to it. */
static void
test_locked(void **state)
{
	(void)state;
	struct lane other;
	queue();
	open_lane(&other, "d.example");
	assert_int_equal(lane_take(&other), 0);
	opens_not("d.example", BUSY_RETRY, true);
	lane_close(&other);
	r.unsettled = false;
	struct tour *t = opens();
	open_lane(&other, "d.example"); /* and now it is ours */
	assert_int_equal(lane_take(&other), -EAGAIN);
	lane_close(&other);
	(void)tour_close(&r, t, LATER);
	open_lane(&other, "d.example"); /* and now it is free */
	assert_int_equal(lane_take(&other), 0);
	lane_close(&other);
}

/* A lane that goes while it is opened is opened anew, but not for ever. */
static void
test_stale(void **state)
{
	(void)state;
	queue();
	stale = 2;
	(void)tour_close(&r, opens(), LATER);
	stale = 3;
	opens_not("d.example", BUSY_RETRY, true);
	assert_int_equal(stale, 0);
}

/* Nothing is to be done for a lane that is down until its time, nor is it forgotten. */
static void
test_down(void **state)
{
	(void)state;
	struct lane l;
	queue();
	open_lane(&l, "d.example");
	int64_t until = clock_wall() + 30;
	assert_int_equal(lane_set_down(&l, 3, until, "gone"), 0);
	assert_int_equal(fails_to_open("d.example", false), until);
	assert_int_equal(lane_take(&l), 0); /* it has not kept the lock */
	lane_close(&l);
	/* L18, J12: its time has come, or is that of a clock that was set back */
	const int64_t times[] = { clock_wall() - 1, clock_wall() + 365 * 24 * 3600 };
	for (size_t i = 0; i < ROWS(times); i++) {
		open_lane(&l, "d.example");
		assert_int_equal(lane_set_down(&l, 3, times[i], "gone"), 0);
		lane_close(&l);
		struct tour *t = opens();
		assert_true(t->state.down && t->state.attempts == 3);
		(void)tour_close(&r, t, LATER);
	}
}

/* Where only messages wait, there may be one that does not. */
static void
test_not_due(void **state)
{
	(void)state;
	struct lane l;
	queue();
	open_lane(&l, "d.example");
	assert_int_equal(lane_settle(&l), 0);
	assert_int_equal(lane_leave(&l, &sp, clock_wall() + 30), 0);
	struct tour *t = opens();
	assert_false(t->state.down);
	(void)tour_close(&r, t, LATER);
}

/* ---- names ---------------------------------------------------------------------------------- */

enum { FEW = 5, NAMES = TOUR_BATCH + 100 };

/* A lane with so many names, and others that are none. */
static void
fill(int names)
{
	char name[ID_SIZE + 4];
	queue();
	struct tour *t = opens();
	assert_int_equal(message_remove(&t->lane, d.id), 0);
	for (int i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "%020d", i);
		spill(t->lane.dir, name, span_of(""));
	}
	spill(t->lane.dir, "README", span_of(""));
}

/* Takes all names that there are; how many. Within a batch they are in order. */
static int
take_all(bool seen[static NAMES])
{
	char id[ID_SIZE], before[ID_SIZE] = "";
	int n = 0;
	for (; tour_next(c, id); n++) {
		int64_t number = span_number(span_of(id));
		assert_in_range(number, 0, NAMES - 1);
		assert_false(seen[number]);
		seen[number] = true;
		if (c->tour->at > 1)
			assert_true(strcmp(before, id) < 0);
		memcpy(before, id, sizeof(before));
	}
	return n;
}

/* Each name once, and again when the lane is gone over again; in batches, so that memory is flat. */
static void
test_names(void **state)
{
	(void)state;
	static const int rows[] = { 0, FEW, NAMES };
	for (size_t i = 0; i < ROWS(rows); i++) {
		fill(rows[i]);
		for (int again = 0; again < 2; again++) {
			bool seen[NAMES] = { false };
			char id[ID_SIZE];
			tour_begin(c);
			assert_true(exists(c->tour->lane.dir, LANE_RETRY));
			assert_int_equal(tour_left(c->tour), 0); /* nothing was read yet */
			assert_int_equal(take_all(seen), rows[i]);
			assert_false(tour_next(c, id));
			assert_int_equal(tour_left(c->tour), 0);
			assert_int_equal(c->tour->found.next, 0);
		}
		(void)tour_close(&r, c->tour, LATER);
		c->tour = NULL;
		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup(NULL), 0);
		r.spool = sp;
	}
}

/* In the middle of it, it is begun anew: from the first name on. */
static void
test_begun_anew(void **state)
{
	(void)state;
	bool seen[NAMES] = { false };
	char id[ID_SIZE];
	fill(FEW);
	tour_begin(c);
	for (int i = 0; i < 3; i++)
		assert_true(tour_next(c, id));
	assert_int_equal(tour_left(c->tour), FEW - 3);
	tour_add(c->tour, &(struct found){ .next = 5, .again = true });
	tour_begin(c);
	assert_true(c->tour->found.next == 0 && !c->tour->found.again);
	assert_int_equal(take_all(seen), FEW);
	(void)tour_close(&r, c->tour, LATER);
}

/* ---- several couriers ----------------------------------------------------------------------- */

static int times[NAMES];

static void *
go_over(void *courier)
{
	char id[ID_SIZE];
	while (tour_next(courier, id))
		__atomic_fetch_add(&times[span_number(span_of(id))], 1, __ATOMIC_RELAXED);
	return NULL;
}

static void
test_shared(void **state)
{
	(void)state;
	enum { COURIERS = 4 };
	static struct courier all[COURIERS];
	pthread_t thread[COURIERS];
	fill(NAMES);
	tour_begin(c);
	for (int i = 0; i < COURIERS; i++) {
		all[i].tour = c->tour;
		assert_int_equal(pthread_create(&thread[i], NULL, go_over, &all[i]), 0);
	}
	for (int i = 0; i < COURIERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (int i = 0; i < NAMES; i++)
		assert_int_equal(times[i], 1);
	(void)tour_close(&r, c->tour, LATER);
}

/* What each found is what all found; once somebody cannot write something down, nobody goes on. */
static void
test_found(void **state)
{
	(void)state;
	static const struct found rows[] = { { .next = 50, .parked = true }, { .next = 70 },
		{ .next = 30, .again = true }, { 0 }, { .next = 40, .last = true } };
	static const int64_t next[] = { 50, 50, 30, 30, 30 };
	char id[ID_SIZE];
	fill(3);
	tour_begin(c);
	for (size_t i = 0; i < ROWS(rows); i++) {
		tour_add(c->tour, &rows[i]);
		const struct found *f = &c->tour->found;
		assert_int_equal(f->next, next[i]);
		assert_int_equal(f->again, i >= 2);
		assert_int_equal(f->last, i >= 4);
		assert_false(f->parked || f->stop); /* who is parked, is so alone */
	}
	assert_true(tour_next(c, id));
	tour_add(c->tour, &(struct found){ .stop = true });
	assert_false(tour_next(c, id));
	(void)tour_close(&r, c->tour, LATER);
}

/* ---- trouble -------------------------------------------------------------------------------- */

static void
is_in_trouble(int64_t before)
{
	const struct found *f = &c->tour->found;
	assert_true(f->last && !f->stop);
	assert_in_range(f->next, before + BUSY_RETRY, clock_wall() + BUSY_RETRY);
}

/* S13: what was read is given out, and that this was not all is known. */
static void
test_unreadable(void **state)
{
	(void)state;
	bool seen[NAMES] = { false };
	int64_t before = clock_wall();
	fill(9);
	tour_begin(c);
	readable = 10; /* with @lock, @retry, README, "." and ".." there are 14 */
	int n = take_all(seen);
	readable = ALL;
	assert_in_range(n, 5, 9);
	is_in_trouble(before);
	(void)tour_close(&r, c->tour, LATER);
}

/* Without room for @retry the lane is gone over, which makes room; other trouble is left alone. */
static void
test_no_retry(void **state)
{
	(void)state;
	static const struct {
		int err;
		bool goes_on;
	} rows[] = { { -ENOSPC, true }, { -EDQUOT, true }, { -EIO, false }, { -EROFS, false } };
	fill(1);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char id[ID_SIZE];
		int64_t before = clock_wall();
		settling = rows[i].err;
		tour_begin(c);
		is_in_trouble(before);
		assert_int_equal(tour_next(c, id), rows[i].goes_on);
	}
	settling = 0;
	(void)tour_close(&r, c->tour, LATER);
}

/* ---- the end -------------------------------------------------------------------------------- */

/* What is left in order is not looked at before its time; an empty lane goes. */
static void
test_close(void **state)
{
	(void)state;
	int64_t next, later = clock_wall() + LATER;
	fill(1);
	tour_begin(c);
	assert_int_equal(tour_close(&r, c->tour, later), 0);
	assert_false(lane_looks_due(&sp, "d.example", clock_wall(), 2 * LATER, &next));
	assert_int_equal(next, later);
	struct tour *t = opens();
	tour_begin(c);
	assert_int_equal(unlinkat(t->lane.dir, "00000000000000000000", 0), 0);
	assert_int_equal(unlinkat(t->lane.dir, "README", 0), 0);
	assert_int_equal(tour_close(&r, t, 0), 0);
	assert_false(exists(sp.lanes, "d.example"));
	assert_false(r.unsettled);
}

/* I8: mail that came after the names were read is not left for later, nor is its lane removed. */
static void
test_new_mail(void **state)
{
	(void)state;
	for (int empty = 0; empty < 2; empty++) {
		int64_t next;
		queue();
		struct tour *t = opens();
		tour_begin(c);
		if (empty)
			assert_int_equal(message_remove(&t->lane, d.id), 0);
		queue();
		assert_int_equal(tour_close(&r, t, empty ? 0 : clock_wall() + LATER), -EAGAIN);
		assert_true(lane_looks_due(&sp, "d.example", clock_wall(), LATER, &next));
		assert_false(r.unsettled);
	}
}

/* A relay whose lane looks due and would be tried again at once must not be started at once. */
static void
test_unsettled(void **state)
{
	(void)state;
	static const struct {
		struct found found;
		bool new_mail, want;
	} rows[] = { { { .stop = true, .last = true }, false, true }, { { .last = true }, true, true },
		{ { .last = true }, false, false }, { { .again = true }, true, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		queue();
		r.unsettled = false;
		struct tour *t = opens();
		tour_begin(c);
		tour_add(t, &rows[i].found);
		if (rows[i].new_mail)
			queue();
		(void)tour_close(&r, t, clock_wall() + LATER);
		assert_int_equal(r.unsettled, rows[i].want);
	}
}

/* L18: a lane whose time cannot be written down looks due, and no relay is started for it at once. */
static void
test_timeless(void **state)
{
	(void)state;
	int64_t next;
	queue();
	struct tour *t = opens();
	tour_begin(c);
	timeless = true;
	assert_int_equal(tour_close(&r, t, clock_wall() + LATER), -EPERM);
	assert_true(r.unsettled);
	assert_true(lane_looks_due(&sp, "d.example", clock_wall(), 2 * LATER, &next));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_lane, start, stop),
		cmocka_unit_test_setup_teardown(test_locked, start, stop),
		cmocka_unit_test_setup_teardown(test_stale, start, stop),
		cmocka_unit_test_setup_teardown(test_down, start, stop),
		cmocka_unit_test_setup_teardown(test_not_due, start, stop),
		cmocka_unit_test_setup_teardown(test_names, start, stop),
		cmocka_unit_test_setup_teardown(test_begun_anew, start, stop),
		cmocka_unit_test_setup_teardown(test_shared, start, stop),
		cmocka_unit_test_setup_teardown(test_found, start, stop),
		cmocka_unit_test_setup_teardown(test_unreadable, start, stop),
		cmocka_unit_test_setup_teardown(test_no_retry, start, stop),
		cmocka_unit_test_setup_teardown(test_close, start, stop),
		cmocka_unit_test_setup_teardown(test_new_mail, start, stop),
		cmocka_unit_test_setup_teardown(test_unsettled, start, stop),
		cmocka_unit_test_setup_teardown(test_timeless, start, stop),
	};
	return cmocka_run_group_tests_name("tour", tests, NULL, NULL);
}

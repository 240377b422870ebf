/* survey: lanes by how much waits in them. */
#include "tests/unit/spooled.h"

#include "lib/cleanup.h"
#include "lib/dir.h"
#include "lib/id.h"
#include "queue/held.h"
#include "queue/lane.h"
#include "status/survey.h"

static struct survey v;

/* A lane with so many files that have names of messages, and one of each other kind. */
static void
fill(const char *name, int messages)
{
	bool proven;
	char id[ID_SIZE + 4];
	int lane = lane_for_writing(&sp, name, &proven);
	assert_true(lane >= 0);
	assert_int_equal(lane_prove(lane), 0);
	for (int i = 0; i < messages; i++) {
		assert_int_equal(id_new(id), 0);
		close(openat(lane, id, O_WRONLY | O_CREAT, 0600));
	}
	if (messages > 0) {
		snprintf(id + ID_LEN, 5, ".log");
		close(openat(lane, id, O_WRONLY | O_CREAT, 0600));
	}
	close(lane);
}

static void
test_counts(void **state)
{
	(void)state;
	fill("b.example", 2);
	fill("a.example", 3);
	fill("empty.example", 0);
	assert_int_equal(mkdirat(sp.lanes, ".hidden", 0700), 0);
	int64_t now = clock_wall();
	assert_int_equal(survey_take(&v, &sp, now), 0);
	assert_int_equal(v.messages, 5);
	assert_int_equal(v.lanes, 2);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.top[0].name, "a.example");
	assert_int_equal(v.top[0].messages, 3);
	assert_int_equal(v.by_age[0], 5);
	assert_true(v.free_octets > 0);
}

/* Each age begins where the one before ends; a clock that was set back makes nothing older. */
static void
test_ages(void **state)
{
	(void)state;
	int64_t now = clock_wall();
	for (int i = 0; i < SURVEY_AGES; i++) {
		int64_t from = i > 0 ? survey_age_end(i - 1) : 0;
		assert_int_equal(survey_take(&v, &sp, now + from + 5), 0);
		assert_int_equal(v.by_age[i], 5);
		assert_true(v.age >= from && v.age < from + 3600);
	}
	assert_int_equal(survey_take(&v, &sp, now - 86400), 0);
	assert_int_equal(v.by_age[0], 5);
	assert_int_equal(v.age, 0);
}

static void
test_down(void **state)
{
	(void)state;
	struct lane l = LANE_CLOSED;
	int64_t now = clock_wall();
	assert_int_equal(lane_open(&l, &sp, "b.example"), 0);
	assert_int_equal(lane_set_down(&l, 4, now + 100, "why"), 0);
	lane_close(&l);
	assert_int_equal(survey_take(&v, &sp, now), 0);
	assert_int_equal(v.down, 1);
	assert_true(v.top[1].down && !v.top[0].down);
	assert_int_equal(v.top[1].failures, 4);
	assert_int_equal(v.top[1].next, 100);
}

/* What is held is no longer among what waits; it is counted, and its age goes on. */
static void
test_held(void **state)
{
	(void)state;
	struct lane from = LANE_CLOSED, held;
	int64_t now = clock_wall();
	assert_int_equal(survey_take(&v, &sp, now), 0);
	assert_int_equal(v.held, 0);
	assert_int_equal(v.held_age, 0);
	fill("h.example", 2);
	fill("i.example", 1);
	for (const char *const *name = (const char *const[]){ "h.example", "i.example", NULL };
		*name != NULL; name++) {
		assert_int_equal(lane_open(&from, &sp, *name), 0);
		assert_int_equal(held_open_for_writing(&held, &sp, *name), 0);
		auto_dir all = dir_open(from.dir);
		for (const char *id; (id = dir_next(all)) != NULL;)
			if (id_valid(span_of(id)))
				assert_int_equal(held_take(&from, &held, id), 0);
		lane_close(&held);
		lane_close(&from);
	}
	assert_int_equal(survey_take(&v, &sp, now + 100), 0);
	assert_int_equal(v.messages, 5);
	assert_int_equal(v.lanes, 2);
	assert_int_equal(v.held, 3);
	assert_true(v.held_age >= 95 && v.held_age < 3600);
	assert_int_equal(survey_take(&v, &sp, now - 86400), 0);
	assert_int_equal(v.held_age, 0);
}

/* Of many lanes the fullest are named; all are counted. */
static void
test_many(void **state)
{
	(void)state;
	char name[32];
	for (int i = 0; i < SURVEY_LANES + 5; i++) {
		snprintf(name, sizeof(name), "lane%d.example", i);
		fill(name, i == 7 ? 9 : 1);
	}
	assert_int_equal(survey_take(&v, &sp, clock_wall()), 0);
	assert_int_equal(v.lanes, SURVEY_LANES + 7);
	assert_int_equal(v.messages, 5 + SURVEY_LANES + 4 + 9);
	assert_int_equal(v.n, SURVEY_LANES);
	assert_string_equal(v.top[0].name, "lane7.example");
	assert_string_equal(v.top[1].name, "a.example");
	for (int i = 1; i < v.n; i++)
		assert_true(v.top[i].messages <= v.top[i - 1].messages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

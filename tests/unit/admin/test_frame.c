/* frame: what fits a screen. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "admin/frame.h"
#include "admin/out.h"

static struct frame f;

static void
fill(int lanes)
{
	f = (struct frame){ .host = "mx.test.example", .now = 1700000000, .sessions = 3,
		.messages = 70, .lanes = lanes, .down = 1, .oldest = 1700000000 - 7200,
		.rates = 2, .rate = { { "messages accepted", 12345678901, 1.25 },
			{ "recipients delivered", 7, -1 } } };
	for (int i = 0; i < lanes; i++) {
		struct frame_lane l = { .messages = i, .oldest = f.now - 60, .next = f.now + 90,
			.down = i == 5 };
		snprintf(l.name, sizeof(l.name), "lane%d.example", i);
		frame_add_lane(&f, &l);
	}
}

/* Lines of it, none too long. */
static int
check_fits(struct span text, int columns)
{
	int n = 0;
	for (; text.n > 0; n++)
		assert_true(out_width(span_line(&text)) <= (size_t)columns);
	return n;
}

static bool
holds(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text)) != NULL;
}

static void
test_fits(void **state)
{
	static const struct {
		int rows, columns, lanes, want;
	} rows[] = { { 24, 80, 50, 24 }, { 24, 80, 3, 12 }, { 1, 80, 3, 1 }, { 0, 80, 3, 0 },
		{ 24, 10, 50, 24 }, { 100, 300, 50, 59 }, { 24, 1, 3, 12 } };
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = buf_new(1 << 20);
		fill(rows[i].lanes);
		frame_print(&f, rows[i].rows, rows[i].columns, true, &b);
		assert_int_equal(check_fits(buf_span(&b), rows[i].columns), rows[i].want);
		buf_free(&b);
	}
}

static void
test_words(void **state)
{
	struct buf b = buf_new(1 << 20);
	(void)state;
	fill(7);
	frame_print(&f, 24, 80, true, &b);
	assert_true(holds(&b, "3 sessions, 0 relays"));
	assert_true(holds(&b, "70 messages in 7 lanes, 1 of them down; the oldest for 2 h"));
	assert_true(holds(&b, "12345678901          1.2"));
	assert_true(holds(&b, "  7            -"));
	assert_true(holds(&b, "1 min 30 s  down"));
	/* The fullest first. */
	char *six = memmem(b.p, b.n, "lane6.", 6), *zero = memmem(b.p, b.n, "lane0.", 6);
	assert_true(six != NULL && zero != NULL && six < zero);
	buf_reset(&b);
	f.uncounted = "nothing was counted";
	frame_print(&f, 24, 80, true, &b);
	assert_true(holds(&b, "no counters: nothing was counted"));
	buf_free(&b);
}

/* Of more than there is room for, the fullest. */
static void
test_many_lanes(void **state)
{
	(void)state;
	fill(FRAME_LANES + 50);
	assert_int_equal(f.shown, FRAME_LANES);
	assert_int_equal(f.lane[0].messages, FRAME_LANES + 49);
	assert_int_equal(f.lane[FRAME_LANES - 1].messages, 50);
	frame_add_lane(&f, &(struct frame_lane){ .messages = 1 });
	assert_int_equal(f.lane[FRAME_LANES - 1].messages, 50);
}

/* What is not ASCII is cut between its characters, and nothing moves the cursor. */
static void
test_strange(void **state)
{
	struct buf b = buf_new(1 << 20);
	(void)state;
	fill(0);
	f.host = "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\x1b[2J";
	for (int columns = 1; columns < 40; columns++) {
		buf_reset(&b);
		frame_print(&f, 1, columns, true, &b);
		assert_int_equal(check_fits(buf_span(&b), columns), 1);
		struct buf safe = buf_new(1 << 20);
		out_safe(&safe, (struct span){ b.p, b.n - 1 }, true);
		assert_true(span_eq(buf_span(&safe), (struct span){ b.p, b.n - 1 }));
		buf_free(&safe);
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_many_lanes),
		cmocka_unit_test(test_strange),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

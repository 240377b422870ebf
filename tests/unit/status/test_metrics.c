/* metrics: whatever a lane is called, a line stays a line and a label a label. */
#include "tests/unit/unit.h"

#include <string.h>

#include "status/metrics.h"

static struct figures f;

static const char *
written(enum metrics_format format)
{
	static char text[1 << 18];
	struct buf out = buf_new(sizeof(text) - 1);
	metrics_write(&out, &f, format);
	assert_int_equal(out.err, 0);
	memcpy(text, out.p, out.n);
	text[out.n] = '\0';
	buf_free(&out);
	return text;
}

static void
test_labels(void **state)
{
	(void)state;
	f = (struct figures){ .surveyed = true, .queue = { .n = 1, .messages = 7, .lanes = 1,
		.held = 3, .held_age = 9 } };
	f.queue.top[0] = (struct survey_lane){ .name = "a\"} 1\nx\\", .messages = 7 };
	for (int format = METRICS_OPEN; format <= METRICS_TEXT; format++) {
		const char *text = written((enum metrics_format)format);
		assert_non_null(
			strstr(text, "\npostern_lane_messages{lane=\"a\\\"} 1\\nx\\\\\"} 7\n"));
		assert_null(strstr(text, "\nx"));
		assert_non_null(strstr(text, "\npostern_queue_messages 7\n"));
		assert_non_null(strstr(text, "\npostern_queue_held_messages 3\n"));
		assert_non_null(strstr(text, "\npostern_queue_held_oldest_seconds 9\n"));
	}
}

/* In one format metadata have the name of the metric, in the other that of the sample. */
static void
test_formats(void **state)
{
	(void)state;
	f = (struct figures){ .counted = true };
	f.value[COUNTER_REFUSED_NO_RELAY] = 3;
	f.value[COUNTER_QUEUE_TIME] = 2;      /* up to 1 ms */
	f.value[COUNTER_QUEUE_TIME + 30] = 1; /* the longest */
	f.value[COUNTER_QUEUE_TIME + 31] = 1500;
	const char *open = written(METRICS_OPEN);
	assert_non_null(strstr(open, "# TYPE postern_refused counter\n"));
	assert_non_null(strstr(open, "\npostern_refused_total{reason=\"no_relay\"} 3\n"));
	assert_non_null(strstr(open, "# TYPE postern_build info\n"));
	assert_non_null(strstr(open, "_bucket{le=\"0.001\"} 2\n"));
	assert_non_null(strstr(open,
		"postern_queue_time_seconds_bucket{le=\"+Inf\"} 3\n"
		"postern_queue_time_seconds_sum 1.500\npostern_queue_time_seconds_count 3\n"));
	assert_string_equal(open + strlen(open) - 6, "# EOF\n");
	const char *text = written(METRICS_TEXT);
	assert_non_null(strstr(text, "# TYPE postern_refused_total counter\n"));
	assert_non_null(strstr(text, "# TYPE postern_build_info gauge\n"));
	assert_null(strstr(text, "EOF"));
}

/* What could not be read is not told as 0. */
static void
test_missing(void **state)
{
	(void)state;
	f = (struct figures){ .counted = false };
	const char *text = written(METRICS_TEXT);
	assert_non_null(strstr(text, "postern_counters_readable 0\n"));
	assert_non_null(strstr(text, "postern_queue_readable 0\n"));
	assert_null(strstr(text, "postern_delivered"));
	assert_null(strstr(text, "postern_queue_messages"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

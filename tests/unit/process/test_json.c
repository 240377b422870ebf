/* json: a line is valid JSON whatever it is made of. */
#include "tests/unit/unit.h"

#include <string.h>
#include <syslog.h>

#include "process/json.h"

/* What stands behind time, level, program and pid. */
static const char *
rest_of(const char *line)
{
	const char *pid = strstr(line, ",\"pid\":");
	assert_non_null(pid);
	return pid + 7 + strspn(pid + 7, "0123456789");
}

static void
test_line(void **state)
{
	(void)state;
	char out[1024];
	const struct log_fields f = { .event = "accepted", .size = "12", .sender = "a@b.example" };
	size_t n = json_line(LOG_NOTICE, &f, "smtpd", "a text", out, sizeof(out));
	assert_int_equal(n, strlen(out));
	assert_memory_equal(out, "{\"time\":\"2", 10);
	assert_int_equal(strcspn(out + 9, "\""), strlen("2026-11-30T09:10:11.123456Z"));
	assert_non_null(strstr(out, "Z\",\"level\":\"notice\",\"program\":\"smtpd\",\"pid\":"));
	assert_string_equal(rest_of(out),
		",\"event\":\"accepted\",\"sender\":\"a@b.example\",\"size\":12,"
		"\"message\":\"a text\"}");
}

static void
test_escapes(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "", "" },
		{ "plain ~", "plain ~" },
		{ "\"", "\\\"" },
		{ "\\x0d", "\\\\x0d" },
		{ "a\nb\tc\x01", "a\\\\x0ab\\\\x09c\\\\x01" },
		{ "\x7f\xc3\xa4\xff", "\\\\x7f\\\\xc3\\\\xa4\\\\xff" },
		{ "</script>\"}]", "</script>\\\"}]" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[1024], want[256];
		const struct log_fields f = { .command = rows[i].in };
		(void)json_line(LOG_INFO, &f, "p", rows[i].in, out, sizeof(out));
		snprintf(want, sizeof(want), ",\"command\":\"%s\",\"message\":\"%s\"}",
			rows[i].want, rows[i].want);
		assert_string_equal(rest_of(out), want);
	}
}

/* What is no number is no number of JSON either. */
static void
test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "0", "0" },
		{ "12", "12" },
		{ "0.500", "0.500" },
		{ "12.", "\"12.\"" },
		{ ".5", "\".5\"" },
		{ "-1", "\"-1\"" },
		{ "007", "\"007\"" },
		{ "", "\"\"" },
		{ "1e5", "\"1e5\"" },
		{ "1.2.3", "\"1.2.3\"" },
		{ "1}", "\"1}\"" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[1024], want[256];
		const struct log_fields f = { .size = rows[i].in };
		(void)json_line(LOG_INFO, &f, "p", "", out, sizeof(out));
		snprintf(want, sizeof(want), ",\"size\":%s,\"message\":\"\"}", rows[i].want);
		assert_string_equal(rest_of(out), want);
	}
}

/* With any room at all: the line is whole, and a value is whole or not there. */
static void
test_room(void **state)
{
	(void)state;
	static char lane[121], text[81];
	char pairs[3][160];
	memset(lane, 'y', sizeof(lane) - 1);
	memset(text, 'z', sizeof(text) - 1);
	const struct log_fields f = { .event = "e\"e", .lane = lane };
	snprintf(pairs[0], sizeof(pairs[0]), ",\"event\":\"e\\\"e\"");
	snprintf(pairs[1], sizeof(pairs[1]), ",\"lane\":\"%s\"", lane);
	snprintf(pairs[2], sizeof(pairs[2]), ",\"message\":\"%s\"", text);
	for (size_t room = 180; room < 480; room++) {
		char *out = malloc(room);
		size_t n = json_line(LOG_INFO, &f, "p", text, out, room);
		assert_true(n < room && out[n] == '\0');
		const char *p = rest_of(out);
		for (size_t i = 0; i < 3; i++)
			if (strncmp(p, pairs[i], strlen(pairs[i])) == 0)
				p += strlen(pairs[i]);
		assert_string_equal(p, "}");
		free(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

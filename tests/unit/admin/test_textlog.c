/* textlog: the lines of a message. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "admin/textlog.h"

#define ONE "06ab4c2d8f00xyzabc01"
#define TWO "06ab4c2d8f00xyzabc02"

static const char text[] =
	"relay: lane d.example: connect: refused; next try in 60 s\n" /* before it came */
	"smtpd: " ONE ": accepted from [127.0.0.1]:1, sender <a@sender.example>, 1 recipient\n"
	"relay: lane d.example: connect: refused; next try in 60 s\n"
	"relay: lane other.example: connect: refused; next try in 60 s\n"
	"smtpd: " TWO ": accepted from [127.0.0.1]:1, sender <xa@sender.example>, 1 recipient\n"
	"relay: " ONE ": delivered <u@d.example>, delay 1 s, mx: 250 " TWO "x\n"
	"relay: lane d.example: connect: refused; next try in 60 s\n" /* behind its end */
	"relay: 06AB4C2D8F00XYZABC02: bounced <v@e.example>, delay 1 s, no\n";

static FILE *
opened(void)
{
	return fmemopen((char *)(uintptr_t)text, sizeof(text) - 1, "r");
}

static void
test_of_address(void **state)
{
	struct stories s;
	FILE *f = opened();
	(void)state;
	assert_int_equal(story_begin_all(&s), 0);
	textlog_find(f, span_of("a@sender.example"), &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.v[0].id, ONE);
	textlog_find(f, span_of("v@e.example"), &s);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.v[1].id, TWO);
	story_end_all(&s);
	fclose(f);
}

static void
test_lines(void **state)
{
	struct stories s;
	FILE *f = opened();
	(void)state;
	assert_int_equal(story_begin_all(&s), 0);
	struct story *one = story_of(&s, span_of(ONE)), *two = story_of(&s, span_of(TWO));
	textlog_tell(f, &s);
	assert_int_equal(json_array_size(one->events), 3);
	const char *lane = json_string_value(
		json_object_get(json_array_get(one->events, 1), "lane"));
	assert_string_equal(lane, "d.example");
	assert_int_equal(json_array_size(two->events), 2);
	assert_true(story_has_lane(two, span_of("e.example")));
	assert_false(story_has_lane(one, span_of("sender.example")));
	story_end_all(&s);
	fclose(f);
}

/* What waits hears of its lane until now. */
static void
test_waits(void **state)
{
	struct stories s;
	FILE *f = opened();
	(void)state;
	assert_int_equal(story_begin_all(&s), 0);
	struct story *one = story_of(&s, span_of(ONE));
	one->waits = true;
	textlog_tell(f, &s);
	assert_int_equal(json_array_size(one->events), 4);
	story_end_all(&s);
	fclose(f);
}

static void
test_words(void **state)
{
	struct span rest = span_of("x 06ab4c2d8f00xyzabc01x <" ONE "> " ONE);
	(void)state;
	assert_true(span_eq(textlog_id(&rest), span_of(ONE)));
	assert_true(span_eq(textlog_id(&rest), span_of(ONE)));
	assert_int_equal(textlog_id(&rest).n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_address),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

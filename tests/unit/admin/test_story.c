/* story: what somebody who asks may have meant. */
#include "tests/unit/unit.h"

#include <string.h>

#include "admin/story.h"

#define ID "06ab4c2d8f00xyzabc01"

static const struct {
	const char *asked;
	enum clue clue;
	const char *what, *id;
} rows[] = {
	{ ID, CLUE_ID, ID, ID },
	{ "06AB4C2D8F00XYZABC01", CLUE_ID, "06AB4C2D8F00XYZABC01", ID },
	{ "u@d.example", CLUE_ADDRESS, "u@d.example", "" },
	{ "<u@d.example>", CLUE_MESSAGE_ID, "u@d.example", "" },
	{ "<" ID "@mx.example>", CLUE_MESSAGE_ID, ID "@mx.example", ID },
	{ ID "@mx.example", CLUE_MESSAGE_ID, ID "@mx.example", ID },
	{ "a b@x_y!", CLUE_MESSAGE_ID, "a b@x_y!", "" },
	{ "06ab4c2d8f00xyzabc0", CLUE_NONE, "06ab4c2d8f00xyzabc0", "" },
	{ "06ab4c2d8f00xyzabci1", CLUE_NONE, "06ab4c2d8f00xyzabci1", "" }, /* "i" is no digit */
	{ "", CLUE_NONE, "", "" },
	{ "<>", CLUE_NONE, "", "" },
	{ "<no at>", CLUE_MESSAGE_ID, "no at", "" },
	{ "@d.example", CLUE_NONE, "@d.example", "" },
	{ "nobody", CLUE_NONE, "nobody", "" },
};

static void
test_clues(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char id[ID_SIZE];
		struct span what;
		assert_int_equal(story_clue(rows[i].asked, id, &what), rows[i].clue);
		assert_true(span_eq(what, span_of(rows[i].what)));
		assert_string_equal(id, rows[i].id);
	}
}

/* As many as there is room for, each once. */
static void
test_many(void **state)
{
	struct stories s;
	char id[] = "06ab4c2d8f00xyzabc00";
	(void)state;
	assert_int_equal(story_begin_all(&s), 0);
	assert_null(story_of(&s, span_of("06ab")));
	for (int i = 0; i < STORY_MESSAGES; i++) {
		id[18] = (char)('0' + i / 10);
		id[19] = (char)('0' + i % 10);
		assert_non_null(story_of(&s, span_of(id)));
		assert_ptr_equal(story_of(&s, span_of(id)), story_find(&s, span_of(id)));
	}
	assert_int_equal(s.n, STORY_MESSAGES);
	assert_false(s.more);
	assert_null(story_of(&s, span_of("zzab4c2d8f00xyzabc01")));
	assert_true(s.more);
	story_end_all(&s);
}

static void
test_lanes(void **state)
{
	struct story s = { .lanes = 0 };
	(void)state;
	story_note_lane(&s, span_of("d.example"));
	story_note_lane(&s, span_of("d.example"));
	story_note_lane(&s, span_of("../x"));
	story_note_lane(&s, span_of("route:smart"));
	assert_int_equal(s.lanes, 2);
	assert_true(story_has_lane(&s, span_of("route:smart")));
	assert_false(story_has_lane(&s, span_of("d.exampl")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clues),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_lanes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* veil: a host that repeats what it should not have heard as a command (R70). */
#include "tests/unit/unit.h"

#include "sending/veil.h"

static const struct {
	const char *said, *secret, *want;
} rows[] = {
	{ "535 5.7.8 no", "c2VjcmV0d29yZA==", "535 5.7.8 no" },
	{ "500 what? AUTH PLAIN c2VjcmV0d29yZA==", "c2VjcmV0d29yZA==",
		"500 what? AUTH PLAIN (hidden)" },
	{ "c2VjcmV0d29yZA==", "c2VjcmV0d29yZA==", "(hidden)" },
	{ "501 \"c2VjcmV0d29yZA==\", c2VjcmV0d29yZA==", "c2VjcmV0d29yZA==",
		"501 \"(hidden)\", (hidden)" },
	/* what was cut, by the host or by us */
	{ "500 c2VjcmV0d2...", "c2VjcmV0d29yZA==", "500 (hidden)..." },
	{ "500 ...V0d29yZA==", "c2VjcmV0d29yZA==", "500 ...(hidden)" },
	{ "500 c2VjcmV", "c2VjcmV0d29yZA==", "500 c2VjcmV" },
	{ "500 c2VjcmV-jcmV0d29y.", "c2VjcmV0d29yZA==", "500 c2VjcmV-(hidden)." },
	/* the longest piece, and one behind the other */
	{ "500 aaaaaaaab", "aaaaaaaaxaaaaaaaab", "500 (hidden)" },
	{ "500 12345678abcdefgh", "abcdefghx12345678", "500 (hidden)(hidden)" },
	/* of a short one all counts, and of a very short one nothing */
	{ "535 not hunter2, you", "hunter2", "535 not (hidden), you" },
	{ "535 not hunter, you", "hunter2", "535 not hunter, you" },
	{ "535 this", "this", "535 (hidden)" },
	{ "535 no such user", "no", "535 no such user" },
	{ "535 no such user", "", "535 no such user" },
	{ "", "c2VjcmV0d29yZA==", "" },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf text = buf_new(1000);
		buf_add(&text, guarded(span_of(rows[i].said)));
		veil_cover(&text, guarded(span_of(rows[i].secret)));
		if (!span_eq(buf_span(&text), span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].said, (int)text.n, text.n > 0 ? text.p : "");
		buf_free(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests_name("veil", tests, NULL, NULL);
}

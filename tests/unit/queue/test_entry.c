/* entry: what a line of a message's log says, and what all of them say of the message (K14). */
#include "tests/unit/unit.h"

#include "queue/entry.h"

/* Versions that had no text are read. */
static void
test_read(void **state)
{
	static const struct { const char *text; enum entry_event event; int64_t when, number;
		const char *said; } rows[] = {
		{ "12 soft 34 450 4.2.1 later", ENTRY_PUT_OFF, 12, 34, "450 4.2.1 later" },
		{ "12 soft 34", ENTRY_PUT_OFF, 12, 34, "" },
		{ "12 soft 0", ENTRY_PUT_OFF, 12, 0, "" },
		{ "12 done 1 250 ok", ENTRY_DELIVERED, 12, 1, "250 ok" },
		{ "12 hard 0 550 no", ENTRY_FAILED, 12, 0, "550 no" },
		{ "12 told 3", ENTRY_TOLD, 12, 3, "" },
		{ "12 cut 0", ENTRY_CUT, 12, 0, "" },
		{ "12 late 0", ENTRY_LATE, 12, 0, "" },
		{ "x soft y z", ENTRY_PUT_OFF, -1, -1, "z" },
		{ "12 softer 1", ENTRY_ODD, 12, 1, "" },
		{ "", ENTRY_ODD, -1, -1, "" },
	};
	struct entry line;
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		entry_read(guarded(span_of(rows[i].text)), &line);
		assert_int_equal(line.event, rows[i].event);
		assert_int_equal(line.when, rows[i].when);
		assert_int_equal(line.number, rows[i].number);
		assert_true(span_eq(line.text, span_of(rows[i].said)));
	}
}

/* Of a message with two recipients, the second and the fifth of its file. */
static void
test_apply_all(void **state)
{
	static const struct {
		const char *log;
		int attempts, crashes, without_tls, cuts; /* cuts: and 100 for each that was late */
		unsigned told;
		const char *settled; /* of each: d, f, or w for neither */
	} rows[] = {
		{ "", 0, 0, 0, 0, 0, "ww" },
		{ "12 soft 34 later\n13 soft 40 later\n", 2, 0, 0, 0, 0, "ww" },
		{ "12 soft 0\n13 soft 40\n", 2, 1, 0, 0, 0, "ww" },
		{ "12 no-tls 0\n12 soft 34 later\n13 soft 40 later\n14 no-tls 0\n14 soft 50\n",
			3, 0, 2, 0, 0, "ww" },
		{ "12 cut 0\n12 soft 34 421 bye\n13 cut 0\n13 soft 40 cut 0\n", 2, 0, 0, 2, 0, "ww" },
		{ "12 late 0\n12 soft 34 late 0\n", 1, 0, 0, 100, 0, "ww" },
		{ "12 soft 34 no-tls 0\n13 hard 0 no-tls\n", 1, 0, 0, 0, 0, "ww" }, /* a host's words */
		{ "12 done 1 250 ok\n12 hard 4 550 no\n", 0, 0, 0, 0, 0, "df" },
		{ "12 done 4 250 ok\n12 soft 34 later\n", 1, 0, 0, 0, 0, "wd" },
		{ "12 told 1\n13 told 2\n", 0, 0, 0, 0, TOLD_DELAYED | TOLD_OVERDUE, "ww" },
		{ "12 told 4\n13 told -1\n", 0, 0, 0, 0, 0, "ww" },
		/* nobody of this lane; no number; torn */
		{ "12 done 0 ok\n12 done 2 ok\n12 hard x no\n", 0, 0, 0, 0, 0, "ww" },
		{ "12 soft 34\n12 done 1 250 o", 1, 0, 0, 0, 0, "ww" },
		{ "nonsense\n\n12 softer 1\n12 done 4 ok\n", 0, 0, 0, 0, 0, "wd" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct rcpt rcpt[2] = { { .index = 1, .outcome = SOFT }, { .index = 4, .outcome = SOFT } };
		struct message m = { .fd = -1, .rcpt = rcpt, .n = 2 };
		entry_apply_all(&m, guarded(span_of(rows[i].log)));
		assert_int_equal(m.attempts, rows[i].attempts);
		assert_int_equal(m.crashes, rows[i].crashes);
		assert_int_equal(m.without_tls, rows[i].without_tls);
		assert_int_equal(m.cuts + 100 * m.lates, rows[i].cuts);
		assert_int_equal(m.told, rows[i].told);
		for (int k = 0; k < 2; k++) {
			char want = rows[i].settled[k];
			assert_int_equal(rcpt[k].settled, want != 'w');
			assert_int_equal(rcpt[k].outcome, want == 'd' ? DONE : want == 'f' ? HARD : SOFT);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_apply_all),
	};
	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}

/* extension: what a host announces, by its keyword, and lists of what is not to be used. */
#include "tests/unit/unit.h"

#include "mail/extension.h"

static void
test_named(void **state)
{
	(void)state;
	static const struct { const char *keyword; unsigned want; } rows[] = {
		{ "PIPELINING", CAN_PIPELINING },
		{ "pipelining", CAN_PIPELINING },
		{ "8BITMIME", CAN_8BITMIME },
		{ "SmtpUtf8", CAN_SMTPUTF8 },
		{ "MT-PRIORITY", CAN_PRIORITY },
		{ "STARTTLS", CAN_STARTTLS },
		{ "REQUIRETLS", CAN_REQUIRETLS },
		{ "", 0 },
		{ "SIZ", 0 },
		{ "SIZES", 0 },
		{ "DSN ", 0 },
		{ "XCLIENT", 0 },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(extension_named(guarded(span_of(rows[i].keyword))), rows[i].want);
}

static void
test_list(void **state)
{
	(void)state;
	enum { BEFORE = 1U << 20 };
	static const struct { const char *words; unsigned want; } rows[] = {
		{ "", 0 },
		{ " , \t", 0 },
		{ "DSN", CAN_DSN },
		{ "pipelining, CHUNKING\tdsn,,SIZE", CAN_PIPELINING | CAN_CHUNKING | CAN_DSN | CAN_SIZE },
		{ "DSN DSN", CAN_DSN },
		/* all of it or nothing */
		{ "DSN XCLIENT", BEFORE },
		{ "XCLIENT DSN", BEFORE },
		/* delivery_tls says what becomes of TLS */
		{ "STARTTLS", BEFORE },
		{ "DSN,starttls", BEFORE },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned got = BEFORE;
		bool good = extension_list(guarded(span_of(rows[i].words)), &got);
		assert_int_equal(good, rows[i].want != BEFORE);
		assert_int_equal(got, rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_list),
	};
	return cmocka_run_group_tests_name("extension", tests, NULL, NULL);
}

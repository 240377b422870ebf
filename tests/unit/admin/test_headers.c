/* headers: which message has this Message-ID? */
#include "tests/unit/unit.h"

#include "admin/headers.h"

#define ENVELOPE "Postern-Message: 1\nFrom: <a@b>\nMessage-ID: <no@field>\nStates: w\n\n"

static const struct {
	const char *file, *id;
	bool is;
} rows[] = {
	{ ENVELOPE "Subject: x\r\nMessage-Id: <1@x>\r\n\r\n", "1@x", true },
	{ ENVELOPE "Message-ID:  1@x\r\n", "1@x", true },
	{ ENVELOPE "Message-ID:\r\n <1@x>\r\n\r\n", "1@x", true },
	{ ENVELOPE "Message-ID: <1@x>\r\n\r\n", "1@xy", false },
	{ ENVELOPE "Subject: x\r\n\r\nMessage-ID: <1@x>\r\n", "1@x", false }, /* of the text */
	{ ENVELOPE "Message-ID: <1@x>\r\nMessage-ID: <2@x>\r\n", "2@x", false },
	{ ENVELOPE "Message-ID :\r\n \r\n\t<1@x> (a)\r\n\r\n", "1@x", true },
	{ ENVELOPE "X: y\r\n Message-ID: <1@x>\r\n\r\n", "1@x", false },
	{ ENVELOPE "Message-ID: <1 2@x>\r\n\r\n", "1 2@x", true }, /* as the log has it */
	{ ENVELOPE "Message-ID: <>\r\n\r\n", "", false },
	{ ENVELOPE, "no@field", false },
	{ "", "", false },
	{ ENVELOPE "Message-ID:", "1@x", false },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(headers_have(span_of(rows[i].file), span_of(rows[i].id)),
			rows[i].is);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

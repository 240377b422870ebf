/* encode: base64 of a whole text; what goes into messages is tested with sevenbit. */
#include "tests/unit/unit.h"

#include "lib/cleanup.h"
#include "mail/encode.h"

/* RFC 4648 section 10, and an octet that is no ASCII. */
static const struct {
	const char *in, *want;
} rows[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xfe\xfd", "//79" },
};

static void
test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		auto_buf out = buf_new(100);
		encode_base64_text(&out, guarded(span_of(rows[i].in)));
		assert_int_equal(out.n, strlen(rows[i].want));
		if (out.n > 0)
			assert_memory_equal(out.p, rows[i].want, out.n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_text) };
	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}

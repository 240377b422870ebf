/* alabel: which addresses have a form in ASCII, and which one (D13, L1). */
#include "tests/unit/unit.h"

#include <errno.h>

#include "mail/alabel.h"

static const struct {
	const char *given, *want;
} rows[] = {
	{ "", "" },
	{ "a@b.example", "a@b.example" },
	{ "A@B.Example", "A@B.Example" },
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "a@b\xc3\xbc" "cher.example", "a@xn--bcher-kva.example" },
	{ "\"a@b\"@B\xc3\x9c" "CHER.example", "\"a@b\"@xn--bcher-kva.example" },
	{ "a@fu\xc3\x9f.example", "a@xn--fu-hia.example" }, /* and not fuss.example */
	/* no other form: a local part beyond ASCII, and what is no name */
	{ "\xc3\xa4@b.example", "\xc3\xa4@b.example" },
	{ "\xc3\xa4@b\xc3\xbc" "cher.example", "\xc3\xa4@b\xc3\xbc" "cher.example" },
	{ "a@\xff.example", "a@\xff.example" },
	{ "a@\xc3\xbc..example", "a@\xc3\xbc..example" },
	{ "\xc3\xa4", "\xc3\xa4" },
};

static void
test_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char room[ALABEL_ADDRESS];
		struct span given = guarded(span_of(rows[i].given));
		struct span got = alabel_address(given, room);
		if (!span_eq(got, span_of(rows[i].want)))
			fail_msg("%s: %.*s", rows[i].given, (int)got.n, got.p);
		assert_int_equal(alabel_needs_utf8(given), !span_is_ascii(span_of(rows[i].want)));
	}
}

/* Of a crafted file: what stands before a NUL is another domain. */
static void
test_nul(void **state)
{
	(void)state;
	static const char given[] = "a@\xc3\xbc.example\0.other.example";
	char room[ALABEL_ADDRESS], domain[ALABEL_DOMAIN] = "as it was";
	struct span s = guarded((struct span){ given, sizeof(given) - 1 });
	assert_ptr_equal(alabel_address(s, room).p, s.p);
	assert_int_equal(alabel_domain(span_skip(s, 2), domain), -EINVAL);
	assert_string_equal(domain, "as it was");
}

/* Of a crafted file: longer than any address that is accepted. */
static void
test_long(void **state)
{
	(void)state;
	char long_one[2 * LIMIT_PATH], room[ALABEL_ADDRESS];
	memset(long_one, 'a', sizeof(long_one));
	memcpy(long_one + sizeof(long_one) - 5, "@\xc3\xbc.x", 5);
	for (size_t n = 6; n <= sizeof(long_one); n++) {
		struct span s = guarded(span_skip((struct span){ long_one, sizeof(long_one) },
			sizeof(long_one) - n));
		struct span got = alabel_address(s, room);
		bool fits = n - 5 < LIMIT_PATH;
		assert_int_equal(span_is_ascii(got), fits);
		assert_int_equal(got.n, fits ? n - 4 + strlen("xn--tda.x") : n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests_name("alabel", tests, NULL, NULL);
}

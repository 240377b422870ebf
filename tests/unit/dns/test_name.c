/* name: a name of the DNS as text, however odd, in the room that there is for one (G12). */
#include "tests/unit/unit.h"

#include "dns/name.h"

#define X10 "\1\1\1\1\1\1\1\1\1\1"
#define X50 X10 X10 X10 X10 X10
#define A48 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define A50 A48 "AA"

static const struct {
	const char *name;
	const char *want; /* its beginning */
	size_t length;
} rows[] = {
	{ "", "", 0 },
	{ "\3Foo\7EXAMPLE", "foo.example", 11 },
	{ "\4a.\\b\7example", "a\\.\\\\b.example", 14 },
	{ "\2\x1b[\2\xc3\xbc", "\\027[.\\195\\188", 14 },
	/* as long as a name can be */
	{ "\62" A50 "\62" A50 "\62" A50 "\62" A50 "\60" A48, "aaaa", 252 },
	/* octets that become four: 806 in all, and as many as there is room for */
	{ "\62" X50 "\62" X50 "\62" X50 "\62" X50 "\1a", "\\001\\001", LIMIT_DOMAIN },
	{ "\62" X50 "\14\1\1\1\1\1\1\1\1\1\1\1\1", "\\001\\001", 249 },
};

static void
test_rows(void **state)
{
	(void)state;
	static const char nothing[LIMIT_DOMAIN + 1];
	for (size_t i = 0; i < ROWS(rows); i++) {
		/* Behind this nothing may be read or written. */
		char *out = (char *)(uintptr_t)guarded((struct span){ nothing, sizeof(nothing) }).p;
		memset(out, 'A', sizeof(nothing));
		name_write((dnscc_t *)rows[i].name, out);
		size_t n = strnlen(out, sizeof(nothing));
		if (n != rows[i].length)
			fail_msg("row %zu: %zu: %.255s", i, n, out);
		if (n > 0 && strncmp(out, rows[i].want, strlen(rows[i].want)) != 0)
			fail_msg("row %zu: %.255s", i, out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}

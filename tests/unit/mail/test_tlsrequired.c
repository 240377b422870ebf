/* tlsrequired: TLS-Required: No, and what only looks like it (R85). */
#include "tests/unit/unit.h"

#include "mail/tlsrequired.h"

static const struct {
	const char *text;
	bool want;
} rows[] = {
	{ "TLS-Required: No\r\n\r\n", true },
	{ "Subject: x\r\nTLS-Required: No\r\nTo: y\r\n\r\nx\r\n", true },
	{ "tls-required:no\r\n\r\n", true },
	{ "TLS-REQUIRED: NO\r\n\r\n", true },
	{ "TLS-Required :\tNo \t\r\n\r\n", true },
	{ "TLS-Required:\r\n No\r\n\r\n", true },
	{ "TLS-Required: No\r\n \r\n\r\n", true },
	{ "Subject: x\r\n y\r\nTLS-Required: No\r\n\r\n", true },
	{ "TLS-Required: No\n\nx\n", true },
	{ "", false },
	{ "Subject: x\r\n\r\nx\r\n", false },
	{ "TLS-Required: Yes\r\n\r\n", false },
	{ "TLS-Required:\r\n\r\n", false },
	{ "TLS-Required: N\r\n\r\n", false },
	{ "TLS-Required: N o\r\n\r\n", false },
	{ "TLS-Required: N\r\n o\r\n\r\n", false },
	{ "TLS-Required: Non\r\n\r\n", false },
	{ "TLS-Required: No No\r\n\r\n", false },
	{ "TLS-Required: No\r\n x\r\n\r\n", false },
	{ "TLS-Required: No (really)\r\n\r\n", false },
	{ "TLS-Required: oNo\r\n\r\n", false },
	{ "TLS-Required: No\xc3\xa9\r\n\r\n", false },
	/* once, or it means nothing */
	{ "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false },
	{ "TLS-Required: No\r\nTLS-Required: Yes\r\n\r\n", false },
	{ "TLS-Required: No\r\ntls-required :\r\n\r\n", false },
	/* another field */
	{ "X-TLS-Required: No\r\n\r\n", false },
	{ "TLS-Required-X: No\r\n\r\n", false },
	{ "TLS-Require: No\r\n\r\n", false },
	{ "TLS Required: No\r\n\r\n", false },
	{ "Subject: TLS-Required: No\r\n\r\n", false },
	{ "Subject: x\r\n TLS-Required: No\r\n\r\n", false },
	{ "TLS-Required No\r\n\r\n", false },
	/* another place */
	{ "Subject: x\r\n\r\nTLS-Required: No\r\n", false },
	{ "Subject: x\r\nno field\r\nTLS-Required: No\r\n\r\n", false },
	{ "Subject: x\r\n: y\r\nTLS-Required: No\r\n\r\n", false },
	{ " TLS-Required: No\r\n\r\n", false },
	{ "\r\nTLS-Required: No\r\n\r\n", false },
};

static void
check(size_t i, size_t split)
{
	struct tlsrequired t = { 0 };
	struct span all = guarded(span_of(rows[i].text));
	tlsrequired_feed(&t, (struct span){ all.p, split });
	tlsrequired_feed(&t, span_skip(all, split));
	if (tlsrequired_says_no(&t) != rows[i].want)
		fail_msg("%s, split at %zu", rows[i].text, split);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t split = 0; split <= strlen(rows[i].text); split++)
			check(i, split);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests_name("tlsrequired", tests, NULL, NULL);
}

/* sasl: what a host may ask of our password. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/limits.h"
#include "lib/span.h"
#include "sending/sasl.h"

static char user[] = "us", password[] = "secret";

/* One for a process. */
static struct sasl_library *
open_library(void)
{
	static struct sasl_library *library;
	if (library == NULL)
		library = sasl_library_open();
	assert_non_null(library);
	return library;
}

/* Begins with SCRAM, and hears a challenge that asks for as many rounds. What sasl_step says. */
static int
ask_rounds(const struct sasl_mechanism *m, const char *rounds)
{
	const struct login login = { .user = user, .password = password,
		.library = open_library() };
	struct sasl s;
	struct buf first = buf_new(LIMIT_AUTH_LINE), answer = buf_new(LIMIT_AUTH_LINE);
	char *text, *coded, challenge[512];
	size_t n;
	assert_int_equal(sasl_begin(&s, m, &login, NULL), 0);
	assert_int_equal(sasl_step(&s, (struct span){ "", 0 }, &first), 0);
	assert_int_equal(gsasl_base64_from(first.p, first.n, &text, &n), GSASL_OK);
	const char *nonce = memmem(text, n, ",r=", 3);
	assert_non_null(nonce);
	int k = snprintf(challenge, sizeof(challenge), "r=%.*smore,s=c2FsdA==,i=%s",
		(int)(text + n - nonce - 3), nonce + 3, rounds);
	assert_int_equal(gsasl_base64_to(challenge, (size_t)k, &coded, &n), GSASL_OK);
	int r = sasl_step(&s, span_of(coded), &answer);
	assert_int_equal(r == 0, answer.n > 0);
	sasl_end(&s);
	free(text);
	free(coded);
	buf_free(&first);
	buf_free(&answer);
	return r;
}

/* S1: an answer that costs the host nothing to try words with; and one that costs us hours. */
static void
test_rounds(void **state)
{
	(void)state;
	static const struct {
		const char *rounds;
		int result;
	} rows[] = {
		{ "1", -EACCES },
		{ "4095", -EACCES },
		{ "4096", 0 },
		{ "600000", 0 },
		{ "4096,x=y", 0 },
		{ "4096,i=1", -EACCES },
		{ "4194305", -ERANGE },
		{ "4294967297", -ERANGE }, /* 1, where a number has 32 bits */
		{ "18446744073709551617", -ERANGE },
		{ "", -ERANGE },
		{ "4096x", -ERANGE },
	};
	for (unsigned m = 0; m < SASL_MECHANISMS; m++) {
		const struct sasl_mechanism *how = &sasl_mechanisms[m];
		if (how->binds || !span_istarts(span_of(how->name), span_of("SCRAM-")))
			continue;
		for (size_t i = 0; i < ROWS(rows); i++)
			if (ask_rounds(how, rows[i].rounds) != rows[i].result)
				fail_msg("%s: %s", how->name, rows[i].rounds);
	}
}

/* L43: a password that SCRAM cannot have is no reason not to begin with another mechanism. */
static void
test_passwords(void **state)
{
	(void)state;
	static const struct {
		const char *password;
		bool fits;
	} rows[] = {
		{ "secret", true },
		{ "pass word,=", true },
		{ "\xe2\x82\xac", true },       /* the Euro, of 1998 */
		{ "\xe1\xba\x9e", false },      /* the capital of the German sharp s, of 2008 */
		{ "\xf0\x9f\x98\x80", false },  /* a face */
		{ "a\xd7\xa9", false },         /* left to right, and right to left */
		{ "\xff", false },              /* no UTF-8 */
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		for (unsigned m = 0; m < SASL_MECHANISMS; m++) {
			char text[16];
			snprintf(text, sizeof(text), "%s", rows[i].password);
			const struct login login = { .user = user, .password = text,
				.library = open_library() };
			const struct sasl_mechanism *how = &sasl_mechanisms[m];
			bool scram = span_istarts(span_of(how->name), span_of("SCRAM-"));
			struct sasl s;
			if (how->binds)
				continue;
			int want = scram && !rows[i].fits ? -EINVAL : 0;
			if (sasl_begin(&s, how, &login, NULL) != want)
				fail_msg("%s: %s", how->name, rows[i].password);
			sasl_end(&s);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

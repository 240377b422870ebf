/*
 * password: whose it is by the file, and what a name that is not there, or has no secret, looks like
 * (M11, R70).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "secrets/password.h"

/* Both secrets are of "pencil". */
static char sha256[USERS_SECRET], text[4 * USERS_SECRET];
#define CRYPT "$1$salt$J1PqSTZGFL2Db3AIeaGdZ0"

static struct password_file
file_of(bool exact)
{
	return (struct password_file){ span_of(text), exact };
}

static struct user
user_of(const char *name)
{
	struct user u = { 0 };
	assert_true(users_find(span_of(text), span_of(name), false, &u));
	return u;
}

static int
start(void **state)
{
	(void)state;
	if (!secret_make(GSASL_HASH_SHA256, "pencil", sha256))
		return -1;
	snprintf(text, sizeof(text), "scram:{SCRAM-SHA-256}%s\ncrypt:%s\nboth:%s {SCRAM-SHA-256}%s\n"
		"none:*\nodd:{SHA}x\nspoilt:{SCRAM-SHA-256}4096,x\n", sha256, CRYPT, CRYPT, sha256);
	return 0;
}

static void
test_check(void **state)
{
	static const struct {
		const char *user, *password;
		int want;
		const char *kind;
	} rows[] = {
		{ "scram", "pencil", 1, "{SCRAM-SHA-256}" },
		{ "scram", "Pencil", 0, "{SCRAM-SHA-256}" },
		{ "scram", "", 0, "{SCRAM-SHA-256}" },
		{ "crypt", "pencil", 1, "crypt" },
		{ "crypt", "pencils", 0, "crypt" },
		{ "both", "pencil", 1, "{SCRAM-SHA-256}" },
		{ "both", "x", 0, "{SCRAM-SHA-256}" },
		{ "none", "*", -ENOENT, NULL },
		{ "odd", "x", -ENOENT, NULL },
		{ "spoilt", "pencil", -EINVAL, "{SCRAM-SHA-256}" },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *kind = NULL;
		struct user u = user_of(rows[i].user);
		int got = password_check(&u, rows[i].password, &kind);
		if (got != rows[i].want)
			fail_msg("%s, %s: %d", rows[i].user, rows[i].password, got);
		if (rows[i].kind == NULL)
			assert_null(kind);
		else
			assert_string_equal(kind, rows[i].kind);
	}
}

/* What a session was told; NULL: nothing. */
static void
expect(Gsasl_session *s, size_t row, Gsasl_property what, const char *want)
{
	const char *got = gsasl_property_fast(s, what);
	if ((got != NULL) != (want != NULL) || (got != NULL && strcmp(got, want) != 0))
		fail_msg("row %zu: %s", row, got != NULL ? got : "nothing");
}

/* What a response of PLAIN holds, in base64; the password as it came (L46). */
static void
test_plain(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n;
		int want;
		const char *whom, *name, *password;
	} rows[] = {
#define ROW(text, want, ...) { text, sizeof(text) - 1, want, __VA_ARGS__ }
		ROW("\0joe\0secret", GSASL_OK, NULL, "joe", "secret"),
		ROW("jim\0joe\0secret", GSASL_OK, "jim", "joe", "secret"),
		ROW("\0joe\0a\xc2\xb2\xf0\x9f\x98\x80", GSASL_OK, NULL, "joe",
			"a\xc2\xb2\xf0\x9f\x98\x80"),
		ROW("\0joe\0\xfc", GSASL_OK, NULL, "joe", "\xfc"),
		ROW("\0joe\0", GSASL_OK, NULL, "joe", ""),
		ROW("\0\0x", GSASL_OK, NULL, "", "x"),
		/* names are prepared where they can be */
		ROW("\0ju\xcc\x88rgen\0x", GSASL_OK, NULL, "j\xc3\xbcrgen", "x"),
		ROW("\0j\xfcrgen\0x", GSASL_OK, NULL, "j\xfcrgen", "x"),
		ROW("", GSASL_MECHANISM_PARSE_ERROR, NULL, NULL, NULL),
		ROW("joe", GSASL_MECHANISM_PARSE_ERROR, NULL, NULL, NULL),
		ROW("\0joe", GSASL_MECHANISM_PARSE_ERROR, NULL, NULL, NULL),
		ROW("\0joe\0a\0b", GSASL_MECHANISM_PARSE_ERROR, NULL, NULL, NULL),
		ROW("\0joe\0secret\0", GSASL_MECHANISM_PARSE_ERROR, NULL, NULL, NULL),
		ROW("\0joe\r\n\0secret", GSASL_AUTHENTICATION_ERROR, NULL, NULL, NULL),
		ROW("\t\0joe\0secret", GSASL_AUTHENTICATION_ERROR, NULL, NULL, NULL),
		ROW("\0joe\0\x7f", GSASL_AUTHENTICATION_ERROR, NULL, NULL, NULL),
#undef ROW
	};
	Gsasl *ctx;
	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		Gsasl_session *s;
		char *coded;
		size_t n;
		assert_int_equal(gsasl_server_start(ctx, "PLAIN", &s), GSASL_OK);
		assert_int_equal(gsasl_base64_to(rows[i].text, rows[i].n, &coded, &n), GSASL_OK);
		if (password_of_plain(s, coded) != rows[i].want)
			fail_msg("row %zu", i);
		expect(s, i, GSASL_AUTHZID, rows[i].whom);
		expect(s, i, GSASL_AUTHID, rows[i].name);
		expect(s, i, GSASL_PASSWORD, rows[i].password);
		free(coded);
		gsasl_finish(s);
	}
	Gsasl_session *s;
	assert_int_equal(gsasl_server_start(ctx, "PLAIN", &s), GSASL_OK);
	assert_int_equal(password_of_plain(s, "AGpvZQB"), GSASL_BASE64_ERROR);
	assert_int_equal(password_of_plain(s, "!"), GSASL_BASE64_ERROR);
	gsasl_finish(s);
	gsasl_done(ctx);
}

/* Is it the user's own? What a client sees of it, rounds and salt, in `seen`. */
static bool
look(bool exact, const char *user, const char *name, Gsasl_hash hash, char seen[static USERS_SECRET])
{
	const struct password_file f = file_of(exact);
	struct user u = { 0 };
	struct scram parts;
	char secret[USERS_SECRET];
	if (user != NULL)
		u = user_of(user);
	bool own = password_scram(&f, user != NULL ? &u : NULL, name, hash, secret);
	assert_true(secret_split(secret, hash, &parts));
	snprintf(seen, USERS_SECRET, "%s,%s", parts.iterations, parts.salt);
	return own;
}

/* A user's own secret; or one that is made up, and looks the same for a name each time. */
static void
test_scram(void **state)
{
	char own[USERS_SECRET], first[USERS_SECRET], other[USERS_SECRET];
	(void)state;
	assert_true(look(false, "scram", "scram", GSASL_HASH_SHA256, own));
	assert_int_equal(strncmp(own, sha256, strlen(own)), 0);
	assert_false(look(false, "scram", "scram", GSASL_HASH_SHA1, other)); /* it has none of that */

	assert_false(look(false, NULL, "nobody", GSASL_HASH_SHA256, first));
	assert_false(look(false, NULL, "nobody", GSASL_HASH_SHA256, other));
	assert_string_equal(first, other);
	assert_false(look(false, NULL, "somebody", GSASL_HASH_SHA256, other));
	assert_string_not_equal(first, other);
	assert_false(look(false, "none", "none", GSASL_HASH_SHA256, other));
	assert_string_not_equal(first, other);
	/* as many rounds as the file has, or that would tell */
	assert_int_equal(strtoul(first, NULL, 10), strtoul(sha256, NULL, 10));

	/* names that are one user's look like one; where letter case counts, like two */
	assert_false(look(false, NULL, "NoBody", GSASL_HASH_SHA256, other));
	assert_string_equal(first, other);
	assert_false(look(true, NULL, "NoBody", GSASL_HASH_SHA256, other));
	assert_string_not_equal(first, other);
	assert_false(look(true, NULL, "nobody", GSASL_HASH_SHA256, other));
	assert_string_equal(first, other);
}

/* Nobody has the password of a secret that was made up. */
static void
test_pretended(void **state)
{
	static const char *const passwords[] = { "", "pencil", "nobody", "*" };
	const struct password_file f = file_of(false);
	(void)state;
	for (size_t i = 0; i < ROWS(passwords); i++) {
		char secret[USERS_SECRET];
		assert_false(password_scram(&f, NULL, "nobody", GSASL_HASH_SHA256, secret));
		assert_int_equal(secret_check_scram(secret, passwords[i]), 0);
		password_check_nobody(&f, "nobody", passwords[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_pretended),
	};
	return cmocka_run_group_tests_name("password", tests, start, NULL);
}

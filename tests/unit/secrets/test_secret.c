/*
 * secret: whose password it is, by each kind of secret; one octet more or less is another (M1,
 * R70).
 */
#include "tests/unit/unit.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "secrets/secret.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
scram(const char *secret, const char *password)
{
	char copy[USERS_SECRET];
	snprintf(copy, sizeof(copy), "%s", secret);
	return secret_check_scram(copy, password);
}

/* Where a part of "iterations,salt,stored,server" begins. */
static char *
part(char *secret, int n)
{
	while (n-- > 0)
		secret = strchr(secret, ',') + 1;
	return secret;
}

static void
test_scram(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "penci", "pencil ", "pencik", "Pencil", "xencil" };
	char secret[USERS_SECRET];
	assert_true(secret_make(GSASL_HASH_SHA256, "pencil", secret));
	assert_int_equal(scram(secret, "pencil"), 1);
	for (size_t i = 0; i < ROWS(wrong); i++)
		assert_int_equal(scram(secret, wrong[i]), 0);
	char *stored = part(secret, 2);
	/* each of its 32 octets in turn: a bit that is one of them */
	for (size_t i = 0; i < 43; i++) {
		char was = stored[i];
		stored[i] = alphabet[(strchr(alphabet, was) - alphabet) ^ 0x20];
		if (scram(secret, "pencil") != 0)
			fail_msg("%zu", i);
		stored[i] = was;
	}
	char *salt = part(secret, 1); /* another one, that is base64 too */
	*salt = alphabet[(strchr(alphabet, *salt) - alphabet) ^ 1];
	assert_int_equal(scram(secret, "pencil"), 0);
}

/* What looks alike is one password (RFC 4013). */
static void
test_prepared(void **state)
{
	(void)state;
	char secret[USERS_SECRET];
	assert_true(secret_make(GSASL_HASH_SHA256, "IX", secret));
	assert_int_equal(scram(secret, "\xe2\x85\xa8"), 1);
	assert_int_equal(scram(secret, "\x07"), 0); /* no password at all */
}

static void
test_crypt(void **state)
{
	(void)state;
	static const char *const kinds[] = { "$6$saltsaltsalt$", "$5$saltsaltsalt$", "$1$saltsalt$" };
	static const char *const bad[] = { "", "*", "*0", "$", "$6$", "$9$salt$hash", "x" };
	for (size_t i = 0; i < ROWS(kinds); i++) {
		struct crypt_data data = { 0 };
		char secret[USERS_SECRET];
		const char *made = crypt_r("pencil", kinds[i], &data);
		assert_non_null(made);
		snprintf(secret, sizeof(secret), "%s", made);
		size_t n = strlen(secret);
		assert_int_equal(secret_check_crypt(secret, "pencil"), 1);
		assert_int_equal(secret_check_crypt(secret, "pencil "), 0);
		assert_int_equal(secret_check_crypt(secret, ""), 0);
		for (size_t at = strlen(kinds[i]); at < n; at++) {
			char was = secret[at];
			secret[at] = was == 'x' ? 'y' : 'x';
			if (secret_check_crypt(secret, "pencil") == 1)
				fail_msg("%s at %zu", kinds[i], at);
			secret[at] = was;
		}
		secret[n - 1] = '\0'; /* cut */
		assert_int_equal(secret_check_crypt(secret, "pencil"), -EINVAL);
	}
	for (size_t i = 0; i < ROWS(bad); i++)
		if (secret_check_crypt(bad[i], "pencil") != -EINVAL)
			fail_msg("%s", bad[i]);
}

/* What the secret was made of, and what was typed: crypt(5) takes octets, whatever they mean. */
static void
test_crypt_of_octets(void **state)
{
	(void)state;
	static const struct {
		const char *password, *typed;
		int want;
	} rows[] = {
		{ "a\xc2\xb2", "a\xc2\xb2", 1 },         /* superscript two, ... */
		{ "a\xc2\xb2", "a2", 0 },
		{ "a2", "a\xc2\xb2", 1 },                 /* ... which is prepared as a two */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", 1 }, /* of no table */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x81", 0 },
		{ "\xfc", "\xfc", 1 },                    /* no UTF-8 */
		{ "u\xcc\x88", "\xc3\xbc", 0 },
		{ "\xc3\xbc", "u\xcc\x88", 1 },          /* in two pieces */
		{ "", "", 1 },
	};
	static char secret[USERS_SECRET], much[CRYPT_MAX_PASSPHRASE_SIZE + 1];
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct crypt_data data = { 0 };
		snprintf(secret, sizeof(secret), "%s",
			crypt_r(rows[i].password, "$1$saltsalt$", &data));
		if (secret_check_crypt(secret, rows[i].typed) != rows[i].want)
			fail_msg("row %zu", i);
	}
	/* Too much for crypt(5): wrong, and not a word about the secret; here of nothing. */
	memset(much, 'x', CRYPT_MAX_PASSPHRASE_SIZE);
	assert_int_equal(secret_check_crypt(secret, much), 0);
	much[CRYPT_MAX_PASSPHRASE_SIZE - 1] = '\0';
	assert_int_equal(secret_check_crypt(secret, much), 0);
}

#define SALT    "c2FsdHNhbHQ="
#define KEY32   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY31   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define KEY20   "AAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const struct {
	const char *secret;
	Gsasl_hash hash;
	bool want;
} splits[] = {
	{ "4096," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, true },
	{ "4096," SALT "," KEY20 "," KEY20, GSASL_HASH_SHA1, true },
	{ "1," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, true },
	{ "4096," SALT "," KEY20 "," KEY20, GSASL_HASH_SHA256, false },
	{ "4096," SALT "," KEY31 "," KEY32, GSASL_HASH_SHA256, false }, /* cut by an editor */
	{ "4096," SALT "," KEY32 "," KEY31, GSASL_HASH_SHA256, false },
	{ "4096," SALT "," KEY32 ",", GSASL_HASH_SHA256, false },
	{ "4096," SALT "," KEY32, GSASL_HASH_SHA256, false },
	{ "4096,," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "4096,!," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "0," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "000," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "-1," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "4096x," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, false },
	{ "10000000," SALT "," KEY32 "," KEY32, GSASL_HASH_SHA256, false }, /* hours of work */
	{ "", GSASL_HASH_SHA256, false },
};

static void
test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(splits); i++) {
		char secret[USERS_SECRET];
		struct scram parts = { 0 };
		snprintf(secret, sizeof(secret), "%s", splits[i].secret);
		if (secret_split(secret, splits[i].hash, &parts) != splits[i].want)
			fail_msg("%s", splits[i].secret);
		if (splits[i].want)
			assert_string_equal(parts.salt, SALT);
		snprintf(secret, sizeof(secret), "%s", splits[i].secret);
		if (!splits[i].want && splits[i].hash == GSASL_HASH_SHA256)
			assert_int_equal(secret_check_scram(secret, "pencil"), -EINVAL);
	}
}

/*
 * For a name that nobody has: always the same salt, as if there were a secret, and none that is
 * right.
 */
static void
test_pretended(void **state)
{
	(void)state;
	char a[USERS_SECRET], again[USERS_SECRET], b[USERS_SECRET], other[USERS_SECRET];
	struct span seed = span_of("of this site");
	secret_pretend(seed, "", GSASL_HASH_SHA256, "a", a);
	secret_pretend(seed, "", GSASL_HASH_SHA256, "a", again);
	secret_pretend(seed, "", GSASL_HASH_SHA256, "b", b);
	secret_pretend(span_of("of another"), "", GSASL_HASH_SHA256, "a", other);
	size_t salt = (size_t)(part(a, 2) - a);
	assert_memory_equal(a, again, salt);
	assert_memory_not_equal(a, b, salt);
	assert_memory_not_equal(a, other, salt);
	assert_string_not_equal(part(a, 2), part(again, 2));
	assert_int_equal(scram(a, ""), 0);
	char real[USERS_SECRET]; /* of one form, and as much work */
	assert_true(secret_make(GSASL_HASH_SHA256, "pencil", real));
	assert_int_equal(strlen(a), strlen(real));
	assert_int_equal(strtoul(a, NULL, 10), strtoul(real, NULL, 10));
}

/* 32 octets, in base64. */
#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* As somebody else's program writes them, where the file has such: what it shows tells nothing. */
static void
test_pretended_like(void **state)
{
	(void)state;
	static const struct {
		const char *like, *rounds;
		size_t salt;
	} rows[] = {
		{ "", "10000", 16 },
		{ "not a secret", "10000", 16 },
		{ "4096,c2FsdCBvZiBtYW55," KEY "," KEY, "4096", 12 },
		{ "600000,c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0," KEY "," KEY, "600000", 24 },
		{ "1,eA==," KEY "," KEY, "1", 1 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char secret[USERS_SECRET], *salt = NULL;
		struct scram parts;
		size_t n = 0;
		secret_pretend(span_of("seed"), rows[i].like, GSASL_HASH_SHA256, "a", secret);
		assert_true(secret_split(secret, GSASL_HASH_SHA256, &parts));
		assert_string_equal(parts.iterations, rows[i].rounds);
		assert_int_equal(gsasl_base64_from(parts.salt, strlen(parts.salt), &salt, &n),
			GSASL_OK);
		assert_int_equal(n, rows[i].salt);
		free(salt);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_crypt),
		cmocka_unit_test(test_crypt_of_octets),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_pretended),
		cmocka_unit_test(test_pretended_like),
	};
	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}

/*
 * proof: who is believed, and what SCRAM is given, of those who are there and those who are not
 * (M11, R70).
 */
#include "tests/unit/helpers/proving.h"

static Gsasl_session *
begin(const char *mechanism)
{
	Gsasl_session *s;
	begin_claim(mechanism);
	assert_int_equal(gsasl_server_start(library, mechanism, &s), GSASL_OK);
	return s;
}

/* ---- passwords ------------------------------------------------------------------------------- */

static void
test_password(void **state)
{
	static const struct {
		const char *name, *password; /* NULL: none is given */
		bool known, trouble;
	} rows[] = {
		{ "joe", "pencil", true, false },
		{ "JOE", "pencil", true, false },
		{ "joe", "Pencil", false, false },
		{ "joe", "", false, false },
		{ "max", "pencil", true, false },
		{ "nobody", "pencil", false, false },
		{ "locked", "*", false, false },
		{ "odd", "x", false, false },
		{ "spoilt", "pencil", false, true },
		{ "joe", NULL, false, false },
		{ NULL, "pencil", false, false },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		Gsasl_session *s = begin("PLAIN");
		if (rows[i].name != NULL)
			gsasl_property_set(s, GSASL_AUTHID, rows[i].name);
		if (rows[i].password != NULL)
			gsasl_property_set(s, GSASL_PASSWORD, rows[i].password);
		int r = proof_callback(library, s, GSASL_VALIDATE_SIMPLE);
		if (r != (rows[i].known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR) ||
			c.known != rows[i].known || c.trouble != rows[i].trouble)
			fail_msg("row %zu: %d, %d, %d", i, r, c.known, c.trouble);
		gsasl_finish(s);
	}
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* The name in one that was verified is not enough: it has to be a user's. */
static void
test_certificate(void **state)
{
	static const struct {
		const char *client;
		bool known;
	} rows[] = { { "joe", true }, { "JOE", true }, { "nobody", false }, { "", false } };
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		Gsasl_session *s = begin("EXTERNAL");
		snprintf(c.hello.client, sizeof(c.hello.client), "%s", rows[i].client);
		assert_int_equal(proof_callback(library, s, GSASL_VALIDATE_EXTERNAL),
			rows[i].known ? GSASL_OK : GSASL_AUTHENTICATION_ERROR);
		gsasl_finish(s);
	}
}

/* ---- SCRAM ----------------------------------------------------------------------------------- */

/* What a client sees of it: rounds and salt. */
static void
cut_unseen(char *secret)
{
	char *salt = strchr(secret, ',');
	assert_non_null(salt);
	salt = strchr(salt + 1, ',');
	assert_non_null(salt);
	*salt = '\0';
}

/* What it is given for this name, as it stands in the file; "": nothing. */
static void
give_scram(const char *mechanism, const char *name, char out[static USERS_SECRET])
{
	static const Gsasl_property parts[] = { GSASL_SCRAM_ITER, GSASL_SCRAM_SALT,
		GSASL_SCRAM_STOREDKEY, GSASL_SCRAM_SERVERKEY };
	size_t n = 0;
	Gsasl_session *s = begin(mechanism);
	gsasl_property_set(s, GSASL_AUTHID, name);
	out[0] = '\0';
	for (size_t i = 0; i < ROWS(parts); i++)
		if (proof_callback(library, s, parts[i]) == GSASL_OK)
			n += (size_t)snprintf(out + n, USERS_SECRET - n, "%s%s", n > 0 ? "," : "",
				gsasl_property_fast(s, parts[i]));
	gsasl_finish(s);
}

static void
test_scram(void **state)
{
	char got[USERS_SECRET], again[USERS_SECRET], sha1[USERS_SECRET];
	(void)state;
	give_scram("SCRAM-SHA-256", "joe", got);
	assert_string_equal(got, sha256);
	assert_true(c.known && !c.trouble);
	give_scram("SCRAM-SHA-256-PLUS", "JOE", got);
	assert_string_equal(got, sha256);
	/* a secret of another hash is none; so is that of crypt */
	give_scram("SCRAM-SHA-1", "joe", sha1);
	assert_false(c.known);
	assert_true(sha1[0] != '\0' && strcmp(sha1, sha256) != 0);
	give_scram("SCRAM-SHA-256", "max", got);
	assert_false(c.known);
	assert_true(got[0] != '\0');
	/* who is not there looks like who is, and the same each time */
	give_scram("SCRAM-SHA-256", "nobody", got);
	give_scram("SCRAM-SHA-256", "nobody", again);
	assert_false(c.known || c.trouble);
	assert_int_equal(strlen(got), strlen(sha256));
	cut_unseen(got);
	cut_unseen(again);
	assert_string_equal(got, again);
	give_scram("SCRAM-SHA-256", "somebody", again);
	cut_unseen(again);
	assert_string_not_equal(got, again);
}

/* A line of the file that is spoilt is no fault of the client's: none of the parts is given. */
static void
test_scram_that_is_spoilt(void **state)
{
	char got[USERS_SECRET];
	(void)state;
	give_scram("SCRAM-SHA-256", "spoilt", got);
	assert_string_equal(got, "");
	assert_true(c.trouble && !c.known);
}

/* ---- what it is bound to --------------------------------------------------------------------- */

static void
test_binding(void **state)
{
	static const struct {
		bool safe, has_unique;
		Gsasl_property wanted;
		char octet; /* of which it is made; 0: none is given */
	} rows[] = {
		{ true, true, GSASL_CB_TLS_EXPORTER, 'e' },
		{ true, false, GSASL_CB_TLS_EXPORTER, 'e' },
		{ true, true, GSASL_CB_TLS_UNIQUE, 'u' },
		{ true, false, GSASL_CB_TLS_UNIQUE, 0 },
		{ false, true, GSASL_CB_TLS_EXPORTER, 0 },
		{ false, true, GSASL_CB_TLS_UNIQUE, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		Gsasl_session *s = begin("SCRAM-SHA-256-PLUS");
		struct tlsbinding *b = &c.hello.binding;
		*b = (struct tlsbinding){ .safe = rows[i].safe, .has_unique = rows[i].has_unique };
		memset(b->exporter, 'e', sizeof(b->exporter));
		memset(b->unique, 'u', sizeof(b->unique));
		int r = proof_callback(library, s, rows[i].wanted);
		assert_int_equal(r, rows[i].octet != 0 ? GSASL_OK : GSASL_NO_CALLBACK);
		const char *text = gsasl_property_fast(s, rows[i].wanted);
		char *plain = NULL;
		size_t n = 0;
		if (rows[i].octet != 0) {
			assert_int_equal(gsasl_base64_from(text, strlen(text), &plain, &n),
				GSASL_OK);
			assert_int_equal(n, rows[i].octet == 'e' ? TLS_EXPORTER : TLS_UNIQUE);
			assert_int_equal(plain[n - 1], rows[i].octet);
		}
		gsasl_free(plain);
		gsasl_finish(s);
	}
}

static void
test_other_questions(void **state)
{
	(void)state;
	Gsasl_session *s = begin("PLAIN");
	assert_int_equal(proof_callback(library, s, GSASL_REALM), GSASL_NO_CALLBACK);
	assert_int_equal(proof_callback(library, s, GSASL_VALIDATE_ANONYMOUS), GSASL_NO_CALLBACK);
	gsasl_finish(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_that_is_spoilt),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_other_questions),
	};
	return cmocka_run_group_tests_name("proof", tests, start, stop);
}

/* credential: names of credentials, and where they are. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "conf/credential.h"

#define SIXTY_FOUR "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
test_named(void **state)
{
	static const struct {
		const char *value;
		bool credential, variable;
	} rows[] = {
		{ "credential:key", true, false },
		{ "credential:key.pem", true, false },
		{ "credential:", false, false },
		{ "credential:.", false, false },
		{ "credential:..", false, false },
		{ "credential:../key", false, false },
		{ "credential:a/b", false, false },
		{ "Credential:key", false, false },
		{ "environment:x", false, true },
		{ "environment:aZ_09", false, true },
		{ "environment:" SIXTY_FOUR, false, true },
		{ "environment:" SIXTY_FOUR "x", false, false },
		{ "environment:", false, false },
		{ "environment:a-b", false, false },
		{ "environment:a=b", false, false },
		{ "Environment:x", false, false },
		{ "key", false, false },
		{ "", false, false },
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(credential_named(span_of(rows[i].value)), rows[i].credential);
		assert_int_equal(credential_variable_named(span_of(rows[i].value)), rows[i].variable);
	}
}

static void
test_variable(void **state)
{
	(void)state;
	setenv("POSTERN_SECRET_" SIXTY_FOUR, "the secret", 1);
	assert_string_equal(credential_variable("environment:" SIXTY_FOUR), "the secret");
	assert_null(credential_variable("environment:other"));
}

static void
test_environment(void **state)
{
	char other[] = "XCREDENTIALS_DIRECTORY=/x", relative[] = "CREDENTIALS_DIRECTORY=x";
	char empty[] = "CREDENTIALS_DIRECTORY=", good[] = "CREDENTIALS_DIRECTORY=/run/c";
	char *none[] = { other, relative, empty, NULL }, *one[] = { other, good, NULL };
	(void)state;
	assert_null(credential_environment(none));
	assert_ptr_equal(credential_environment(one), good);
}

static void
test_find(void **state)
{
	struct conf c = { .tls = { .certificate = strdup("/c.pem"), .key = strdup("credential:key") },
		.auth.users = strdup("credential:users") };
	auto_buf why = buf_new(200);
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(credential_find(&c, &why), -EINVAL);
	assert_true(why.n > 0);
	assert_string_equal(c.tls.key, "credential:key");
	setenv("CREDENTIALS_DIRECTORY", "/run/c", 1);
	assert_int_equal(credential_find(&c, &why), 0);
	assert_string_equal(c.tls.certificate, "/c.pem");
	assert_string_equal(c.tls.key, "/run/c/key");
	assert_string_equal(c.auth.users, "/run/c/users");
	conf_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_variable),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_find),
	};
	return cmocka_run_group_tests_name("credential", tests, NULL, NULL);
}

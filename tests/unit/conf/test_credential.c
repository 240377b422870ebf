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
test_path(void **state)
{
	char *path = strdup("/c.pem"), *named = strdup("credential:key"), *none = NULL;
	auto_buf why = buf_new(200);
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(credential_path(&named, &why), -EINVAL);
	assert_true(why.n > 0);
	assert_string_equal(named, "credential:key");
	assert_true(credential_hidden(span_of(named)));
	assert_false(credential_hidden(span_of(path)));
	setenv("CREDENTIALS_DIRECTORY", "/run/c", 1);
	assert_false(credential_hidden(span_of(named)));
	assert_int_equal(credential_path(&path, &why), 0);
	assert_int_equal(credential_path(&named, &why), 0);
	assert_int_equal(credential_path(&none, &why), 0);
	assert_string_equal(path, "/c.pem");
	assert_string_equal(named, "/run/c/key");
	assert_null(none);
	free(path);
	free(named);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_variable),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_path),
	};
	return cmocka_run_group_tests_name("credential", tests, NULL, NULL);
}

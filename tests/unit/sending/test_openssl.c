/* openssl: what is said of a library that lacks a function, and what there is otherwise. */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <string.h>

#include "sending/openssl.h"

void *__real_dlsym(void *so, const char *name);
void *__wrap_dlsym(void *so, const char *name);

/* The first and one in the middle are not there: many calls follow. */
void *
__wrap_dlsym(void *so, const char *name)
{
	if (strcmp(name, "ASN1_get_object") == 0)
		return __real_dlsym(so, "first_that_lacks");
	if (strcmp(name, "SSL_new") == 0)
		return __real_dlsym(so, "another_that_lacks");
	return __real_dlsym(so, name);
}

static void
test_function_that_lacks(void **state)
{
	(void)state;
	const char *missing = openssl_load();
	assert_non_null(missing);
	assert_non_null(strstr(missing, "first_that_lacks"));
	/* It stays, whatever is looked for later. */
	assert_null(dlopen("/nonexistent/library", RTLD_NOW));
	assert_non_null(strstr(missing, "libssl"));
	assert_non_null(strstr(missing, "first_that_lacks"));
	assert_ptr_equal(openssl_load(), missing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_function_that_lacks) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* libssl: why a call did not succeed, and through whose hands the memory of OpenSSL goes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "helpers/libssl.h"

/* The linker puts this in the place of free. */
void __wrap_free(void *p);
void __real_free(void *p);

static void *freed; /* by whomever, last */

void
__wrap_free(void *p)
{
	freed = p;
	__real_free(p);
}

static void
test_memory(void **state)
{
	(void)state;
	void *p = OPENSSL_malloc(8);
	OPENSSL_free(p);
	assert_ptr_equal(freed, p);
}

static void
test_why(void **state)
{
	char why[LIBSSL_WHY];
	(void)state;
	assert_int_equal(OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL), 1);
	ERR_clear_error();
	errno = 0;
	libssl_why(why);
	assert_string_equal(why, "connection closed");
	errno = ETIMEDOUT;
	libssl_why(why);
	assert_string_equal(why, strerror(ETIMEDOUT));
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	libssl_why(why);
	assert_string_equal(why, "wrong version number");
	ERR_clear_error();
}

/* What it has taken by itself it would give back to us. */
static bool
is_too_late(void)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		(void)OPENSSL_malloc(8);
		_exit(libssl_forget_what_is_freed());
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static int
start(void **state)
{
	(void)state;
	return is_too_late() && libssl_forget_what_is_freed() ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_why),
	};
	return cmocka_run_group_tests_name("libssl", tests, start, NULL);
}

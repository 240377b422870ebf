/* file: all of it, or the reason why not; the descriptor stays where it is. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file.h"

enum { MOST = 5 };

static int
file_of(const char *text)
{
	char name[] = "/tmp/postern-file-XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text)); /* its end is where fd is */
	return fd;
}

static void
test_rows(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int want_error;
	} rows[] = {
		{ "", 0 },
		{ "a", 0 },
		{ "a\nb\nc", 0 },
		{ "a\nb\nc\n", EFBIG },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = MOST + 1, all = strlen(rows[i].text);
		int fd = file_of(rows[i].text);
		errno = 0;
		char *text = file_read(fd, MOST, &n);
		assert_int_equal(errno, rows[i].want_error);
		assert_int_equal(text == NULL, rows[i].want_error != 0);
		assert_int_equal(n, text != NULL ? all : MOST + 1);
		if (text != NULL)
			assert_string_equal(text, rows[i].text);
		assert_int_equal(lseek(fd, 0, SEEK_CUR), all);
		free(text);
		close(fd);
	}
}

static void
test_none(void **state)
{
	(void)state;
	size_t n;
	assert_null(file_read(-1, MOST, &n));
	assert_int_equal(errno, EBADF);
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_null(file_read(dir, SIZE_MAX, &n));
	assert_int_equal(errno, EISDIR);
	close(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

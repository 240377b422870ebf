/* file: all of it, or the reason why not; the descriptor stays where it is. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

/* What a pipe brings in pieces is read to its end, or as far as there is room. */
static void
test_fill(void **state)
{
	(void)state;
	for (size_t size = 1; size < 12; size++) {
		char room[12];
		int end[2], status;
		assert_int_equal(pipe(end), 0);
		pid_t pid = fork();
		if (pid == 0) {
			for (const char *p = "ab\0cdefgh"; p < &"ab\0cdefgh"[9]; p++)
				if (write(end[1], p, 1) != 1)
					_exit(1);
			_exit(0);
		}
		close(end[1]);
		ssize_t n = file_fill(end[0], room, size);
		assert_int_equal(n, size < 9 ? size : 9);
		assert_memory_equal(room, "ab\0cdefgh", (size_t)n);
		close(end[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	char room[4];
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_fill(dir, room, sizeof(room)), -1);
	assert_int_equal(errno, EISDIR);
	close(dir);
}

/* Nobody who reads a FIFO waits for a writer that never comes; what one does write is a file. */
static void
test_fifo(void **state)
{
	(void)state;
	enum { SIZE = 3 * 4096 };
	char where[] = "/tmp/postern-file-XXXXXX", path[sizeof(where) + 2], room[4];
	int status, ends[2];
	assert_non_null(mkdtemp(where));
	snprintf(path, sizeof(path), "%s/f", where);
	assert_int_equal(mkfifo(path, S_IRUSR | S_IWUSR), 0);
	assert_int_equal(file_open(path), -1);
	assert_int_equal(errno, ENODATA);
	assert_null(file_stream(path));
	assert_true(file_is_fifo(path) && !file_is_fifo(where));
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(file_fill(fd, room, sizeof(room)), -1);
	assert_int_equal(errno, ENODATA);
	close(fd);
	assert_int_equal(pipe(ends), 0);
	close(ends[1]);
	assert_int_equal(file_fill(ends[0], room, sizeof(room)), 0); /* said nothing, and ended */
	close(ends[0]);
	for (size_t size = SIZE - 1; size <= SIZE + 1; size++) {
		static char text[SIZE + 1];
		memset(text, 'x', size);
		pid_t pid = fork();
		if (pid == 0) {
			fd = open(path, O_WRONLY | O_CLOEXEC);
			_exit(write(fd, text, 1) == 1 && write(fd, text, size - 1) > 0 ? 0 : 1);
		}
		do /* until the writer is there */
			fd = file_open(path);
		while (fd < 0 && errno == ENODATA);
		size_t n = 0;
		char *all = file_read(fd, SIZE + 1, &n);
		assert_int_equal(n, size);
		assert_memory_equal(all, text, n);
		free(all);
		close(fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	unlink(path);
	rmdir(where);
}

/* L63: the mark is no text, nor is anything else a mark. */
static void
test_begin(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = { { "", "" }, { "a", "a" }, { "ab", "ab" }, { "abcd", "abcd" }, { "\xef\xbb\xbf", "" },
		{ "\xef\xbb\xbf" "ab", "ab" }, { "\xef\xbb", "\xef\xbb" },
		{ "\xef\xbb\xbe" "a", "\xef\xbb\xbe" "a" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[8] = "";
		FILE *f = fdopen(file_of(rows[i].in), "r");
		assert_non_null(f);
		file_begin(f);
		assert_int_equal(fread(text, 1, sizeof(text), f), strlen(rows[i].out));
		assert_string_equal(text, rows[i].out);
		fclose(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

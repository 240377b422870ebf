/* stamp: a file that is another one, or has another content, is found; one that is as it was is not. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/stamp.h"

static char top[64], file[96], other[96];

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int
enter(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/postern-stamp-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(file, sizeof(file), "%s/file", top);
	snprintf(other, sizeof(other), "%s/other", top);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	unlink(file);
	unlink(other);
	return rmdir(top);
}

static void
write_anew(void)
{
	put(file, "other");
}

static void
write_more(void)
{
	put(file, "right and more");
}

static void
replace(void)
{
	put(other, "right");
	assert_int_equal(rename(other, file), 0);
}

/* ... by one that pretends to be as old. */
static void
replace_by_old(void)
{
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	put(file, "thgir");
	assert_int_equal(utimensat(AT_FDCWD, file,
				 (struct timespec[]){ st.st_atim, st.st_mtim }, 0), 0);
}

static void
take_away(void)
{
	assert_int_equal(unlink(file), 0);
}

static void (*const changes[])(void) = { write_anew, write_more, replace, replace_by_old, take_away };

static void
test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(changes); i++) {
		struct stamps s = { 0 };
		put(file, "right");
		stamp_add(&s, "/", STAMP_DIRECTORY);
		stamp_add(&s, file, STAMP_FILE);
		assert_null(stamp_changed(&s));
		changes[i]();
		const char *found = stamp_changed(&s);
		if (found == NULL)
			fail_msg("change %zu is not seen", i);
		assert_string_equal(found, file);
		stamp_renew(&s);
		assert_null(stamp_changed(&s));
	}
}

static void
test_comes(void **state)
{
	(void)state;
	struct stamps s = { 0 };
	unlink(file);
	stamp_add(&s, file, STAMP_FILE);
	assert_null(stamp_changed(&s));
	put(file, "");
	assert_non_null(stamp_changed(&s));
}

/* What is in a directory comes and goes; another one in its place is another one. */
static void
test_directory(void **state)
{
	(void)state;
	struct stamps s = { 0 };
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(mkdir(other, 0700), 0); /* so that it does not get the same number */
	stamp_add(&s, top, STAMP_DIRECTORY);
	stamp_add(&s, file, STAMP_DIRECTORY);
	assert_int_equal(rmdir(file), 0);
	assert_string_equal(stamp_changed(&s), file);
	assert_int_equal(rename(other, file), 0);
	assert_string_equal(stamp_changed(&s), file);
	assert_int_equal(rmdir(file), 0);
}

static void
test_room(void **state)
{
	(void)state;
	struct stamps s = { 0 };
	stamp_add_program(&s);
	assert_non_null(stamp_program(&s));
	assert_int_equal(access(stamp_program(&s), X_OK), 0);
	for (int i = 0; i < 2 * STAMPS; i++)
		assert_int_equal(stamp_add(&s, "/", STAMP_DIRECTORY), i < STAMPS - 1);
	assert_true(stamp_add(&s, NULL, STAMP_FILE));
	assert_int_equal(s.n, STAMPS);
	assert_null(stamp_changed(&s));
}

/* In a program of its own, that has another one in its place. What it ends with. */
static int
be_replaced(const char *path)
{
	struct stamps s = { 0 };
	int fd = unlink(path) == 0 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700) : -1;
	if (fd < 0)
		return 2;
	stamp_add_program(&s);
	const char *program = stamp_program(&s), *changed = stamp_changed(&s);
	return program != NULL && strcmp(program, path) == 0 && changed != NULL &&
		strcmp(changed, path) == 0 ? 0 : 1;
}

/* Who was replaced before it looked for the first time notices. */
static void
test_replaced_program(void **state)
{
	(void)state;
	char dir[] = "/tmp/postern-stamp-XXXXXX", path[64];
	int status;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	pid_t pid = fork();
	if (pid == 0) {
		int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
		while (sendfile(to, from, NULL, 1 << 20) > 0)
			;
		close(to);
		execl(path, path, path, (char *)NULL);
		_exit(3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlink(path);
	rmdir(dir);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return be_replaced(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced_program),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_comes),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_room),
	};
	return cmocka_run_group_tests_name("stamp", tests, enter, leave);
}

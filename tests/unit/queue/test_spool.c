/* spool: which directory is taken for one, and what is left over in it (J14, J15, K3, K4). */
#include "tests/unit/spooled.h"

#include <dirent.h>
#include <errno.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/lock.h"

static bool unreadable; /* no directory can be read */

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);

struct dirent *
__wrap_readdir(DIR *dir)
{
	errno = unreadable ? EIO : errno;
	return unreadable ? NULL : __real_readdir(dir);
}

static void
refused(const char *path, int want)
{
	struct spool s = { 7, 7, 7 };
	assert_int_equal(spool_open(&s, path), want);
	assert_int_equal(s.root, 7);
}

static void
test_spool_open(void **state)
{
	(void)state;
	static const char *const made[] = { "lane", "tmp" };
	struct stat st;
	char path[100];
	for (size_t i = 0; i < ROWS(made); i++) {
		assert_int_equal(fstatat(sp.root, made[i], &st, 0), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0700); /* K3 */
	}
	assert_int_equal(fstatat(sp.root, "aside", &st, 0), -1); /* until a file goes there */
	refused("/tmp/postern-no-such-directory/spool", -ENOENT); /* J15 */
	snprintf(path, sizeof(path), "%s/file", top);
	spill(sp.root, "file", span_of(""));
	refused(path, -ENOTDIR);
	snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlinkat(".", sp.root, "link"), 0); /* K4 */
	refused(path, -ENOTDIR);
	static const mode_t modes[] = { 0770, 0707, 0777, 01777, 0720, 0702 };
	for (size_t i = 0; i < ROWS(modes); i++) {
		assert_int_equal(chmod(top, modes[i]), 0);
		refused(top, -EPERM);
	}
	assert_int_equal(chmod(top, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(top, 1, 1), 0);
		refused(top, -EPERM);
		assert_int_equal(chown(top, 0, 0), 0);
	}
	struct spool again = SPOOL_CLOSED;
	assert_int_equal(spool_open(&again, top), 0);
	spool_close(&again);
	assert_int_equal(again.root, -1);

	assert_int_equal(renameat(sp.root, "tmp", sp.root, "t"), 0);
	assert_int_equal(symlinkat("t", sp.root, "tmp"), 0);
	refused(top, -ENOTDIR);
}

/* L69: a spool that is missing is made where its parent lets us. */
static void
test_made(void **state)
{
	(void)state;
	static const char *const names[] = { "new", "slash/", "slashes//", "/twice" };
	struct spool s;
	struct stat st;
	const char *wrong;
	char path[100];
	for (size_t i = 0; i < ROWS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		assert_int_equal(spool_open(&s, path), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(spool_try(&s, &wrong), 0);
		assert_true(spool_is_empty(&s));
		spool_close(&s);
	}
}

/* L69, S12: what is wrong is said in words, with what to do. */
static void
test_explain(void **state)
{
	(void)state;
	static const struct {
		const char *name, *says;
		int err;
		mode_t mode;
		uid_t owner;
	} rows[] = {
		{ "none/spool", "No such file or directory, and it cannot be made: No such file", -ENOENT, 0, 0 },
		{ "file", "is not a directory", -ENOTDIR, 0, 0 },
		{ "link", "is a symbolic link; set spool to what it leads to (.)", -ENOTDIR, 0, 0 },
		{ "volume", "others than its owner may write to it (mode 2775); \"chmod 700 ", -EPERM,
			02775, 0 },
		{ "theirs", "it belongs to user 1 and not to ", -EPERM, 0700, 1 },
		{ "mine", "Input/output error", -EIO, 0700, 0 },
		{ "closed", ": it has mode 0001, which does not let its owner; \"chmod 700 /", -EACCES, 01, 0 },
		{ "unread", ": it has mode 0300, which", -EACCES, 0300, 0 },
		{ "fixed", ": it has mode 0500, which", -EACCES, 0500, 0 },
		{ "unsearched", ": it has mode 0600, which", -EACCES, 0600, 0 },
		{ "whole", ": Permission denied", -EACCES, 0711, 0 },
		{ "file/spool", "/file is not a directory; set spool to another one", -ENOTDIR, 0, 0 },
	};
	spill(sp.root, "file", span_of(""));
	assert_int_equal(symlinkat(".", sp.root, "link"), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		char path[100], text[600];
		auto_buf why = buf_new(sizeof(text) - 1);
		snprintf(path, sizeof(path), "%s/%s", top, rows[i].name);
		if (rows[i].owner != 0 && geteuid() != 0)
			continue;
		if (rows[i].mode != 0) {
			assert_int_equal(mkdirat(sp.root, rows[i].name, 0700), 0);
			assert_int_equal(chmod(path, rows[i].mode), 0);
			if (rows[i].owner != 0)
				assert_int_equal(chown(path, rows[i].owner, 0), 0);
		}
		spool_explain(path, rows[i].err, &why);
		snprintf(text, sizeof(text), "%.*s", (int)why.n, why.p);
		assert_int_equal(strncmp(text, "spool /", 7), 0);
		if (strstr(text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].name, text);
	}
}

/* L69: what is wrong within it is said with its path. */
static void
test_explain_parts(void **state)
{
	(void)state;
	static const char *const parts[] = { "lane", "tmp", "aside" };
	static const struct {
		int err;
		mode_t mode; /* 0: a file */
		uid_t owner;
		const char *says;
	} rows[] = {
		{ -ENOTDIR, 0, 0, " is not a directory; \"mv " },
		{ -EACCES, 0500, 0, " has mode 0500, which does not let its owner; \"chmod 700 " },
		{ -EACCES, 0755, 1, " belongs to user 1 and not to " },
	};
	for (size_t i = 0; i < ROWS(parts) * ROWS(rows); i++) {
		const char *part = parts[i / ROWS(rows)];
		char path[100], want[200], text[600];
		auto_buf why = buf_new(sizeof(text) - 1);
		size_t row = i % ROWS(rows);
		if (rows[row].owner != 0 && geteuid() != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", top, part);
		(void)unlinkat(sp.root, part, AT_REMOVEDIR);
		if (rows[row].mode == 0)
			spill(sp.root, part, span_of(""));
		else
			assert_int_equal(mkdir(path, rows[row].mode), 0);
		if (rows[row].owner != 0)
			assert_int_equal(chown(path, rows[row].owner, 0), 0);
		spool_explain(top, rows[row].err, &why);
		snprintf(text, sizeof(text), "%.*s", (int)why.n, why.p);
		snprintf(want, sizeof(want), "spool %s: %s%s", top, path, rows[row].says);
		if (strncmp(text, want, strlen(want)) != 0)
			fail_msg("%s", text);
		assert_int_equal(unlinkat(sp.root, part, rows[row].mode == 0 ? 0 : AT_REMOVEDIR), 0);
		assert_int_equal(mkdirat(sp.root, part, 0700), 0);
	}
}

static void
test_sweep(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t age;
		bool stays;
	} files[] = { { "new", 0, true }, { "young", SPOOL_TMP_AGE - 60, true },
		{ "old", SPOOL_TMP_AGE + 60, false }, { "ancient", 400 * 86400, false },
		{ "future", -86400, true } };
	for (size_t i = 0; i < ROWS(files); i++) {
		spill(sp.tmp, files[i].name, span_of("x"));
		set_age(sp.tmp, files[i].name, files[i].age);
	}
	spill(sp.root, "target", span_of("x"));
	set_age(sp.root, "target", 2 * SPOOL_TMP_AGE);
	assert_int_equal(symlinkat("../target", sp.tmp, "link"), 0);
	assert_int_equal(mkdirat(sp.tmp, "directory", 0700), 0);
	set_age(sp.tmp, "directory", 2 * SPOOL_TMP_AGE);
	assert_int_equal(mkfifoat(sp.tmp, "fifo", 0600), 0);
	spool_sweep(&sp);
	for (size_t i = 0; i < ROWS(files); i++)
		if (exists(sp.tmp, files[i].name) != files[i].stays)
			fail_msg("%s", files[i].name);
	assert_true(exists(sp.tmp, "link") && exists(sp.root, "target"));
	assert_true(exists(sp.tmp, "directory"));
}

/* I9: what is asked for and what is kept free count together. */
static void
test_room(void **state)
{
	(void)state;
	struct spool none = SPOOL_CLOSED;
	assert_true(spool_has_room(&sp, 0, 0));
	assert_true(spool_has_room(&sp, 1, 1));
	assert_false(spool_has_room(&sp, INT64_MAX / 4, 0));
	assert_false(spool_has_room(&sp, 0, INT64_MAX / 4));
	assert_true(spool_has_room(&none, INT64_MAX / 4, 0)); /* what cannot be asked is tried */
}

/* S12: what cannot be told is not empty, or nobody would look after it. */
static void
test_empty(void **state)
{
	(void)state;
	assert_true(spool_is_empty(&sp));
	unreadable = true;
	assert_false(spool_is_empty(&sp));
	unreadable = false;
	spill(sp.tmp, "left", span_of(""));
	assert_false(spool_is_empty(&sp));
	assert_int_equal(unlinkat(sp.tmp, "left", 0), 0);
	assert_int_equal(mkdirat(sp.lanes, "d.example", 0700), 0);
	assert_false(spool_is_empty(&sp));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_spool_open),
		TEST(test_made),
		TEST(test_explain),
		TEST(test_explain_parts),
		TEST(test_sweep),
		TEST(test_room),
		TEST(test_empty),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}

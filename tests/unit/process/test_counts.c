/* counts: the file in which processes count (J18, K4, K13). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/counts.h"

static char top[] = "/tmp/postern-counts-XXXXXX";
static char path[sizeof(top) + 20];

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/" COUNTS_FILE, top);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(top);
}

/* Writing to a mapped page that has no room behind it is the end of a process. */
static void
test_room(void **state)
{
	(void)state;
	struct stat st;
	assert_int_equal(counts_map(top, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, COUNTS_SIZE);
	assert_true(st.st_blocks * 512 >= st.st_size);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* Whatever size it has, it has the right one again. */
static void
test_size(void **state)
{
	(void)state;
	static const off_t sizes[] = { 0, 1, COUNTERS_SIZE, COUNTS_SIZE - 1, COUNTS_SIZE + 1,
		10 * COUNTS_SIZE };
	for (size_t i = 0; i < ROWS(sizes); i++) {
		struct stat st;
		struct quota q;
		assert_int_equal(truncate(path, sizes[i]), 0);
		assert_int_equal(counts_map(top, &q), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, COUNTS_SIZE);
		assert_true(st.st_blocks * 512 >= st.st_size);
	}
}

/* The table of networks lies behind the counters, and neither is in the way of the other. */
static void
test_parts(void **state)
{
	(void)state;
	struct quota q;
	struct netaddr a;
	unlink(path);
	assert_int_equal(counts_map(top, &q), 0);
	assert_true(counters_fit());
	assert_int_equal(netaddr_parse(span_of("192.0.2.1"), &a), 0);
	for (int64_t i = 0; i < 3 * QUOTA_NETWORKS; i++) { /* windows of their own: every place */
		quota_client(&q, &a, 1000000 + i);
		a.ip[15] = (uint8_t)i;
		a.ip[14] = (uint8_t)(i >> 8);
		(void)quota_add(&q, QUOTA_ERRORS, 7);
	}
	assert_true(counters_fit());
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	static uint64_t word[COUNTERS_SIZE / 8];
	assert_int_equal(fread(word, sizeof(word[0]), ROWS(word), f), ROWS(word));
	assert_true(word[0] == COUNTERS_MARK);
	for (size_t i = 1; i < ROWS(word); i++)
		assert_true(word[i] == 0);
	fclose(f);
}

/* What lies there and is not ours, or no file, is not used (K13). */
static void
test_planted(void **state)
{
	(void)state;
	struct quota q;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(counts_map(top, &q), -EPERM);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(counts_map(top, &q), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(counts_map(top, &q), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(counts_map(top, &q), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 1), 0);
		assert_int_equal(counts_map(top, &q), -EPERM);
		assert_int_equal(chown(path, 0, 0), 0);
	}
}

/* J18, K4: no directory, or one that nobody may write. */
static void
test_no_place(void **state)
{
	(void)state;
	char none[sizeof(top) + 10], endless[8192];
	snprintf(none, sizeof(none), "%s/none", top);
	assert_int_equal(counts_map(none, NULL), -ENOENT);
	assert_int_equal(counts_map("/proc/self", NULL), -ENOENT);
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_int_equal(counts_map(endless, NULL), -ENAMETOOLONG);
	if (geteuid() != 0) {
		unlink(path);
		assert_int_equal(chmod(top, 0500), 0);
		assert_int_equal(counts_map(top, NULL), -EACCES);
		assert_int_equal(chmod(top, 0700), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_planted),
		cmocka_unit_test(test_no_place),
	};
	return cmocka_run_group_tests_name("counts", tests, setup, teardown);
}

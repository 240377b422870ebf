/* counters: numbers that many add to at once, and that readers print (J18, K13). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "process/counts.h"
#include "process/numbers.h"

static char top[] = "/tmp/postern-counters-XXXXXX";
static char path[sizeof(top) + 20], older[sizeof(top) + 20];
static struct counters *page; /* as another process would map it */

static int
setup(void **state)
{
	(void)state;
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/" COUNTS_FILE, top);
	snprintf(older, sizeof(older), "%s/" COUNTS_PREFIX "0", top);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(top);
}

/* A new file, in which this process counts. */
static int
begin(void **state)
{
	(void)state;
	unlink(path);
	if (counts_map(top, NULL) < 0 || !counters_fit())
		return -1;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	page = mmap(NULL, COUNTERS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? -1 : 0;
}

static uint64_t
value(enum counter c)
{
	return atomic_load(&page->value[c]);
}

static void
test_add(void **state)
{
	(void)state;
	assert_true(atomic_load(&page->mark) == COUNTERS_MARK);
	counters_one(COUNTER_CONNECTIONS);
	counters_add(COUNTER_OCTETS_ACCEPTED, UINT64_C(1) << 40);
	counters_add(COUNTER_OCTETS_ACCEPTED, 2);
	assert_int_equal(value(COUNTER_CONNECTIONS), 1);
	assert_true(value(COUNTER_OCTETS_ACCEPTED) == (UINT64_C(1) << 40) + 2);
	assert_int_equal(value(COUNTER_SESSIONS_CLEAR), 0);
}

/* Nothing was mapped, or it was not ours. */
static void
test_without(void **state)
{
	(void)state;
	counters_begin(NULL);
	assert_true(counters_fit());
	counters_one(COUNTER_CONNECTIONS);
	counters_time(COUNTER_SESSION_TIME, 1);
	assert_int_equal(value(COUNTER_CONNECTIONS), 0);
	assert_int_equal(value(COUNTER_SESSION_TIME), 0);
}

/* K13: another version, or anything, is left as it is. */
static void
test_foreign(void **state)
{
	(void)state;
	static const uint64_t marks[] = { 1, COUNTERS_MARK + 1, COUNTERS_MARK - 1, UINT64_MAX,
		COUNTERS_MARK + (1 << 16), COUNTERS_MARK ^ UINT64_C(1) << 63 };
	for (size_t i = 0; i < ROWS(marks); i++) {
		atomic_store(&page->mark, marks[i]);
		atomic_store(&page->value[COUNTER_CONNECTIONS], 7);
		assert_int_equal(counts_map(top, NULL), 0);
		assert_false(counters_fit());
		counters_one(COUNTER_CONNECTIONS);
		assert_true(atomic_load(&page->mark) == marks[i]);
		assert_int_equal(value(COUNTER_CONNECTIONS), 7);
		assert_int_equal(numbers_print(top, stderr), EX_NOINPUT);
	}
}

enum { PROCESSES = 4, THREADS = 4, TIMES = 20000 };

static void *
add_often(void *counted)
{
	(void)counted;
	for (int i = 0; i < TIMES; i++) {
		counters_one(COUNTER_CONNECTIONS);
		counters_add(COUNTER_OCTETS_ACCEPTED, 3);
	}
	return NULL;
}

static int
add_by_threads(void)
{
	pthread_t t[THREADS];
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, add_often, NULL) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* Nothing is lost of what processes and their threads add together; each of them maps it anew. */
static void
test_together(void **state)
{
	(void)state;
	enum { ALL = PROCESSES * THREADS * TIMES };
	pid_t pid[PROCESSES];
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0)
			_exit(counts_map(top, NULL) == 0 && counters_fit() ? add_by_threads() : 2);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(value(COUNTER_CONNECTIONS), ALL);
	assert_int_equal(value(COUNTER_OCTETS_ACCEPTED), 3 * ALL);
}

/* Many begin at once with a new file, and one mark comes of it. */
static void
test_begin_together(void **state)
{
	(void)state;
	pid_t pid[PROCESSES];
	unlink(path);
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] > 0)
			continue;
		bool fit = counts_map(top, NULL) == 0 && counters_fit();
		counters_one(COUNTER_CONNECTIONS);
		_exit(!fit);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t word[2 + COUNTER_CONNECTIONS];
	assert_int_equal(read(fd, word, sizeof(word)), sizeof(word));
	close(fd);
	assert_true(word[0] == COUNTERS_MARK);
	assert_int_equal(word[1 + COUNTER_CONNECTIONS], PROCESSES);
}

static void
test_buckets(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		int bucket;
	} rows[] = {
		{ INT64_MIN, 0 },
		{ -1, 0 },
		{ 0, 0 },
		{ 1, 0 },
		{ 2, 1 },
		{ 3, 2 },
		{ 4, 2 },
		{ 5, 3 },
		{ 1024, 10 },
		{ 1025, 11 },
		{ 1 << 29, 29 },
		{ (1 << 29) + 1, 30 },
		{ INT64_MAX, 30 },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t sum = value(COUNTER_QUEUE_TIME + HISTOGRAM_BUCKETS);
		uint64_t n = value(COUNTER_QUEUE_TIME + (enum counter)rows[i].bucket);
		counters_time(COUNTER_QUEUE_TIME, rows[i].ms);
		if (value(COUNTER_QUEUE_TIME + (enum counter)rows[i].bucket) != n + 1)
			fail_msg("%lld ms", (long long)rows[i].ms);
		assert_true(value(COUNTER_QUEUE_TIME + HISTOGRAM_BUCKETS) ==
			sum + (rows[i].ms > 0 ? (uint64_t)rows[i].ms : 0));
	}
	/* Those beside it hold nothing of that. */
	assert_int_equal(value(COUNTER_QUEUE_TIME - 1), 0);
	assert_int_equal(value(COUNTER_QUEUE_TIME_END + 1), 0);
}

static void
test_classes(void **state)
{
	(void)state;
	assert_int_equal(counters_of_lane(CLASS_DNS), COUNTER_LANES_DEFERRED_DNS);
	assert_int_equal(counters_of_lane(CLASS_TLS), COUNTER_LANES_DEFERRED_TLS);
	assert_int_equal(counters_of_lane(CLASS_OURS), COUNTER_LANES_DEFERRED_OURS);
	assert_int_equal(counters_of_deferred(CLASS_CONNECT), COUNTER_DEFERRED_CONNECT);
	assert_int_equal(counters_of_deferred(CLASS_HOST_4YZ), COUNTER_DEFERRED_HOST_4YZ);
	assert_int_equal(counters_of_deferred(CLASS_HOST_5YZ), COUNTER_DEFERRED_HOST_5YZ);
	assert_int_equal(counters_of_bounced(CLASS_DNS), COUNTER_BOUNCED_DNS);
	assert_int_equal(counters_of_bounced(CLASS_HOST_5YZ), COUNTER_BOUNCED_HOST_5YZ);
	assert_int_equal(counters_of_bounced(CLASS_OURS), COUNTER_BOUNCED_OURS);
	assert_int_equal(counters_of_bounced(CLASS_LOST), COUNTER_BOUNCED_OURS);
}

/* What is printed of the counters of this directory; `status` is what it ends with. */
static const char *
printed(int status)
{
	static char text[32768];
	memset(text, 0, sizeof(text));
	FILE *f = fmemopen(text, sizeof(text), "w");
	assert_non_null(f);
	assert_int_equal(numbers_print(top, f), status);
	fclose(f);
	return text;
}

static void
test_print(void **state)
{
	(void)state;
	counters_add(COUNTER_CONNECTIONS, 12);
	counters_add(COUNTER_SPOOL_FAILURES, UINT64_MAX);
	counters_time(COUNTER_SESSION_TIME, 1);
	counters_time(COUNTER_SESSION_TIME, 4);
	counters_time(COUNTER_SESSION_TIME, INT64_C(1) << 31);
	const char *text = printed(0);
	static const char *const lines[] = { "connections 12\nsessions_clear 0\n",
		"\nsession_time_le_1 1\nsession_time_le_2 1\nsession_time_le_4 2\n",
		"\nsession_time_le_536870912 2\nsession_time_le_inf 3\n"
		"session_time_sum 2147483653\nrelays 0\n",
		"\nspool_failures 18446744073709551615\n" };
	for (size_t i = 0; i < ROWS(lines); i++)
		if (strstr(text, lines[i]) == NULL)
			fail_msg("%s\nis not in\n%s", lines[i], text);
	assert_true(span_istarts(span_of(text), span_of("connections 12\n")));
}

/* What is no file of counters is not read as one; what is printed then is an error alone. */
static void
test_print_nothing(void **state)
{
	(void)state;
	assert_int_equal(truncate(path, COUNTERS_SIZE - 1), 0);
	assert_string_equal(printed(EX_NOINPUT), "");
	assert_int_equal(truncate(path, 0), 0);
	assert_string_equal(printed(EX_NOINPUT), "");
	assert_int_equal(truncate(path, COUNTERS_SIZE), 0); /* no mark: new */
	assert_string_equal(printed(EX_NOINPUT), "");
	unlink(path);
	assert_string_equal(printed(EX_NOINPUT), "");
	assert_int_equal(mkfifo(older, 0600), 0); /* another version's; it is not opened */
	assert_string_equal(printed(EX_NOINPUT), "");
	unlink(older);
	/* A link, even to a file that could be printed. */
	assert_int_equal(counts_map(top, NULL), 0);
	assert_true(counters_fit());
	assert_int_equal(rename(path, older), 0);
	assert_int_equal(symlink(older, path), 0);
	assert_string_equal(printed(EX_NOINPUT), "");
	unlink(path);
	unlink(older);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_string_equal(printed(EX_NOINPUT), "");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_string_equal(printed(EX_NOINPUT), "");
	assert_int_equal(rmdir(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_add, begin),
		cmocka_unit_test_setup(test_without, begin),
		cmocka_unit_test_setup(test_foreign, begin),
		cmocka_unit_test_setup(test_together, begin),
		cmocka_unit_test_setup(test_begin_together, begin),
		cmocka_unit_test_setup(test_buckets, begin),
		cmocka_unit_test_setup(test_classes, begin),
		cmocka_unit_test_setup(test_print, begin),
		cmocka_unit_test_setup(test_print_nothing, begin),
	};
	return cmocka_run_group_tests_name("counters", tests, setup, teardown);
}

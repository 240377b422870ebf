/* What was learned of hosts, and that no file of it is believed blindly (K13). */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "delivery/hosts.h"
#include "lib/clock.h"

enum { PORT = 25, AGE = 600 };

static struct netaddr addr;

static char path[] = "/tmp/postern-hosts-XXXXXX";

static int
open_hosts(void **state)
{
	static int dir;
	assert_non_null(mkdtemp(path));
	int spool = open(path, O_RDONLY | O_DIRECTORY);
	dir = hosts_open(spool);
	close(spool);
	assert_true(dir >= 0);
	assert_int_equal(netaddr_parse(span_of("2001:db8::1"), &addr), 0);
	*state = &dir;
	return 0;
}

static int
empty(void **state)
{
	hosts_sweep(*(int *)*state, -1);
	return 0;
}

static int
remove_all(void **state)
{
	char hosts[sizeof(path) + 10];
	close(*(int *)*state);
	snprintf(hosts, sizeof(hosts), "%s/hosts", path);
	return rmdir(hosts) < 0 || rmdir(path) < 0;
}

static void
put_file(int dir, const char *text, size_t n)
{
	int fd = openat(dir, "2001:db8::1-25", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void
test_learning(void **state)
{
	int dir = *(int *)*state;
	struct host h;
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 0);
	hosts_greeted(dir, &addr, PORT, AGE, 100);
	hosts_greeted(dir, &addr, PORT, AGE, 200);
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 125); /* one measurement is a quarter */
	assert_int_equal(h.failed, 0);
	hosts_mark(dir, &addr, PORT, AGE, HOST_FAILED);
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 125);
	assert_in_range(h.failed, clock_wall() - 10, clock_wall());
	hosts_greeted(dir, &addr, PORT, AGE, 0);
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.failed, 0);
	assert_true(h.latency > 0);
	hosts_recall(dir, &addr, PORT + 1, AGE, &h);
	assert_int_equal(h.latency, 0);
}

/* The shortest time of a greylist; what takes very long is none. */
static void
test_greylist(void **state)
{
	int dir = *(int *)*state;
	struct host h;
	const int64_t waited[][2] = { { -1, 0 }, { 0, 0 }, { 901, 0 }, { 900, 900 }, { 300, 300 }, { 360, 300 } };
	for (size_t i = 0; i < ROWS(waited); i++) {
		hosts_waited(dir, &addr, PORT, AGE, waited[i][0]);
		hosts_recall(dir, &addr, PORT, AGE, &h);
		assert_int_equal(h.grey, waited[i][1]);
	}
	hosts_greeted(dir, &addr, PORT, AGE, 5); /* and is not forgotten for other news */
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.grey, 300);
}

static void
test_nothing_is_needed(void **state)
{
	struct host h = { .latency = 1 };
	(void)state;
	hosts_mark(-1, &addr, PORT, AGE, HOST_FAILED);
	hosts_recall(-1, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 0);
}

/* K13 */
static void
test_odd_files(void **state)
{
	static char large[1 << 20];
	int dir = *(int *)*state;
	struct host h;
	static const char *const odd[] = { "", "latency", "latency -5 failed 0 lockstep 0",
		"latency 99999999999999999999 failed 1 lockstep 1", "latency 1e9", "\xff\xfe\n",
		"latency 3600000 failed 9223372036854775807 lockstep 9223372036854775807",
		"latency 1 failed 1 lockstep 1 clear 1 helo 1",
		"latency -1 failed -1 lockstep -1 clear 9223372036854775807 helo -1 grey 901",
		"latency 0 failed 9223372036854775807 lockstep 1 clear 1 helo 1 grey -1" };
	for (size_t i = 0; i < ROWS(odd); i++) {
		put_file(dir, odd[i], strlen(odd[i]));
		hosts_recall(dir, &addr, PORT, AGE, &h);
		assert_int_equal(h.latency, 0);
		assert_int_equal(h.failed, 0);
		assert_int_equal(h.lockstep, 0);
		assert_int_equal(h.clear, 0);
		assert_int_equal(h.helo, 0);
		assert_int_equal(h.grey, 0);
	}
	memset(large, '1', sizeof(large));
	memcpy(large, "latency ", 8);
	put_file(dir, large, sizeof(large));
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 0);
	hosts_greeted(dir, &addr, PORT, AGE, 7); /* and it is replaced */
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 7);

	unlinkat(dir, "2001:db8::1-25", 0);
	assert_int_equal(symlinkat("/etc/passwd", dir, "2001:db8::1-25"), 0); /* K4 */
	hosts_greeted(dir, &addr, PORT, AGE, 7);
	hosts_recall(dir, &addr, PORT, AGE, &h);
	assert_int_equal(h.latency, 0);
	unlinkat(dir, "2001:db8::1-25", 0);
}

/* J12: what is of long ago, or of a time to come, counts for nothing. */
static void
test_ages(void **state)
{
	int dir = *(int *)*state;
	struct host h;
	const int64_t ages[] = { AGE + 10, -100 };
	for (size_t i = 0; i < ROWS(ages); i++) {
		hosts_greeted(dir, &addr, PORT, AGE, 5);
		struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
			{ .tv_sec = (time_t)(clock_wall() - ages[i]) } };
		assert_int_equal(utimensat(dir, "2001:db8::1-25", t, 0), 0);
		hosts_recall(dir, &addr, PORT, AGE, &h);
		assert_int_equal(h.latency, 0);
		hosts_sweep(dir, AGE);
		assert_int_equal(faccessat(dir, "2001:db8::1-25", F_OK, 0), -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_learning, empty),
		cmocka_unit_test_teardown(test_greylist, empty),
		cmocka_unit_test_teardown(test_odd_files, empty),
		cmocka_unit_test_teardown(test_nothing_is_needed, empty),
		cmocka_unit_test_teardown(test_ages, empty),
	};
	return cmocka_run_group_tests(tests, open_hosts, remove_all);
}

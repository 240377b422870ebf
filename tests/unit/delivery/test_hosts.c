/* What was learned of hosts, and that no file of it is believed blindly (K13). */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "delivery/hosts.h"
#include "lib/clock.h"

enum { PORT = 25, AGE = 600 };

static struct hosts hosts;
static const struct hosts nowhere = { .dir = -1, .age = AGE };
static struct exchanger host = { .port = PORT };

static char path[] = "/tmp/postern-hosts-XXXXXX";

static int
open_hosts(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(path));
	int spool = open(path, O_RDONLY | O_DIRECTORY);
	hosts_open(&hosts, spool, AGE);
	close(spool);
	assert_true(hosts.dir >= 0);
	assert_int_equal(netaddr_parse(span_of("2001:db8::1"), &host.addr), 0);
	return 0;
}

static int
empty(void **state)
{
	(void)state;
	hosts_sweep(&(struct hosts){ .dir = hosts.dir, .age = -1 });
	return 0;
}

static int
remove_all(void **state)
{
	char name[sizeof(path) + 10];
	(void)state;
	close(hosts.dir);
	snprintf(name, sizeof(name), "%s/hosts", path);
	return rmdir(name) < 0 || rmdir(path) < 0;
}

static void
put_file(const char *text, size_t n)
{
	int fd = openat(hosts.dir, "2001:db8::1-25", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void
test_learning(void **state)
{
	(void)state;
	struct host_record h;
	struct exchanger other = host;
	other.port = PORT + 1;
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 0);
	hosts_greeted(&hosts, &host, 100);
	hosts_greeted(&hosts, &host, 200);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 125); /* one measurement is a quarter */
	assert_int_equal(h.failed, 0);
	int64_t before = clock_wall();
	hosts_mark(&hosts, &host, HOST_FAILED);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 125);
	assert_in_range(h.failed, before, clock_wall());
	hosts_greeted(&hosts, &host, 0);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.failed, 0);
	assert_true(h.latency > 0);
	/* L14: silence is not failure, and tells only what was not known */
	hosts_mark(&hosts, &host, HOST_FAILED);
	hosts_silent(&hosts, &host, 900);
	hosts_silent(&hosts, &host, 700);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 900);
	assert_true(h.failed != 0);
	hosts_recall(&hosts, &other, &h);
	assert_int_equal(h.latency, 0);
}

/* The shortest time of a greylist; what takes very long is none. */
static void
test_greylist(void **state)
{
	(void)state;
	struct host_record h;
	const int64_t waited[][2] = { { -1, 0 }, { 0, 0 }, { 901, 0 }, { 900, 900 }, { 300, 300 }, { 360, 300 } };
	hosts_waited(&hosts, &host, 300);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.grey, 0); /* it was another one that put it off */
	hosts_mark(&hosts, &host, HOST_GREYED);
	for (size_t i = 0; i < ROWS(waited); i++) {
		hosts_waited(&hosts, &host, waited[i][0]);
		hosts_recall(&hosts, &host, &h);
		assert_int_equal(h.grey, waited[i][1]);
	}
	hosts_greeted(&hosts, &host, 5); /* and is not forgotten for other news */
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.grey, 300);
}

/* Each event is remembered for itself (L20, L21). */
static void
test_events(void **state)
{
	(void)state;
	static const struct { enum host_event event; size_t offset; } rows[] = {
		{ HOST_FAILED, offsetof(struct host_record, failed) },
		{ HOST_LOCKSTEP, offsetof(struct host_record, lockstep) },
		{ HOST_SINGLE, offsetof(struct host_record, single) },
		{ HOST_DISCARDS, offsetof(struct host_record, discards) },
		{ HOST_UNCHUNKED, offsetof(struct host_record, unchunked) },
		{ HOST_CLEAR, offsetof(struct host_record, clear) },
		{ HOST_HELO, offsetof(struct host_record, helo) },
		{ HOST_FEWER, offsetof(struct host_record, fewer) },
		{ HOST_GREYED, offsetof(struct host_record, greyed) },
		{ HOST_PLAIN, offsetof(struct host_record, plain) },
	};
	struct host_record h;
	for (size_t i = 0; i < ROWS(rows); i++) {
		hosts_mark(&hosts, &host, rows[i].event);
		hosts_recall(&hosts, &host, &h);
		for (size_t k = 0; k < ROWS(rows); k++) {
			int64_t when = *(int64_t *)(void *)((char *)&h + rows[k].offset);
			assert_int_equal(when != 0, k <= i);
			assert_true(when <= clock_wall());
		}
	}
}

/* A UNIX socket has no address by which it could be told from another one, as of a route's LMTP. */
static void
test_sockets(void **state)
{
	(void)state;
	struct host_record h;
	struct exchanger to = { .socket = true, .port = PORT, .host = "/run/a" };
	hosts_mark(&hosts, &to, HOST_FAILED);
	hosts_mark_words(&hosts, &to, 4);
	snprintf(to.host, sizeof(to.host), "/run/b");
	hosts_recall(&hosts, &to, &h);
	assert_int_equal(h.failed, 0);
	assert_int_equal(h.words, 0);
}

/* L16: the words add up, and count as long as they are known to be refused. */
static void
test_refused_words(void **state)
{
	(void)state;
	struct host_record h;
	int64_t before = clock_wall();
	hosts_mark_words(&hosts, &host, 4);
	hosts_mark_words(&hosts, &host, 64);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.words, 4 | 64);
	assert_in_range(h.fewer, before, clock_wall());
	hosts_unmark(&hosts, &host, HOST_FEWER);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.words, 0);
	put_file("fewer 1 words 4\n", 16); /* long ago */
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.words, 0);
	hosts_mark_words(&hosts, &host, 64);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.words, 64);
}

static void
test_nothing_is_needed(void **state)
{
	struct host_record h = { .latency = 1 };
	(void)state;
	hosts_mark(&nowhere, &host, HOST_FAILED);
	hosts_recall(&nowhere, &host, &h);
	assert_int_equal(h.latency, 0);
}

/* K13 */
static void
test_odd_files(void **state)
{
	static char large[1 << 20];
	(void)state;
	struct host_record h;
	static const char *const odd[] = { "", "latency", "latency -5 failed 0 lockstep 0",
		"latency 99999999999999999999 failed 1 lockstep 1", "latency 1e9", "\xff\xfe\n",
		"latency 3600000 failed 9223372036854775807 lockstep 9223372036854775807",
		"latency 1e1 failed 1 lockstep 1 clear 1 helo 1", "failed lockstep 5 latency",
		"latency -1 failed -1 lockstep -1 clear 9223372036854775807 helo -1 grey 901",
		"latency 0 failed 9223372036854775807 lockstep 1 clear 1 helo 1 grey -1" };
	for (size_t i = 0; i < ROWS(odd); i++) {
		put_file(odd[i], strlen(odd[i]));
		hosts_recall(&hosts, &host, &h);
		assert_int_equal(h.latency, 0);
		assert_int_equal(h.failed, 0);
		assert_int_equal(h.lockstep, 0);
		assert_int_equal(h.clear, 0);
		assert_int_equal(h.helo, 0);
		assert_int_equal(h.grey, 0);
	}
	memset(large, '1', sizeof(large));
	memcpy(large, "latency ", 8);
	put_file(large, sizeof(large));
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 0);
	memset(large, ' ', sizeof(large)); /* good at its beginning, and longer than one of ours */
	int n = snprintf(large, sizeof(large), "latency 5 failed 0 lockstep 0 clear 0 helo 0 grey 9");
	large[n] = ' ';
	put_file(large, 511);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 0);
	assert_int_equal(h.grey, 0);
	put_file(large, 510);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 5);
	put_file("new 7 latency 5\n", 16); /* of another version */
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 5);
	put_file("", 0);
	hosts_greeted(&hosts, &host, 7); /* and it is replaced */
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 7);

	unlinkat(hosts.dir, "2001:db8::1-25", 0);
	assert_int_equal(symlinkat("/etc/passwd", hosts.dir, "2001:db8::1-25"), 0); /* K4 */
	hosts_greeted(&hosts, &host, 7);
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 0);
	unlinkat(hosts.dir, "2001:db8::1-25", 0);
}

/* J12: what is of long ago, or of a time to come, counts for nothing. */
static void
test_ages(void **state)
{
	(void)state;
	struct host_record h;
	const int64_t ages[] = { AGE + 10, -100 };
	for (size_t i = 0; i < ROWS(ages); i++) {
		hosts_greeted(&hosts, &host, 5);
		struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
			{ .tv_sec = (time_t)(clock_wall() - ages[i]) } };
		assert_int_equal(utimensat(hosts.dir, "2001:db8::1-25", t, 0), 0);
		hosts_recall(&hosts, &host, &h);
		assert_int_equal(h.latency, 0);
		hosts_sweep(&hosts);
		assert_int_equal(faccessat(hosts.dir, "2001:db8::1-25", F_OK, 0), -1);
	}
	hosts_greeted(&hosts, &host, 5);
	hosts_sweep(&hosts); /* what is young stays */
	hosts_recall(&hosts, &host, &h);
	assert_int_equal(h.latency, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_learning, empty),
		cmocka_unit_test_teardown(test_greylist, empty),
		cmocka_unit_test_teardown(test_events, empty),
		cmocka_unit_test_teardown(test_sockets, empty),
		cmocka_unit_test_teardown(test_refused_words, empty),
		cmocka_unit_test_teardown(test_odd_files, empty),
		cmocka_unit_test_teardown(test_nothing_is_needed, empty),
		cmocka_unit_test_teardown(test_ages, empty),
	};
	return cmocka_run_group_tests(tests, open_hosts, remove_all);
}

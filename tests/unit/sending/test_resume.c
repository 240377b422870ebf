/* resume: what was saved comes back whole, for the same host, in time, or not at all (K13). */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "sending/resume.h"

#define FILE_NAME "192.0.2.1-25.tls"

enum { HOUR = 3600 };

static char place[32];
static struct resume peer = { .port = 25, .host = "mx.example", .age = HOUR };

static int
enter(void **state)
{
	(void)state;
	snprintf(place, sizeof(place), "/tmp/postern-resume-XXXXXX");
	if (mkdtemp(place) == NULL || netaddr_parse(span_of("192.0.2.1"), &peer.addr) < 0)
		return -1;
	peer.dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return peer.dir < 0;
}

static int
leave(void **state)
{
	(void)state;
	unlinkat(peer.dir, FILE_NAME, 0);
	close(peer.dir);
	return rmdir(place); /* so nothing else was left there */
}

/* Is this what is loaded? */
static bool
loads(const struct resume *r, struct span want)
{
	struct buf got = buf_new(RESUME_MAX);
	resume_load(r, &got);
	bool same = span_eq(buf_span(&got), want) && got.err == 0;
	buf_free(&got);
	return same;
}

static const struct span session = { "a session\0\n", 11 }, nothing = { "", 0 };

static void
test_comes_back(void **state)
{
	(void)state;
	struct stat st;
	assert_true(loads(&peer, nothing));
	resume_save(&peer, session);
	assert_true(loads(&peer, session));
	assert_int_equal(fstatat(peer.dir, FILE_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	resume_save(&peer, span_of("another"));
	assert_true(loads(&peer, span_of("another")));
	resume_forget(&peer);
	assert_true(loads(&peer, nothing));
	struct resume nowhere = peer;
	nowhere.dir = -1;
	resume_save(&nowhere, session);
	resume_forget(&nowhere);
	assert_true(loads(&nowhere, nothing));
}

static void
test_for_one_host(void **state)
{
	(void)state;
	struct resume other = peer;
	resume_save(&peer, session);
	other.host = "mx.exampl";
	assert_true(loads(&other, nothing));
	other.host = "MX.example";
	assert_true(loads(&other, nothing));
	other.host = peer.host;
	other.port = 465;
	assert_true(loads(&other, nothing));
}

/* M9: where keys must not be weak, nor may those be that a session was agreed on with. */
static void
test_weak(void **state)
{
	(void)state;
	struct resume weak = peer;
	weak.weak = true;
	resume_save(&weak, session);
	assert_true(loads(&weak, session));
	assert_true(loads(&peer, nothing));
	resume_save(&peer, session);
	assert_true(loads(&peer, session));
}

static void
test_size(void **state)
{
	(void)state;
	static char large[RESUME_MAX + 1];
	resume_save(&peer, (struct span){ large, RESUME_MAX });
	assert_true(loads(&peer, (struct span){ large, RESUME_MAX }));
	resume_forget(&peer);
	resume_save(&peer, (struct span){ large, RESUME_MAX + 1 });
	assert_true(loads(&peer, nothing));
}

static void
test_age(void **state)
{
	(void)state;
	static const struct { int back; bool good; } rows[] = { { 0, true }, { HOUR - 60, true },
		{ HOUR + 1, false }, { -HOUR, false } };
	resume_save(&peer, session);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct timespec then[2] = { { .tv_sec = time(NULL) - rows[i].back } };
		then[1] = then[0];
		assert_int_equal(utimensat(peer.dir, FILE_NAME, then, 0), 0);
		assert_true(loads(&peer, rows[i].good ? session : nothing));
	}
}

static void
put(const char *data, size_t n)
{
	int fd = openat(peer.dir, FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
}

/* Each bit, each length. */
static void
test_spoiled(void **state)
{
	(void)state;
	char data[200];
	resume_save(&peer, session);
	int fd = openat(peer.dir, FILE_NAME, O_RDONLY);
	ssize_t n = read(fd, data, sizeof(data) - 1);
	close(fd);
	assert_true(n > (ssize_t)session.n);
	for (ssize_t bit = 0; bit < n * 8; bit++) {
		data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
		put(data, (size_t)n);
		assert_true(loads(&peer, nothing));
		data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
	}
	for (ssize_t length = 0; length < n; length++) {
		put(data, (size_t)length);
		assert_true(loads(&peer, nothing));
	}
	put(data, (size_t)n + 1);
	assert_true(loads(&peer, nothing));
	put(data, (size_t)n);
	assert_true(loads(&peer, session));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_back, enter, leave),
		cmocka_unit_test_setup_teardown(test_for_one_host, enter, leave),
		cmocka_unit_test_setup_teardown(test_weak, enter, leave),
		cmocka_unit_test_setup_teardown(test_size, enter, leave),
		cmocka_unit_test_setup_teardown(test_age, enter, leave),
		cmocka_unit_test_setup_teardown(test_spoiled, enter, leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

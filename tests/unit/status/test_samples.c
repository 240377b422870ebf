/* samples: a ring of a day. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "status/samples.h"

static char dir[] = "/tmp/postern-samples-XXXXXX";
static const int64_t now = INT64_C(1796000050);
static struct sample found[SAMPLES_MAX];

static void
note(int64_t time, uint64_t accepted)
{
	const struct sample s = { .time = time, .accepted = accepted };
	assert_int_equal(samples_note(dir, &s), 0);
}

static void
test_ring(void **state)
{
	(void)state;
	assert_int_equal(samples_read(dir, now, found), 0); /* there is no file */
	note(now - 60, 1);
	note(now, 2);
	note(now + 20, 3); /* of the same minute: in its place */
	assert_int_equal(samples_read(dir, now + 20, found), 2);
	assert_int_equal(found[0].accepted, 1);
	assert_int_equal(found[1].accepted, 3);
	/* A day later the first is of another day, the second nearly. */
	assert_int_equal(samples_read(dir, now + 86400 - 60, found), 1);
	assert_int_equal(samples_read(dir, now + 86400, found), 0);
	/* A clock that was set back: what is of the future is not shown. */
	assert_int_equal(samples_read(dir, now - 3600, found), 0);
	for (int i = 0; i < 3 * SAMPLES_MAX; i++)
		note(now + i * 60, (uint64_t)i);
	assert_int_equal(samples_read(dir, now + (3 * SAMPLES_MAX - 1) * 60, found), SAMPLES_MAX);
	for (int i = 0; i < SAMPLES_MAX; i++)
		assert_int_equal(found[i].accepted, 2 * SAMPLES_MAX + i);
}

/* What is no file of ours is neither read nor written. */
static void
test_odd(void **state)
{
	(void)state;
	char path[sizeof(dir) + 32];
	const struct sample s = { .time = now };
	struct stat st;
	snprintf(path, sizeof(path), "%s/" SAMPLES_FILE, dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, SAMPLES_MAX * sizeof(s));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/tmp/elsewhere", path), 0);
	assert_int_equal(samples_note(dir, &s), -ELOOP);
	assert_int_equal(samples_read(dir, now, found), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(samples_read(dir, now, found), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(samples_note("/nonexistent", &s), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ring),
		cmocka_unit_test(test_odd) };
	if (mkdtemp(dir) == NULL)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}

/*
 * tally: what happened on a day is counted once for each time, by many at once, and what was cut
 * off or changed counts for nothing (R86).
 */
#include "tests/unit/tallied.h"

#include <pthread.h>
#include <sys/wait.h>

static int
count(const char *domain, const char *what)
{
	return tally_add(&tally, THEN, domain, span_of(what), span_of("brief"));
}

/* How often that was, over all files of the domain on that day; -1: no directory. */
static int64_t
counted(const char *domain, const char *what)
{
	char path[200];
	int64_t sum = 0, times;
	struct buf text = buf_new(TALLY_KEY);
	snprintf(path, sizeof(path), "2026-11-30/%s", domain);
	int fd = openat(tally.dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return -1;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (tally_read(fd, e->d_name, &text, &times) == 0 &&
			span_eq(buf_span(&text), span_of(what)))
			sum += times;
	closedir(dir);
	buf_free(&text);
	return sum;
}

static void
test_counts(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(count("a.example", "it worked\n"), 0);
	assert_int_equal(count("a.example", "it did not\n"), 0);
	assert_int_equal(count("b.example", "it worked\n"), 0);
	assert_int_equal(counted("a.example", "it worked\n"), 3);
	assert_int_equal(counted("a.example", "it did not\n"), 1);
	assert_int_equal(counted("b.example", "it worked\n"), 1);
	assert_int_equal(counted("c.example", "it worked\n"), -1);
	assert_int_equal(names("tmp"), 0);
	assert_int_equal(tally_add(&tally, THEN + TALLY_DAY_SECONDS, "a.example",
		span_of("it worked\n"), span_of("brief")), 0);
	assert_int_equal(counted("a.example", "it worked\n"), 3);
	assert_int_equal(names("tlsrpt"), 2);
	assert_int_equal(names("tlsrpt/2026-12-01"), 1);
}

/* What is new when there is no room for it is counted in brief; what is known goes on. */
static void
test_bounded(void **state)
{
	char what[32];
	(void)state;
	for (int i = 0; i < 2 * TALLY_FILES; i++) {
		snprintf(what, sizeof(what), "number %d", i);
		assert_int_equal(count("a.example", what), 0);
	}
	assert_int_equal(names("tlsrpt/2026-11-30/a.example"), TALLY_FILES + 1);
	assert_int_equal(counted("a.example", "number 63"), 1);
	assert_int_equal(counted("a.example", "number 64"), 0);
	assert_int_equal(counted("a.example", "brief"), TALLY_FILES);
	assert_int_equal(count("a.example", "number 0"), 0);
	assert_int_equal(counted("a.example", "number 0"), 2);
	for (int i = 0; i < 2 * TALLY_FILES; i++) { /* in brief, too, there is an end */
		snprintf(what, sizeof(what), "brief %d", i);
		int err = tally_add(&tally, THEN, "a.example", span_of("new"), span_of(what));
		assert_int_equal(err, i < TALLY_FILES - 1 ? 0 : -EMLINK);
	}
	assert_int_equal(names("tlsrpt/2026-11-30/a.example"), 2 * TALLY_FILES);
	tally.reserve = INT64_MAX / 2; /* nor on a disk that is full */
	assert_int_equal(count("b.example", "it"), -ENOSPC);
	assert_int_equal(counted("b.example", "it"), -1);
	assert_int_equal(count("a.example", "number 1"), 0);
}

/* Whatever was written by halves, or by somebody else, is passed by; of marks only ours count. */
static void
test_damage(void **state)
{
	static const struct {
		const char *text;
		int64_t times; /* 0: it is none */
	} rows[] = {
		{ "tally 3 dc4e5a67\nabc+", 0 },      /* another sum */
		{ "tally 3 364b3fb7\nabc+", 1 },
		{ "tally 3 364b3fb7\nabc+++", 3 },
		{ "tally 3 364b3fb7\nabc+\1x", 1 },
		{ "tally 3 364b3fb7\nabc+-x+", 2 },
		{ "tally 3 364b3fb7\nabc", 0 },
		{ "tally 3 364b3fb7\nab", 0 },
		{ "tally 3 364b3fb7\n", 0 },
		{ "tally 3 364b3fb7", 0 },
		{ "tally 3", 0 },
		{ "tally 0 00000000\n+", 0 },
		{ "tally 16385 364b3fb7\nabc+", 0 },
		{ "tally 99999 364b3fb7\nabc+", 0 },
		{ "tally -3 364b3fb7\nabc+", 0 },
		{ "tally 3 364b3fb7 abc+", 0 },
		{ "", 0 },
		{ "\n\n\n", 0 },
	};
	struct buf text = buf_new(TALLY_KEY);
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t times = 0;
		spill(sp.tmp, "it", span_of(rows[i].text));
		int err = tally_read(sp.tmp, "it", &text, &times);
		assert_int_equal(err, rows[i].times > 0 ? 0 : -ENODATA);
		if (err == 0)
			assert_int_equal(times, rows[i].times);
	}
	assert_int_equal(tally_read(sp.tmp, "missing", &text, &(int64_t){ 0 }), -ENODATA);
	assert_int_equal(tally_read(sp.root, "tmp", &text, &(int64_t){ 0 }), -ENODATA);
	buf_free(&text);
}

static void
test_days(void **state)
{
	char day[TALLY_DAY];
	(void)state;
	static const char *const odd[] = { "", "2026-11-3", "2026-11-31", "2026-13-01",
		"2026-11-00", "2026-11-30x", "2026/11/30", "@done", "..", "-026-11-30",
		"2026-1 -30" };
	tally_day(THEN, day);
	assert_string_equal(day, "2026-11-30");
	assert_int_equal(tally_begin("2026-11-30"), THEN - THEN % TALLY_DAY_SECONDS);
	assert_int_equal(tally_begin("1970-01-01"), 0);
	for (size_t i = 0; i < ROWS(odd); i++)
		assert_int_equal(tally_begin(odd[i]), -1);
}

enum { WRITERS = 4, EACH = 500 };

static void *
count_many(void *state)
{
	(void)state;
	for (int i = 0; i < EACH; i++)
		assert_int_equal(count("a.example", i % 2 == 0 ? "even" : "odd"), 0);
	return NULL;
}

/* Threads of two processes, all of whom begin with what is not there yet. */
static void
test_at_once(void **state)
{
	pthread_t thread[WRITERS];
	int status;
	(void)state;
	pid_t pid = fork();
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, count_many, NULL), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(counted("a.example", "even"), WRITERS * EACH);
	assert_int_equal(counted("a.example", "odd"), WRITERS * EACH);
	assert_int_equal(names("tlsrpt/2026-11-30/a.example"), 2);
	assert_int_equal(names("tmp"), 0);
}

static void
test_nowhere(void **state)
{
	(void)state;
	static const struct tally zero;
	struct tally none = { .spool = &sp, .dir = -EACCES };
	assert_false(tally_is_on(&zero) || tally_is_on(&none));
	assert_int_equal(tally_add(&none, THEN, "a.example", span_of("a"), span_of("b")), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counts),
		TEST(test_bounded),
		TEST(test_damage),
		TEST(test_days),
		TEST(test_at_once),
		TEST(test_nowhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

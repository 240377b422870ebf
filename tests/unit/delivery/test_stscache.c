/* stscache: policies that are kept, and that no file of them is believed blindly (R83, K13). */
#include "tests/unit/spooled.h"

#include "delivery/stscache.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

#define POLICY "version: STSv1\nmode: enforce\nmx: mx.a.example\nmax_age: 1000\n"
#define GOOD "id 7\nfetched 5000\n\n" POLICY

enum { NOW = 5500 };

static struct stscache cache;

static int
arrange(void **state)
{
	if (setup(state) < 0)
		return -1;
	stscache_open(&cache, sp.root);
	return cache.dir >= 0 ? 0 : -1;
}

static int
finish(void **state)
{
	stscache_close(&cache);
	return teardown(state);
}

static void
put_file(const char *name, struct span text)
{
	auto_fd fd = openat(cache.dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text.p, text.n), text.n);
}

static struct stscache_entry
entry_of(const char *id, const char *policy)
{
	struct stscache_entry e = STSCACHE_ENTRY_NONE;
	snprintf(e.id, sizeof(e.id), "%s", id);
	e.fetched = 5000;
	buf_puts(&e.text, policy);
	assert_null(sts_policy(buf_span(&e.text), &e.policy));
	return e;
}

static void
test_kept(void **state)
{
	(void)state;
	struct stscache_entry e = entry_of("7", POLICY), back;
	struct stat st;
	stscache_load(&cache, "a.example", &back);
	assert_true(back.id[0] == '\0' && back.tried == 0 && !stscache_is_valid(&back, NOW));
	assert_int_equal(stscache_save(&cache, "a.example", &e), 0);
	assert_true(span_eq(slurp(cache.dir, "a.example"), span_of(GOOD)));
	assert_int_equal(fstatat(cache.dir, "a.example", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_mtime, 6000); /* when its time is over */
	stscache_load(&cache, "a.example", &back);
	assert_string_equal(back.id, "7");
	assert_int_equal(back.policy.mode, STS_ENFORCE);
	assert_true(back.fetched == 5000 && back.policy.max_age == 1000 && back.tried == 0);
	assert_true(sts_allows(&back.policy, span_of("mx.a.example")));
	stscache_free(&back);
	e.tried = 7000;
	e.times = 3;
	snprintf(e.tried_id, sizeof(e.tried_id), "8");
	assert_int_equal(stscache_save(&cache, "a.example", &e), 0);
	stscache_load(&cache, "a.example", &back);
	assert_true(back.tried == 7000 && back.times == 3);
	assert_string_equal(back.tried_id, "8");
	assert_string_equal(back.id, "7");
	stscache_free(&back);
	assert_int_equal(names("sts"), 1);
	e.changed = 7000;
	e.changes = 2;
	e.id[0] = '\0'; /* nothing but that it was tried */
	assert_int_equal(stscache_save(&cache, "a.example", &e), 0);
	assert_true(span_eq(slurp(cache.dir, "a.example"),
		span_of("tried 7000 3 8\nchanged 7000 2\n\n")));
	stscache_load(&cache, "a.example", &back);
	assert_true(back.changed == 7000 && back.changes == 2);
	stscache_free(&e);
}

static const struct {
	int64_t now;
	bool valid;
	int64_t age;
} times[] = {
	{ 5000, true, 0 },
	{ 5999, true, 999 },
	{ 6000, false, 1000 },
	{ 4000, true, 0 }, /* the clock was set back: nobody gains by that */
	{ 0, true, 0 },
};

static void
test_time(void **state)
{
	(void)state;
	struct stscache_entry e = entry_of("7", POLICY);
	for (size_t i = 0; i < ROWS(times); i++) {
		assert_int_equal(stscache_is_valid(&e, times[i].now), times[i].valid);
		assert_int_equal(stscache_age(&e, times[i].now), times[i].age);
	}
	e.id[0] = '\0';
	assert_false(stscache_is_valid(&e, NOW));
	stscache_free(&e);
	e = entry_of("7", "version: STSv1\nmode: none\nmax_age: 0\n");
	assert_false(stscache_is_valid(&e, 5000));
	stscache_free(&e);
}

/* id: "" for none; tried, changed: 0 for never */
static const struct {
	const char *text, *id;
	int64_t tried, changed;
} files[] = {
	{ GOOD, "7", 0, 0 },
	{ "fetched 5000\nid 7\nnew thing\ntried 6 1 x\n\n" POLICY, "7", 6, 0 },
	{ "", "", 0, 0 },
	{ "\n", "", 0, 0 },
	{ "\n" POLICY, "", 0, 0 },
	{ POLICY, "", 0, 0 },
	{ "id 7\nfetched 5000\n" POLICY, "", 0, 0 },
	{ "id 7\nfetched 5000\n\n", "", 0, 0 },
	{ "id 7\n\n" POLICY, "", 0, 0 },
	{ "fetched 5000\n\n" POLICY, "", 0, 0 },
	{ "id 7\nfetched x\n\n" POLICY, "", 0, 0 },
	{ "id 7\nfetched -1\n\n" POLICY, "", 0, 0 },
	{ "id 7\nfetched 0\n\n" POLICY, "", 0, 0 },
	{ "id 7\nfetched 9223372036854775807\n\n" POLICY, "", 0, 0 },
	{ "id 123456789012345678901234567890123\nfetched 5000\n\n" POLICY, "", 0, 0 },
	{ "id 7\nfetched 5000\n\nversion: STSv1\nmode: enforce\n", "", 0, 0 },
	{ "tried 6 1 x\n\n", "", 6, 0 },
	{ "tried 6 1\n\n", "", 0, 0 },
	{ "tried 6 0 x\n\n", "", 0, 0 },
	{ "tried x 1 x\n\n", "", 0, 0 },
	{ "tried 6 1000001 x\n\n", "", 0, 0 },
	{ "changed 9 1\n\n", "", 0, 9 },
	{ "changed 9 0\n\n", "", 0, 0 },
	{ "changed 0 9\n\n", "", 0, 0 },
	{ "changed 9 1000001\n\n", "", 0, 0 },
	{ "changed 9\n\n", "", 0, 0 },
};

static void
test_odd(void **state)
{
	(void)state;
	struct stscache_entry e;
	for (size_t i = 0; i < ROWS(files); i++) {
		put_file("a.example", span_of(files[i].text));
		stscache_load(&cache, "a.example", &e);
		if (strcmp(e.id, files[i].id) != 0 || e.tried != files[i].tried ||
			e.changed != files[i].changed)
			fail_msg("\"%s\": id \"%s\", tried %lld", files[i].text, e.id,
				(long long)e.tried);
		assert_int_equal(stscache_is_valid(&e, NOW), files[i].id[0] != '\0');
		stscache_free(&e);
	}
	static char large[STS_TEXT + 600];
	memset(large, '\n', sizeof(large));
	memcpy(large, GOOD, strlen(GOOD));
	put_file("a.example", (struct span){ large, sizeof(large) });
	stscache_load(&cache, "a.example", &e);
	assert_string_equal(e.id, "");
	assert_int_equal(unlinkat(cache.dir, "a.example", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", cache.dir, "a.example"), 0);
	stscache_load(&cache, "a.example", &e);
	assert_string_equal(e.id, "");
	assert_int_equal(unlinkat(cache.dir, "a.example", 0), 0);
	assert_int_equal(mkdirat(cache.dir, "a.example", 0700), 0);
	stscache_load(&cache, "a.example", &e);
	assert_string_equal(e.id, "");
}

/* What cannot be written leaves what is there. */
static void
test_trouble(void **state)
{
	(void)state;
	struct stscache_entry e = entry_of("7", POLICY);
	const struct stscache nowhere = { .dir = -EACCES };
	assert_int_equal(stscache_save(&nowhere, "a.example", &e), -EACCES);
	assert_int_equal(mkdirat(cache.dir, "b.example", 0700), 0);
	assert_int_equal(stscache_save(&cache, "b.example", &e), -EISDIR);
	assert_int_equal(names("sts"), 1); /* and nothing beside it */
	assert_int_equal(stscache_save(&cache, "no/such.example", &e), -ENOENT);
	assert_int_equal(names("sts"), 1);
	stscache_free(&e);
}

static bool
is_known(const struct stscache *c, const char *domain, const char *id)
{
	struct stscache_entry e;
	stscache_load(c, domain, &e);
	bool known = strcmp(e.id, id) == 0 && (id[0] == '\0' || sts_allows(&e.policy,
		span_of("mx.a.example")));
	stscache_free(&e);
	return known;
}

/* What cannot be written is known all the same, until it is written or the process ends. */
static void
test_unwritten(void **state)
{
	(void)state;
	char name[32];
	int dir = cache.dir;
	struct stscache other;
	struct stscache_entry old = entry_of("6", POLICY), e = entry_of("7", POLICY),
		vain = STSCACHE_ENTRY_NONE;
	e.fetched = clock_wall(); /* the others are of no use any more */
	vain.tried = vain.times = 1;
	snprintf(vain.tried_id, sizeof(vain.tried_id), "8");
	assert_int_equal(stscache_save(&cache, "a.example", &old), 0);
	cache.dir = -ENOSPC;
	assert_int_equal(stscache_save(&cache, "a.example", &e), -ENOSPC);
	cache.dir = dir;
	assert_true(is_known(&cache, "a.example", "7"));
	stscache_look(&other, sp.root);
	assert_true(is_known(&other, "a.example", "6"));
	assert_int_equal(stscache_save(&cache, "a.example", &old), 0);
	assert_true(is_known(&cache, "a.example", "6"));
	/* as many as may be; in the place of what is of no use comes what is */
	cache.dir = -ENOSPC;
	assert_int_equal(stscache_save(&cache, "vain.example", &vain), -ENOSPC);
	for (int i = 1; i <= STSCACHE_UNWRITTEN; i++) {
		snprintf(name, sizeof(name), "%d.example", i);
		assert_int_equal(stscache_save(&cache, name, &e), -ENOSPC);
		assert_true(is_known(&cache, name, "7"));
	}
	assert_int_equal(stscache_save(&cache, "b.example", &e), -ENOSPC);
	assert_true(is_known(&cache, "b.example", ""));
	for (int i = 1; i <= STSCACHE_UNWRITTEN; i++) {
		snprintf(name, sizeof(name), "%d.example", i);
		assert_true(is_known(&cache, name, "7"));
	}
	snprintf(e.id, sizeof(e.id), "9");
	assert_int_equal(stscache_save(&cache, "1.example", &e), -ENOSPC);
	assert_true(is_known(&cache, "1.example", "9"));
	cache.dir = dir;
	stscache_close(&other);
	stscache_free(&old);
	stscache_free(&e);
}

/* ... or another process has fetched a policy since then: that is kept to, and what is odd is not. */
static void
test_written_by_another(void **state)
{
	(void)state;
	int dir = cache.dir;
	struct stscache other;
	struct stscache_entry e = entry_of("7", POLICY), vain = STSCACHE_ENTRY_NONE;
	vain.tried = vain.times = 1;
	snprintf(vain.tried_id, sizeof(vain.tried_id), "8");
	cache.dir = -ENOSPC;
	assert_int_equal(stscache_save(&cache, "a.example", &vain), -ENOSPC);
	assert_int_equal(stscache_save(&cache, "b.example", &e), -ENOSPC);
	cache.dir = dir;
	stscache_open(&other, sp.root);
	assert_int_equal(stscache_save(&other, "a.example", &e), 0);
	assert_true(is_known(&cache, "a.example", "7"));
	put_file("b.example", span_of("id 8\nfetched 6000\n\nnothing"));
	assert_true(is_known(&cache, "b.example", "7"));
	put_file("b.example", span_of("id 6\nfetched 4000\n\n" POLICY));
	assert_true(is_known(&cache, "b.example", "7"));
	put_file("b.example", span_of("id 9\nfetched 5001\n\n" POLICY));
	assert_true(is_known(&cache, "b.example", "9"));
	stscache_close(&other);
	stscache_free(&e);
}

/* There are as many as there may be: one more is not kept, and those that are can be renewed. */
static void
test_full(void **state)
{
	(void)state;
	char name[32];
	struct stscache_entry e = entry_of("7", POLICY);
	for (int i = 2; i < STSCACHE_FILES; i++) { /* beside "." and ".." */
		snprintf(name, sizeof(name), "%d.example", i);
		put_file(name, span_of("x"));
	}
	assert_int_equal(stscache_save(&cache, "a.example", &e), -EDQUOT);
	assert_int_equal(stscache_save(&cache, "9.example", &e), 0);
	assert_int_equal(unlinkat(cache.dir, "8.example", 0), 0);
	assert_int_equal(stscache_save(&cache, "a.example", &e), 0);
	stscache_free(&e);
}

/* What only failed leaves room for policies; what is known by then can fail again. */
static void
test_full_of_failures(void **state)
{
	(void)state;
	char name[32];
	struct stscache_entry good = entry_of("7", POLICY), bad = STSCACHE_ENTRY_NONE;
	bad.tried = bad.times = 1;
	snprintf(bad.tried_id, sizeof(bad.tried_id), "7");
	for (int i = 2; i < STSCACHE_VAIN; i++) { /* beside "." and ".." */
		snprintf(name, sizeof(name), "%d.example", i);
		put_file(name, span_of("x"));
	}
	assert_int_equal(stscache_save(&cache, "a.example", &bad), -EDQUOT);
	assert_int_equal(stscache_save(&cache, "9.example", &bad), 0);
	assert_int_equal(stscache_save(&cache, "a.example", &good), 0);
	good.tried = 1;
	snprintf(good.tried_id, sizeof(good.tried_id), "8");
	assert_int_equal(stscache_save(&cache, "b.example", &good), 0);
	assert_int_equal(unlinkat(cache.dir, "7.example", 0), 0);
	assert_int_equal(unlinkat(cache.dir, "8.example", 0), 0);
	assert_int_equal(unlinkat(cache.dir, "6.example", 0), 0);
	assert_int_equal(stscache_save(&cache, "c.example", &bad), 0);
	stscache_free(&good);
}

static void
test_sweep(void **state)
{
	(void)state;
	enum { DAY = 24 * 3600 };
	const int64_t now = clock_wall();
	const struct {
		const char *name;
		int64_t time;
		bool goes;
	} rows[] = {
		{ "old.example", now - DAY - 10, true },
		{ "young.example", now - DAY + 1000, false },
		{ "valid.example", now + DAY, false },
		{ ".new-0123456789abcdef", now - 2 * DAY, false }, /* it was made just now */
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		put_file(rows[i].name, span_of("x"));
		const struct timespec t[2] = { { .tv_sec = rows[i].time },
			{ .tv_sec = rows[i].time } };
		assert_int_equal(utimensat(cache.dir, rows[i].name, t, 0), 0);
	}
	stscache_sweep(&cache);
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(faccessat(cache.dir, rows[i].name, F_OK, 0) < 0, rows[i].goes);
	stscache_sweep(&(struct stscache){ .dir = -1 });
}

/* Who only looks makes nothing. */
static void
test_look(void **state)
{
	(void)state;
	struct stscache c;
	stscache_look(&c, -1);
	assert_true(c.dir < 0);
	stscache_look(&c, sp.tmp);
	assert_int_equal(c.dir, -ENOENT);
	stscache_look(&c, sp.root);
	assert_true(c.dir >= 0);
	stscache_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, arrange, finish),
		cmocka_unit_test_setup_teardown(test_time, arrange, finish),
		cmocka_unit_test_setup_teardown(test_odd, arrange, finish),
		cmocka_unit_test_setup_teardown(test_trouble, arrange, finish),
		cmocka_unit_test_setup_teardown(test_unwritten, arrange, finish),
		cmocka_unit_test_setup_teardown(test_written_by_another, arrange, finish),
		cmocka_unit_test_setup_teardown(test_full, arrange, finish),
		cmocka_unit_test_setup_teardown(test_full_of_failures, arrange, finish),
		cmocka_unit_test_setup_teardown(test_sweep, arrange, finish),
		cmocka_unit_test_setup_teardown(test_look, arrange, finish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

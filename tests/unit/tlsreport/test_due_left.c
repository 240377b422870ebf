/* due, outbox: whatever was left by one that died before goes out once (R86). */
#include "tests/unit/tlsreport/reporting.h"

static int
open_domain(void)
{
	int fd = openat(due.dir, DAY_NAME "/a.example", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Mail in the outbox of a.example, as it is between these steps. */
static int
half_way(bool sealed)
{
	struct spool box;
	static struct draft draft;
	count("a.example");
	int domain = open_domain();
	assert_int_equal(outbox_begin(&box, &sp, domain), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(draft_begin(&draft, &box, &(struct envelope){ .ours = true }), 0);
		assert_int_equal(draft_recipient(&draft, i == 0 ? "r.example" : "s.example",
			span_of("x@r.example"), &no_terms), 0);
		draft_body(&draft, span_of(BODY));
		assert_int_equal(draft_commit(&draft), 0);
	}
	buf_free(&draft.head);
	assert_int_equal(names("lane"), 0);
	if (sealed)
		assert_int_equal(outbox_seal(&box, domain), 0);
	else
		close(box.lanes);
	assert_int_equal(outbox_is_sealed(domain), sealed);
	return domain;
}

static void
test_died_before(void **state)
{
	(void)state;
	close(half_way(false));
	run();
	assert_int_equal(names("lane/r.example"), 1); /* a new one; that one was none yet */
	assert_int_equal(names("lane"), 1);
	assert_true(is_done());
}

static void
test_died_behind(void **state)
{
	(void)state;
	close(half_way(true));
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_int_equal(names("lane/s.example"), 1);
	assert_true(is_done());
}

/* Of two mails one was in its lane, and gone from there, before the other one was. */
static void
test_died_between(void **state)
{
	(void)state;
	int domain = half_way(true);
	struct stat st;
	char path[200];
	assert_int_equal(fstatat(domain, "@out/r.example", &st, 0), 0);
	snprintf(path, sizeof(path), "%s/" TALLY_DIR "/" DAY_NAME "/a.example/@out/r.example", top);
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	close(domain);
	run();
	assert_int_equal(names("lane"), 1);
	assert_int_equal(names("lane/s.example"), 1);
	assert_true(is_done());
}

/* What cannot be moved now is moved the next time; what was counted is gone meanwhile. */
static void
test_cannot_move(void **state)
{
	(void)state;
	int domain = half_way(true);
	spill(sp.lanes, "r.example", span_of("no directory"));
	assert_true(outbox_flush(&sp, domain) < 0);
	assert_int_equal(names("lane/s.example"), 1);
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/a.example"), 0);
	run();
	assert_false(is_done());
	assert_int_equal(unlinkat(sp.lanes, "r.example", 0), 0);
	run();
	assert_true(is_done());
	assert_int_equal(names("lane/r.example"), 1);
	close(domain);
}

static void
test_waits(void **state)
{
	(void)state;
	assert_false(tally_waits(&sp, due.now)); /* nothing is there */
	count("a.example");
	assert_false(tally_waits(&sp, over - 1));
	assert_true(tally_waits(&sp, over));
	int lock = tally_lock(&sp);
	assert_true(lock >= 0);
	assert_int_equal(tally_lock(&sp), -EAGAIN);
	close(lock);
	const struct { int64_t at; bool waits; } rows[] = { { 0, true }, { 1, false },
		{ 2 * TALLY_DAY_SECONDS, false }, { 2 * TALLY_DAY_SECONDS + 1, true } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		set_age(due.dir, TALLY_LOCK, clock_wall() - due.now - rows[i].at);
		assert_int_equal(tally_waits(&sp, due.now), rows[i].waits);
	}
	run();
	assert_true(is_done());
	assert_int_equal(unlinkat(due.dir, TALLY_LOCK, 0), 0);
	assert_false(tally_waits(&sp, due.now));
	assert_true(tally_waits(&sp, due.now + 30 * TALLY_DAY_SECONDS)); /* to sweep it */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_died_before),
		TEST(test_died_behind),
		TEST(test_died_between),
		TEST(test_cannot_move),
		TEST(test_waits),
	};
	return cmocka_run_group_tests(tests, start, stop);
}

/*
 * draft: what stands on disk after each step, and after each failure (A13, I9, I10, J13, J14, K3,
 * K4, K8).
 */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/resource.h>

#include "lib/crc.h"
#include "lib/lock.h"

static void
test_stages(void **state)
{
	(void)state;
	char path[64];
	static char big[DRAFT_BUFFER];
	struct stat st;
	memset(big, 'x', sizeof(big));
	begin("s@s.example");
	add("d.example", "u@d.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(names("tmp"), 0); /* nothing is written before it must be */
	assert_int_equal(names("lane"), 0);
	draft_body(&d, (struct span){ big, sizeof(big) });
	assert_int_equal(names("tmp"), 1);
	assert_int_equal(names("lane"), 0);
	snprintf(path, sizeof(path), "tmp/%s", d.id);
	assert_int_equal(fstatat(sp.root, path, &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	set_age(sp.root, path, 2 * SPOOL_TMP_AGE);
	spool_sweep(&sp); /* its writer lives (J14) */
	assert_int_equal(names("tmp"), 1);
	draft_drop(&d); /* A13, I10 */
	assert_int_equal(names("tmp"), 0);
	draft_drop(&d);

	struct draft *zeroed = calloc(1, sizeof(*zeroed));
	assert_non_null(zeroed);
	draft_drop(zeroed);
	free(zeroed);
}

static void
test_commit(void **state)
{
	(void)state;
	char want[1000], end[MESSAGE_END_SIZE + 1], path[300];
	struct stat st, st2;
	queue_two();
	assert_int_equal(names("tmp"), 0);
	assert_int_equal(names("lane"), 2);
	assert_int_equal(names("lane/d.example"), 1);
	assert_true(exists(sp.lanes, "d.example/" LANE_LOCK)); /* the lane's own name is on disk */
	snprintf(path, sizeof(path), "e.example/%s", d.id);
	assert_int_equal(fstatat(sp.lanes, path, &st2, 0), 0);
	snprintf(path, sizeof(path), "d.example/%s", d.id);
	assert_int_equal(fstatat(sp.lanes, path, &st, 0), 0);
	assert_int_equal(st.st_nlink, 2); /* one link for each lane */
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_int_equal(st.st_mode, S_IFREG | 0600);

	struct span have = slurp(sp.lanes, path);
	const char *arrived = memmem(have.p, have.n, "Arrived: ", 9);
	assert_non_null(arrived);
	snprintf(want, sizeof(want),
		"Postern-Message: 1\nId: %s\nArrived: %.10s\nFrom: s@s.example\n"
		"To: d.example u1@d.example\nTo: e.example u2@e.example\n"
		"To: d.example u3@D.example\nStates: www\n\n" BODY, d.id, arrived + 9);
	size_t n = strlen(want);
	message_end(end, strlen(BODY), crc32c(0, want, n), d.id);
	assert_int_equal(strlen(end), MESSAGE_END_SIZE);
	snprintf(want + n, sizeof(want) - n, "%s", end);
	assert_true(span_eq(have, span_of(want)));
	draft_drop(&d); /* does nothing to what is committed */
	assert_true(exists(sp.lanes, path));
}

/* A body longer than the buffer, in pieces of every size around it. */
static void
test_pieces(void **state)
{
	(void)state;
	static char body[3 * DRAFT_BUFFER], got[sizeof(body)];
	static const size_t pieces[] = { 1, 100, DRAFT_BUFFER - 1, DRAFT_BUFFER, DRAFT_BUFFER + 1,
		sizeof(body) };
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i % 23);
	for (size_t i = 0; i < ROWS(pieces); i++) {
		struct lane l;
		struct message m;
		begin("");
		add("d.example", "u@d.example");
		for (size_t at = 0; at < sizeof(body); at += pieces[i])
			draft_body(&d, (struct span){ body + at,
				sizeof(body) - at < pieces[i] ? sizeof(body) - at : pieces[i] });
		assert_int_equal(draft_commit(&d), 0);
		open_lane(&l, "d.example");
		assert_int_equal(message_open(&m, &l, d.id), 0);
		assert_int_equal(m.length, sizeof(body));
		assert_int_equal(m.env.sender.n, 0);
		size_t n = 0;
		for (ssize_t r; (r = message_read(&m, n, got + n, pieces[i])) > 0;)
			n += (size_t)r;
		assert_int_equal(n, sizeof(body));
		assert_memory_equal(got, body, n);
		message_close(&m);
		lane_close(&l);
	}
}

/* Nothing is left of a message that could not be committed. */
static void
failed(int want)
{
	assert_int_equal(draft_commit(&d), want);
	assert_int_equal(names("tmp"), 0);
	assert_int_equal(names("lane/a.example"), -1);
	assert_int_equal(names("lane/c.example"), -1);
}

static void
test_failure(void **state)
{
	(void)state;
	static char big[2 * DRAFT_BUFFER];
	struct rlimit old, small = { 1000, RLIM_INFINITY };
	assert_int_equal(symlinkat("/tmp", sp.lanes, "b.example"), 0); /* planted, K4 */
	begin("s@s.example");
	add("a.example", "u@a.example");
	add("b.example", "u@b.example");
	add("c.example", "u@c.example");
	draft_body(&d, span_of(BODY));
	failed(-ENOTDIR);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0); /* K8 */
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	begin("s@s.example");
	add("a.example", "u@a.example");
	for (int i = 0; i < 3; i++) /* the first error is kept, the rest is free */
		draft_body(&d, (struct span){ big, sizeof(big) });
	failed(-EFBIG);
	begin("s@s.example");
	add("a.example", "u@a.example");
	draft_body(&d, (struct span){ big, 1000 }); /* one write, of which a part fits */
	failed(-EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	queue_two(); /* and all is well again */
	assert_int_equal(names("lane/d.example"), 1);
}

/* Somebody else has this name: not ours to take away (J13). */
static void
test_name_taken(void **state)
{
	(void)state;
	begin("s@s.example");
	add("a.example", "u@a.example");
	spill(sp.tmp, d.id, span_of("x"));
	assert_int_equal(draft_commit(&d), -EEXIST);
	assert_int_equal(names("tmp"), 1);
	assert_int_equal(unlinkat(sp.tmp, d.id, 0), 0);

	begin("s@s.example"); /* a name in the first of its lanes is taken */
	add("a.example", "u@a.example");
	add("c.example", "u@c.example");
	assert_int_equal(mkdirat(sp.lanes, "a.example", 0700), 0);
	int dir = openat(sp.lanes, "a.example", O_RDONLY | O_DIRECTORY);
	spill(dir, d.id, span_of("x"));
	close(dir);
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), -EEXIST);
	assert_int_equal(names("tmp"), 0);
	assert_int_equal(names("lane/c.example"), -1);
	queue_two();
	assert_int_equal(names("lane/d.example"), 1);
}

/* I9 */
static void
test_no_more_files(void **state)
{
	(void)state;
	struct rlimit old;
	begin("s@s.example");
	add("a.example", "u@a.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, old.rlim_max }), 0);
	int r = draft_commit(&d);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(names("tmp"), 0);
	queue_two();
	assert_int_equal(names("lane/d.example"), 1);
}

static void
test_limits(void **state)
{
	(void)state;
	char lane[LANE_NAME_SIZE], address[400];
	struct stat st;
	begin("s@s.example");
	for (int i = 0; i < DRAFT_LANES; i++) {
		snprintf(lane, sizeof(lane), "d%d.example", i);
		snprintf(address, sizeof(address), "u@%s", lane);
		add(lane, address);
	}
	size_t before = d.head.n;
	assert_int_equal(draft_recipient(&d, "more.example", span_of("u@more.example"),
				 &no_terms), -E2BIG);
	assert_int_equal(d.head.n, before);
	add("d7.example", "v@d7.example"); /* where it goes anyway */
	assert_int_equal(d.recipients, DRAFT_LANES + 1);
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
	snprintf(address, sizeof(address), "d99.example/%s", d.id);
	assert_int_equal(fstatat(sp.lanes, address, &st, 0), 0);
	assert_int_equal(st.st_nlink, DRAFT_LANES);

	/* Recipients up to the last octet: what was accepted is in the file. */
	begin("s@s.example");
	memset(address, 'u', sizeof(address));
	size_t line = strlen("To: d.example \n"), room;
	int accepted = 0, r = 0;
	while (r == 0) {
		room = MESSAGE_HEAD - d.head.n;
		size_t n = room < 2 * line + 300 && room > line ? room - line : 200;
		r = draft_recipient(&d, "d.example", (struct span){ address, n }, &no_terms);
		accepted += r == 0;
	}
	assert_int_equal(r, -E2BIG);
	assert_int_equal(d.head.n, MESSAGE_HEAD);
	assert_int_equal(d.recipients, accepted);
	assert_int_equal(draft_recipient(&d, "f.example", span_of("u"), &no_terms), -E2BIG);
	assert_int_equal(d.lanes, 1);
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
	struct lane l;
	struct message m;
	open_lane(&l, "d.example");
	assert_int_equal(message_open(&m, &l, d.id), 0);
	assert_int_equal(m.n, accepted);
	message_close(&m);
	lane_close(&l);
}

/* S4: what must stay free is asked for while it is written; what was written goes at once. */
static void
test_reserve(void **state)
{
	(void)state;
	static const struct {
		int64_t reserve; /* -1: not said */
		int err;
	} rows[] = { { -1, 0 }, { 0, 0 }, { INT64_MAX / 4, -ENOSPC } };
	static char piece[DRAFT_BUFFER];
	memset(piece, 'x', sizeof(piece));
	for (size_t i = 0; i < ROWS(rows); i++) {
		begin("s@s.example");
		add("d.example", "u@d.example");
		if (rows[i].reserve >= 0)
			draft_leave_free(&d, rows[i].reserve);
		draft_body(&d, (struct span){ piece, sizeof(piece) });
		assert_int_equal(names("tmp"), rows[i].err == 0);
		draft_body(&d, (struct span){ piece, sizeof(piece) });
		assert_int_equal(draft_commit(&d), rows[i].err);
		assert_int_equal(names("tmp"), 0);
	}
	assert_int_equal(names("lane/d.example"), 2);
}

/* Recipients, and lanes, are taken back to a mark, and only those behind it. */
static void
test_mark(void **state)
{
	(void)state;
	begin("s@s.example");
	add("d.example", "u@d.example");
	struct draft_mark m = draft_mark(&d);
	assert_true(draft_has(&d, "d.example", span_of("u@d.example")));
	assert_false(draft_has(&d, "d.example", span_of("u@d.exampl")));
	assert_false(draft_has(&d, "d.example", span_of("@d.example")));
	assert_false(draft_has(&d, "e.example", span_of("u@d.example")));
	add("d.example", "v@d.example");
	add("e.example", "w@e.example");
	assert_true(draft_has(&d, "e.example", span_of("w@e.example")));
	draft_return(&d, &m);
	assert_int_equal(d.recipients, 1);
	assert_int_equal(d.lanes, 1);
	assert_false(draft_has(&d, "e.example", span_of("w@e.example")));
	assert_false(draft_has(&d, "d.example", span_of("v@d.example")));
	add("f.example", "x@f.example");
	draft_body(&d, span_of(BODY));
	assert_int_equal(draft_commit(&d), 0);
	assert_int_equal(names("lane"), 2);
	assert_int_equal(names("lane/f.example"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reserve),
		TEST(test_stages),
		TEST(test_commit),
		TEST(test_pieces),
		TEST(test_failure),
		TEST(test_name_taken),
		TEST(test_no_more_files),
		TEST(test_limits),
		TEST(test_mark),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests_name("draft", tests, NULL, NULL);
}

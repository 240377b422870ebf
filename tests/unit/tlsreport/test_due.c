/*
 * due: whose report is due when, once, also where it cannot be told now who wants it, or names
 * cannot be read (R86).
 */
#include "tests/unit/tlsreport/reporting.h"

static void
test_time(void **state)
{
	(void)state;
	int64_t least = INT64_MAX, most = 0;
	char domain[32];
	for (int i = 0; i < 1000; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		int64_t at = due_time("us.example", domain, 0);
		least = at < least ? at : least;
		most = at > most ? at : most;
		assert_int_equal(at, due_time("us.example", domain, 0));
	}
	assert_true(least >= DUE_FIRST && least < DUE_FIRST + DUE_SPREAD / 50);
	assert_true(most < DUE_FIRST + DUE_SPREAD && most > DUE_FIRST + DUE_SPREAD / 50 * 49);
	assert_int_not_equal(due_time("us.example", "a.example", 0),
		due_time("others.example", "a.example", 0));
}

/* Each in its own time; the day is done when all are. */
static void
test_own_time(void **state)
{
	(void)state;
	int64_t a = due_time(us, "a.example", over), b = due_time(us, "b.example", over);
	int64_t first = a < b ? a : b, second = a < b ? b : a;
	count("a.example");
	count("b.example");
	count("nobody.example");
	due.now = over + DUE_FIRST - 1;
	run();
	assert_int_equal(names("lane"), 0);
	assert_int_equal(due.next, over + DUE_FIRST);
	due.now = first - 1;
	run();
	assert_int_equal(names("lane"), 0);
	assert_true(due.next <= first);
	due.now = first;
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_false(is_done());
	due.now = second;
	run();
	assert_int_equal(names("lane/r.example"), 2);
	due.now = over + DUE_FIRST + DUE_SPREAD;
	run();
	assert_true(is_done());
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME), 0);
	assert_int_equal(due.next, over + TALLY_DAY_SECONDS + DUE_FIRST);
	run();
	assert_int_equal(names("lane/r.example"), 2);
	/* whoever was stopped all the time, and counts only now, brings no second one about */
	count("a.example");
	run();
	assert_int_equal(names("lane/r.example"), 2);
	due.now = over + DUE_END + 1;
	run();
	assert_int_equal(names(TALLY_DIR), 0);
}

static void
test_nobody(void **state)
{
	(void)state;
	count("nobody.example");
	count("odd.example");
	run();
	assert_int_equal(names("lane"), 0);
	assert_true(is_done());
}

/* Asked again when as long has passed as it was due, an hour at least, and for two days. */
static void
test_fails(void **state)
{
	(void)state;
	count("fails.example");
	run();
	assert_false(is_done());
	int64_t wait = wait_of("fails.example");
	assert_int_equal(due.next, due.now + wait);
	int asked = ns.counts->udp;
	due.now += wait - 1;
	due_run(&due); /* it stands in the time of its directory */
	assert_int_equal(ns.counts->udp, asked);
	due.now++;
	due_run(&due);
	assert_true(ns.counts->udp > asked);
	assert_int_equal(due.next, due.now + 2 * wait);
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/fails.example"), 1);
	due.now = over + DUE_END;
	due_run(&due);
	assert_false(is_done());
	assert_null(strstr(lines, "given up"));
	due.now++;
	due_run(&due);
	assert_int_equal(names(TALLY_DIR), 0);
	assert_non_null(strstr(lines, "on " DAY_NAME ": given up for domains of which it could "
		"not be told"));
}

static void
test_two_places(void **state)
{
	struct message m;
	struct lane lane;
	(void)state;
	count("two.example");
	run();
	assert_int_equal(names("lane/r.example"), 1);
	open_lane(&lane, "s.example");
	DIR *dir = fdopendir(dup(lane.dir));
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (id_valid(span_of(e->d_name))) {
			assert_int_equal(message_open(&m, &lane, e->d_name), 0);
			assert_int_equal(m.env.sender.n, 0);
			assert_true(m.env.ours && m.rcpt[0].terms.notify == NOTIFY_NEVER);
			assert_true(span_eq(m.rcpt[0].address, span_of("y@s.example")));
			message_close(&m);
		}
	closedir(dir);
	lane_close(&lane);
	assert_true(is_done());
}

/* No room for it: it is tried again, and nothing of it goes out meanwhile. */
static void
test_no_room(void **state)
{
	(void)state;
	count("a.example");
	conf.tls_reports.from = NULL;
	static char longest[70000];
	memset(longest, 'x', sizeof(longest) - 1);
	conf.tls_reports.from = longest; /* a head that is too large */
	run();
	assert_int_equal(names("lane"), 0);
	assert_false(is_done());
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/a.example"), 1);
	assert_false(exists(due.dir, DAY_NAME "/a.example/@new"));
	conf.tls_reports.from = from;
	run();
	assert_int_equal(names("lane/r.example"), 1);
}

/* What cannot be opened now is not one that is not there: its report is made later. */
static void
test_cannot_open(void **state)
{
	static const char *const rows[] = { "a.example", DAY_NAME, "." };
	(void)state;
	count("a.example");
	for (size_t i = 0; i < ROWS(rows); i++) {
		shut = rows[i];
		due_run(&due);
		shut = NULL;
		assert_false(is_done());
		assert_int_equal(names("lane"), 0);
		assert_int_equal(due.next, due.now + DUE_AGAIN);
		assert_non_null(strstr(lines, strerror(EMFILE)));
	}
	run();
	assert_int_equal(names("lane/r.example"), 1);
	assert_true(is_done());
}

/* Wherever reading names fails: what is not read is not what is not there. */
static void
test_cannot_read(void **state)
{
	enum { MOST = 1000 };
	(void)state;
	bool broken = true;
	for (int n = 0; n < MOST && broken; n++) {
		count("a.example");
		count("p1.example");
		count("fails.example");
		posts.n = 0;
		readable = n;
		run();
		broken = readable == -1;
		readable = -1;
		assert_false(is_done());
		due.now += DUE_AGAIN_MOST; /* for what was put off */
		run();
		assert_false(is_done());
		assert_int_equal(names("lane/r.example"), 1);
		assert_int_equal(posts.n, 1);
		end_due(state);
		begin_due(state);
	}
	assert_false(broken);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_time),
		TEST(test_own_time),
		TEST(test_nobody),
		TEST(test_fails),
		TEST(test_two_places),
		TEST(test_no_room),
		TEST(test_cannot_open),
		TEST(test_cannot_read),
	};
	return cmocka_run_group_tests(tests, start, stop);
}

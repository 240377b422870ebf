/* due: what goes to web servers, and who is kept waiting by whom (R86). */
#include "tests/unit/tlsreport/reporting.h"

/* What was written for a web server goes there behind the seal, until it is taken. */
static void
test_posts(void **state)
{
	struct spool box;
	(void)state;
	count("a.example");
	int domain = openat(due.dir, DAY_NAME "/a.example", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(outbox_begin(&box, &sp, domain), 0);
	assert_int_equal(outbox_put(&box, 1, "https://b.example/", span_of("one\n1")), 0);
	assert_int_equal(outbox_put(&box, 2, "https://c.example/", span_of("two")), 0);
	assert_int_equal(outbox_put(&box, 2, "https://c.example/", span_of("two")), -EEXIST);
	assert_int_equal(outbox_seal(&box, domain), 0);
	posts.answer = -EAGAIN;
	run();
	assert_int_equal(posts.n, 2);
	assert_int_equal(names(TALLY_DIR "/" DAY_NAME "/a.example"), 0);
	assert_false(is_done());
	assert_int_equal(due.next, due.now + wait_of("a.example"));
	assert_int_equal(unlinkat(domain, "@out/@post-2", 0), 0);
	posts.answer = 0;
	run();
	assert_int_equal(posts.n, 2);
	due.now += wait_of("a.example");
	run();
	assert_int_equal(posts.n, 3);
	assert_string_equal(posts.urls, "b.example/ c.example/ b.example/ ");
	assert_true(is_done());
	close(domain);
}

/* What a server refuses is over; one that cannot be asked gets it later, by a longer try. */
static void
test_refused(void **state)
{
	(void)state;
	count("p1.example");
	posts.answer = -EAGAIN;
	run();
	assert_int_equal(posts.seconds, DUE_QUICK);
	due.now += wait_of("p1.example");
	posts.answer = -EPERM;
	run();
	assert_int_equal(posts.seconds, FETCH_TIME);
	assert_int_equal(posts.n, 2);
	assert_true(is_done());
	assert_non_null(strstr(lines, "not posted now to https://p1.example/: so it is\n"));
	assert_non_null(strstr(lines, "not posted to https://p1.example/: so it is\n"));
}

/* Mail is in its lane before anybody's web server is waited for. */
static void
test_mail_first(void **state)
{
	int status;
	(void)state;
	count("both.example");
	count("a.example");
	posts.deadly = true;
	pid_t pid = fork();
	if (pid == 0) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(names("lane/r.example"), 2);
}

/* What a run dies of is not the first of the next one, nor of any for an hour. */
static void
test_deadly(void **state)
{
	int status;
	(void)state;
	count("p1.example");
	count("p2.example");
	posts.deadly = true;
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			run();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 1); /* each of them once */
	}
	posts.deadly = false;
	due_run(&due);
	assert_int_equal(posts.n, 0);
	assert_true(due.next > due.now && due.next <= due.now + DUE_AGAIN_MOST);
	due.now += DUE_AGAIN_MOST;
	due_run(&due);
	assert_int_equal(posts.n, 2);
	assert_true(is_done());
}

/* A domain that took all the time of a try has no other one in this run; one place of it that is
 * silent keeps nothing from another one. */
static void
test_silent_place(void **state)
{
	(void)state;
	count("pair.example");
	posts.answer = -ETIMEDOUT;
	posts.good = "/b";
	run();
	assert_string_equal(posts.urls, "pair.example/a ");
	assert_int_equal(due.next, due.now); /* the next run begins at once */
	run();
	assert_string_equal(posts.urls, "pair.example/a pair.example/b ");
	assert_int_equal(due.next, due.now + wait_of("pair.example"));
	due.now += wait_of("pair.example");
	run();
	assert_string_equal(posts.urls, "pair.example/a pair.example/b pair.example/a ");
}

/* However many are silent, in each run somebody is asked who never was, and somebody who was. */
static void
test_shares(void **state)
{
	static const char *const silent[] = { "p1.example", "p2.example", "p3.example" };
	(void)state;
	posts.answer = -ETIMEDOUT;
	posts.good = "late";
	for (size_t i = 0; i < ROWS(silent); i++)
		count(silent[i]);
	due.share = 0;
	for (int i = 1; i <= 3; i++) { /* a look-up and a post in each run */
		run();
		assert_int_equal(posts.n, i);
		assert_int_equal(due.next <= due.now, i < 3);
	}
	due.now += DUE_AGAIN_MOST;
	count("late.example");
	run();
	assert_int_equal(posts.n, 5);
	assert_non_null(strstr(posts.urls, "late.example/"));
	assert_int_equal(due.next, due.now);
	posts.answer = 0;
	run();
	run();
	assert_int_equal(posts.n, 7);
	assert_int_equal(due.next, due.now + DUE_AGAIN_MOST); /* that of the one in vain */
	for (size_t i = 0; i < ROWS(silent); i++) { /* each one twice, nobody three times */
		const char *first = strstr(posts.urls, silent[i]);
		assert_non_null(first);
		const char *second = strstr(first + 1, silent[i]);
		assert_non_null(second);
		assert_null(strstr(second + 1, silent[i]));
	}
}

/* This host cannot post: it tries again before the day is over, however little there is to post. */
static void
test_cannot_post_one(void **state)
{
	(void)state;
	count("p1.example");
	posts.answer = -ECHILD;
	run();
	assert_int_equal(posts.n, 1);
	assert_int_equal(due.next, due.now + DUE_AGAIN);
}

/* ... and nobody was tried, and nobody else is. */
static void
test_cannot_post(void **state)
{
	(void)state;
	count("p1.example");
	count("p2.example");
	posts.answer = -ECHILD;
	run();
	assert_int_equal(posts.n, 1);
	assert_int_equal(due.next, due.now + DUE_AGAIN);
	posts.answer = 0;
	run();
	assert_int_equal(posts.n, 3);
	assert_int_equal(posts.seconds, DUE_QUICK); /* it is the first try still */
	assert_true(is_done());
}

/* What nobody took for two days is given up, and that is said. */
static void
test_given_up(void **state)
{
	(void)state;
	count("p1.example");
	posts.answer = -EAGAIN;
	run();
	due.now = over + DUE_END;
	run();
	assert_int_equal(posts.n, 2);
	assert_null(strstr(lines, "given up"));
	due.now++;
	run();
	assert_int_equal(posts.n, 2);
	assert_int_equal(names(TALLY_DIR), 0);
	assert_non_null(strstr(lines, "for p1.example on " DAY_NAME ": given up, for it could not "
		"be posted in time to https://p1.example/\n"));
	assert_null(strstr(lines, "given up for domains"));
}

/* A guard that is set meanwhile holds back what is there, and has none made for web servers. */
static void
test_guarded(void **state)
{
	static char guard[] = "sink";
	(void)state;
	count("p1.example");
	posts.answer = -EAGAIN;
	run();
	due.now += DUE_AGAIN_MOST;
	conf.submission.guard = guard;
	count("p2.example");
	run();
	assert_int_equal(posts.n, 1);
	assert_false(is_done());
	conf.submission.guard = NULL;
	posts.answer = 0;
	due_run(&due);
	assert_string_equal(posts.urls, "p1.example/ p1.example/ ");
	assert_true(is_done());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_posts),
		TEST(test_refused),
		TEST(test_mail_first),
		TEST(test_deadly),
		TEST(test_silent_place),
		TEST(test_shares),
		TEST(test_cannot_post_one),
		TEST(test_cannot_post),
		TEST(test_given_up),
		TEST(test_guarded),
	};
	return cmocka_run_group_tests(tests, start, stop);
}

/*
 * sending: what the caller learns of a host by what became of the jobs: whether the connection was
 * of use, how much it gets at once, what is refused, and at which words (L2, L9, L10, L13, L15, L16).
 */
#include "tests/unit/sending/jobs.h"

#include <errno.h>
#include <signal.h>

#include "lib/clock.h"

/* How long the last word about a text was waited for, s; and does none come in time? */
static int64_t patience;
static bool late;

int __real_link_reply(struct link *k, const char *to_what, int64_t seconds);
int __wrap_link_reply(struct link *k, const char *to_what, int64_t seconds);

int
__wrap_link_reply(struct link *k, const char *to_what, int64_t seconds)
{
	bool end = strcmp(to_what, "end of data") == 0;
	if (end)
		patience = seconds;
	if (!end || !late)
		return __real_link_reply(k, to_what, seconds);
	k->silent = true;
	link_say(k, to_what, "timed out");
	return -EIO;
}

/* All jobs, by a host that does so, and then `l` tells what was learned. */
static void
try_host(enum way way, const char *exceptions, const struct message *m)
{
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	connect_to(way, exceptions, JOBS);
	make_jobs(jobs, rcpt, m);
	send_all(jobs, JOBS, got);
	free_jobs(rcpt);
}

/* A connection by which nothing was brought to an end says something of its host (L9, L15). */
static void
test_of_use(void **state)
{
	(void)state;
	static const struct { const char *host; enum way way; bool want; } cases[] = {
		{ NULL, LOCK_STEP, true },
		{ "MAIL1=550 no", LOCK_STEP, true },
		{ "MAIL1=close", LOCK_STEP, false },
		{ "MAIL1=421 bye!", LOCK_STEP, false },
		{ "RCPT2=421 bye!", LOCK_STEP, false },
		{ "END1=421 bye!", LOCK_STEP, false },
		{ "END2=421 bye!", LOCK_STEP, true },
		{ "END1=250 ok|END2=421 bye!", LMTP, true },
		{ "END1=250 ok/250 more", GROUPS, true },
		{ "END1=250 ok/250 more", LMTP, false },
		{ NOBODY "/250 more", GROUPS, false },
		{ "RSET1=550 no", WINDOW, false },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		try_host(cases[i].way, cases[i].host, &m);
		if (link_was_of_use(&l) != cases[i].want)
			fail_msg("%s", cases[i].host);
		part();
	}
	close(m.fd);
}

/*
 * A connection that served another target and ends before it said anything of this one, or says
 * goodbye, is nobody's fault: a new one will show (L8, L9).
 */
static void
test_turned(void **state)
{
	(void)state;
	static const struct { const char *host, *want; } cases[] = {
		{ NULL, "A+DD" },
		{ "MAIL2=close", "USS" },
		{ "MAIL2=421 bye!", "USS" },
		{ "MAIL2=550 enough", "USS" },
		{ "RCPT3=421 bye!", "USS" },
		{ "RCPT3=close", "LSS" },
		{ "MAIL1=close|MAIL2=close", "USS" }, /* it has served nobody, and is gone */
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way <= GROUPS; way++) {
			struct rcpt rcpt[JOBS][RCPTS];
			struct job jobs[JOBS];
			char got[128];
			connect_to(way, cases[i].host, 1);
			make_jobs(jobs, rcpt, &m);
			send_all(jobs, 1, got);
			link_turn_to(&l, "b.example", NULL);
			assert_false(link_was_of_use(&l));
			send_all(jobs + 1, 1, got);
			if (strcmp(got, cases[i].want) != 0)
				fail_msg("way %d, %s: %s", (int)way, cases[i].host, got);
			free_jobs(rcpt);
			part();
		}
	close(m.fd);
}

/* ... but one that was turned before it did anything says something of its host (L15). */
static void
test_turned_in_vain(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	struct message m = make_message(strlen(BODY));
	connect_to(LOCK_STEP, "MAIL1=close", 1);
	link_turn_to(&l, "b.example", NULL);
	make_jobs(jobs, rcpt, &m);
	send_all(jobs, 1, got);
	assert_string_equal(got, "LSS");
	free_jobs(rcpt);
	part();
	close(m.fd);
}

/*
 * A host that says its list but once, and answers by a line alone from then on: that is no proof,
 * and it is not waited for as long as a list may take (L11, L21).
 */
static void
test_short_hello(void **state)
{
	(void)state;
	static const struct { const char *host, *want; enum way way; unsigned lesson; } cases[] = {
		{ NOBODY "|HELLO1=250 hello again", "USS USS USS", GROUPS, LESSON_LOCKSTEP },
		{ "HELLO1=250 hello again", "A+DD A+DD A+DD", WINDOW, LESSON_SINGLE },
		{ "RCPT1=550 no|HELLO1=250 hello again", "A+SD A+DD A+DD", WINDOW, LESSON_SINGLE },
		{ "HELLO1=250 hello again", "A+DD USS USS", LMTP, LESSON_LOCKSTEP },
	};
	struct message m = make_message(strlen(BODY));
	int64_t quit = patient.timeout_quit;
	patient.timeout_quit = 1;
	for (size_t i = 0; i < ROWS(cases); i++) {
		int64_t start = clock_ms();
		check(cases[i].way, cases[i].host, &m, cases[i].want);
		assert_true(clock_ms() - start < 500 * patient.timeout_helo);
		assert_int_equal(l.lessons, cases[i].lesson);
	}
	patient.timeout_quit = quit;
	close(m.fd);
}

/* How much at once the host gets from now on. */
static void
test_lessons(void **state)
{
	(void)state;
	static const struct { const char *host; enum way way; unsigned want; } cases[] = {
		{ NULL, GROUPS, 0 },
		{ NULL, WINDOW, 0 },
		{ "RCPT2=close", LOCK_STEP, 0 },
		{ "RCPT2=close", GROUPS, LESSON_LOCKSTEP },
		{ "RCPT2=close", WINDOW, LESSON_SINGLE },
		{ "RCPT2=421 bye!", GROUPS, 0 },
		{ "MAIL2=close", GROUPS, 0 }, /* between two messages, as many do */
		{ "MAIL2=close", WINDOW, LESSON_SINGLE },
		{ "RCPT1=550 no|HELLO1=close", WINDOW, LESSON_SINGLE },
		{ "RCPT1=550 no|HELLO1=503 twice", WINDOW, LESSON_SINGLE },
		{ "END1=550 no/250 more", GROUPS, LESSON_LOCKSTEP },
		{ "RCPT1=503 what?", LOCK_STEP, 0 },
		{ "RCPT1=503 what?", GROUPS, LESSON_LOCKSTEP },
		{ "MAIL1=503 what?", WINDOW, LESSON_LOCKSTEP },
		{ "RCPT1=453 what?", GROUPS, 0 },
		{ "END1=500 what?", WINDOW, LESSON_NO_CHUNKS },
		{ "HELLO1=421 bye!", WINDOW, 0 },
	};
	struct message m = make_message(strlen(BODY)), cut = make_message(strlen(BODY) / 2);
	cut.length = strlen(BODY);
	for (size_t i = 0; i < ROWS(cases); i++) {
		try_host(cases[i].way, cases[i].host, &m);
		if (l.lessons != cases[i].want)
			fail_msg("%s: %u", cases[i].host, l.lessons);
		part();
	}
	/* our own file that ends says nothing of the host */
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		try_host(way, NULL, &cut);
		assert_int_equal(l.lessons, 0);
		part();
	}
	close(m.fd);
	close(cut.fd);
}

/* A refusal that may be about more than the mail is not for good, and is told (L2, L13). */
static void
test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool own, clear, remembered;
		const char *want;
		unsigned about, avoided;
	} cases[] = {
		{ "RCPT1=554 relay access denied", false, false, false, "A+HD", 0, 0 },
		{ "RCPT1=554 relay access denied", true, false, false, "A+SD", REFUSAL_US, 0 },
		{ "RCPT1=530 who are you?", true, false, false, "A+SD", REFUSAL_US, 0 },
		{ "RCPT1=550 5.1.1 nobody", true, true, true, "A+HD", 0, 0 },
		{ "RCPT1=550 no", false, true, false, "A+SD", REFUSAL_FALLBACK, 0 },
		{ "END1=554 no", false, true, false, "A+SS", REFUSAL_FALLBACK, 0 },
		{ "MAIL1=550 no", false, true, false, "ASS", REFUSAL_FALLBACK, 0 },
		/* by a connection for which nothing is remembered it might be taken */
		{ "MAIL1=550 no", false, true, true, "USS", REFUSAL_FALLBACK, 0 },
		{ "MAIL1=450 no", false, true, true, "ASS", 0, 0 },
		{ "MAIL1=450 4.7.10 TLS?", false, true, true, "USS", REFUSAL_FALLBACK, 0 },
		{ "MAIL1=450 4.7.10 TLS?", false, true, false, "ASS", REFUSAL_FALLBACK, 0 },
		{ "RCPT1=450 4.7.10 TLS?", false, true, true, "A+SD", REFUSAL_FALLBACK, 0 },
		/* that we do without BDAT is no reason of the host's (L10) */
		{ "RCPT1=550 no", false, false, false, "A+HD", 0, CAN_CHUNKING },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		connect_to(LOCK_STEP, cases[i].host, 1);
		l.terms.own = cases[i].own;
		l.terms.clear = cases[i].clear;
		l.terms.remembered = cases[i].remembered;
		l.terms.avoided = cases[i].avoided;
		check_first(cases[i].host, &m, cases[i].want);
		assert_int_equal(l.flow.about, cases[i].about);
		part();
	}
	close(m.fd);
}

/* A recipient is refused for the words that went with it: once more without them (L16). */
static void
test_words(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	connect_to(LOCK_STEP, "RCPT1=555 NOTIFY?", 1);
	l.host.can = CAN_DSN;
	make_jobs(jobs, rcpt, &m);
	rcpt[0][0].terms.notify = NOTIFY_FAILURE;
	send_all(jobs, 1, got);
	assert_string_equal(got, "A+SD");
	assert_true(rcpt[0][0].again);
	assert_false(rcpt[0][1].again);
	assert_false(link_can(&l, CAN_DSN));
	free_jobs(rcpt);
	part();
	close(m.fd);
}

/* ... and the host closes, or says 421, behind it: by the next connection, and nobody is to blame. */
static void
test_closes_at_words(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		unsigned can;
		const char *want;
		unsigned lessons;
		enum way way;
	} cases[] = {
		{ "RCPT1=555 NOTIFY?!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?/421 bye!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?", 0, "A+HD", 0, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?!", 0, "LHS", 0, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?|RCPT2=550 no!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?|END1=250 ok!", CAN_DSN, "A+SD", 0, LOCK_STEP },
		{ "MAIL1=501 SIZE?!", CAN_SIZE, "USS", LESSON_FEWER, LOCK_STEP },
		{ "MAIL1=501 SIZE?/421 bye!", CAN_SIZE, "USS", LESSON_FEWER, LOCK_STEP },
		{ "RCPT1=555 NOTIFY?|END1=421 bye!", CAN_DSN, "USS", LESSON_FEWER, LOCK_STEP },
		/* LMTP's last word to one recipient stands */
		{ "RCPT1=555 NOTIFY?|END1=421 bye!", CAN_DSN, "A+SS", 0, LMTP },
		{ "MAIL1=501 SIZE?!", CAN_DSN, "AHH", 0, LOCK_STEP },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(cases[i].way, cases[i].host, 1);
		l.host.can = cases[i].can;
		make_jobs(jobs, rcpt, &m);
		rcpt[0][0].terms.notify = NOTIFY_FAILURE;
		send_all(jobs, 1, got);
		if (strcmp(got, cases[i].want) != 0 || l.lessons != cases[i].lessons)
			fail_msg("%s: %s, %x", cases[i].host, got, l.lessons);
		l.lessons = 0;
		free_jobs(rcpt);
		part();
	}
	close(m.fd);
}

/* No word about the text came in time: that is told, and the next one has longer (L12, F7). */
static void
test_late(void **state)
{
	(void)state;
	static const struct { int before; int64_t want; } rows[] = { { 0, 60 }, { 1, 120 }, { 2, 240 },
		{ 3, 240 }, { 100, 240 } };
	struct message m = make_message(strlen(BODY));
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	for (size_t i = 0; i < ROWS(rows); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++) {
			m.lates = rows[i].before;
			check(way, "", &m, "A+DD A+DD A+DD");
			assert_int_equal(patience, rows[i].want);
		}
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		late = true;
		connect_to(way, NULL, 1);
		make_jobs(jobs, rcpt, &m);
		send_all(jobs, 1, got);
		late = false;
		assert_string_equal(got, "L+ss");
		assert_true(jobs[0].late);
		free_jobs(rcpt);
		part();
	}
	static const char *const others[] = { NULL, "END1=close", "END1=450 later", "END1=25", "RCPT2=close" };
	for (size_t i = 0; i < ROWS(others); i++) {
		connect_to(GROUPS, others[i], 1);
		make_jobs(jobs, rcpt, &m);
		send_all(jobs, 1, got);
		assert_false(jobs[0].late);
		free_jobs(rcpt);
		part();
	}
	close(m.fd);
}

/*
 * R74, L16: whether the host has a recipient's words is as his RCPT went out, though it refused
 * those of another one since: it will report on him itself. In lock step he goes without them then.
 */
static void
test_who_has_the_words(void **state)
{
	(void)state;
	static const struct { enum way way; const char *host, *want; } cases[] = {
		{ WINDOW, NULL, "dddddd" },
		{ WINDOW, "RCPT4=501 5.5.4 what?", "ddd-dd" },
		{ WINDOW, "RCPT3=501 5.5.4 what?", "dd-ddd" },
		{ GROUPS, "RCPT2=501 5.5.4 what?", "d-    " },
		{ GROUPS, "RCPT1=501 5.5.4 what?", "-d    " },
		{ LOCK_STEP, "RCPT2=501 5.5.4 what?", "d-    " },
		{ LOCK_STEP, "RCPT1=501 5.5.4 what?", "-     " },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128], has[] = "      ";
		connect_to(cases[i].way, cases[i].host, JOBS);
		l.host.can |= CAN_DSN;
		make_jobs(jobs, rcpt, &m);
		for (int k = 0; k < JOBS * RCPTS; k++)
			rcpt[k / RCPTS][k % RCPTS].terms.notify = NOTIFY_SUCCESS;
		send_all(jobs, cases[i].way == WINDOW ? JOBS : 1, got);
		for (int k = 0; k < JOBS * RCPTS; k++) {
			const struct rcpt *r = &rcpt[k / RCPTS][k % RCPTS];
			has[k] = r->again ? '-' : r->taker.dsn ? 'd' : ' ';
		}
		if (strcmp(has, cases[i].want) != 0)
			fail_msg("%s, %d: \"%s\"", cases[i].host, (int)cases[i].way, has);
		free_jobs(rcpt);
		part();
	}
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_use),
		cmocka_unit_test(test_turned),
		cmocka_unit_test(test_turned_in_vain),
		cmocka_unit_test(test_short_hello),
		cmocka_unit_test(test_lessons),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_closes_at_words),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_who_has_the_words),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

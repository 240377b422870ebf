/* sending: how a text goes out, whole, in each way; and what the host cannot have (A10, L1, L10). */
#include "tests/unit/sending/jobs.h"

#include <signal.h>

/* The host gets the text, dots stuffed or counted, and nothing else. */
static void
test_text(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY));
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		check(way, NULL, &m, "A+DD A+DD A+DD");
		assert_int_equal(host.text_n, strlen(BODY));
		assert_memory_equal(host.text, BODY, strlen(BODY));
		bool chunks = strstr(host.log, "BDAT 23 LAST\n") != NULL;
		assert_int_equal(chunks, way == WINDOW);
		assert_int_equal(chunks, strstr(host.log, "DATA\n") == NULL);
	}
	close(m.fd);
}

/* A text without a line end at its end: the dot stands alone all the same (A10). */
static void
test_text_without_end(void **state)
{
	(void)state;
	struct message m = make_message(2 * strlen(BODY));
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		bool windowed = way == WINDOW;
		check(way, NULL, &m, "A+DD A+DD A+DD");
		assert_int_equal(host.text_n, m.length + (windowed ? 0 : 2));
	}
	close(m.fd);
}

/* It goes by BDAT alone, and one that fails is ended by RSET (RFC 3030 section 2). */
static void
test_binary(void **state)
{
	(void)state;
	static const struct { const char *host; const char *want; bool reset; } cases[] = {
		{ NULL, "A+DD", false },
		{ "END1=550 no", "A+HH", true },
		{ "END1=451 no", "A+SS", true },
		{ "END1=550 no|RSET1=close", "A+HH", true },
		{ "END1=500 what?", "A+SS", true }, /* L10: that is about BDAT */
		{ "RCPT1=550 no|RCPT2=451 no", "AHS", true },
	};
	struct message m = make_message(strlen(BODY));
	m.env.body = BODY_BINARYMIME;
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(LOCK_STEP, cases[i].host, 1);
		l.host.can = CAN_CHUNKING | CAN_BINARYMIME;
		make_jobs(jobs, rcpt, &m);
		send_all(jobs, 1, got);
		assert_string_equal(got, cases[i].want);
		part();
		assert_null(strstr(host.log, "DATA\n"));
		assert_int_equal(strstr(host.log, "RSET\n") != NULL, cases[i].reset);
		free_jobs(rcpt);
	}
	close(m.fd);
}

/* In a window RSET stands behind each job anyway, and no other follows. */
static void
test_binary_in_window(void **state)
{
	(void)state;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	char got[128];
	struct message m = make_message(strlen(BODY));
	m.env.body = BODY_BINARYMIME;
	connect_to(WINDOW, "END2=550 no", JOBS);
	l.host.can |= CAN_BINARYMIME;
	make_jobs(jobs, rcpt, &m);
	send_all(jobs, JOBS, got);
	assert_string_equal(got, "A+DD A+HH A+DD");
	part();
	assert_int_equal(host.times[HOST_RSET], JOBS);
	free_jobs(rcpt);
	close(m.fd);
}

/* One that the host cannot have stands between two others, and the connection goes on. */
static void
test_unfit(void **state)
{
	(void)state;
	struct message m = make_message(strlen(BODY)), utf8 = m;
	utf8.env.utf8 = utf8.header_eightbit = true;
	for (enum way way = LOCK_STEP; way < WAYS; way++) {
		struct rcpt rcpt[JOBS][RCPTS];
		struct job jobs[JOBS];
		char got[128];
		connect_to(way, NULL, JOBS);
		make_jobs(jobs, rcpt, &m);
		jobs[1].m = &utf8;
		send_all(jobs, JOBS, got);
		assert_string_equal(got, "A+DD AHH A+DD");
		free_jobs(rcpt);
		part();
	}
	close(m.fd);
}

struct utf8_case {
	const char *sender, *to[RCPTS];
	bool said, header;
	unsigned can;
	const char *want;
	bool word;
};

static void
check_utf8(const struct utf8_case *u, enum way way, struct message *m)
{
	struct rcpt rcpt[RCPTS];
	struct job job = { .m = m };
	char got[3 + RCPTS] = "A";
	connect_to(way, NULL, JOBS);
	l.host.can |= u->can;
	m->env = (struct envelope){ .sender = span_of(u->sender), .utf8 = u->said };
	m->header_eightbit = u->header;
	for (int k = 0; k < RCPTS; k++) {
		rcpt[k] = make_rcpt(u->to[k]);
		assert_true(sending_add(&l, &job, &rcpt[k]));
	}
	sending_start(&l, &job);
	assert_ptr_equal(sending_land(&l), &job);
	assert_int_equal(l.flow.replies, 0);
	assert_int_equal(job.end, JOB_ANSWERED);
	snprintf(got, sizeof(got), "A%s%c%c", job.sent ? "+" : "", "DSH"[rcpt[0].outcome],
		"DSH"[rcpt[1].outcome]);
	if (strcmp(got, u->want) != 0)
		fail_msg("%s to %s, way %d: %s", u->sender, u->to[0], (int)way, got);
	part();
	bool said = strstr(host.log, " SMTPUTF8\n") != NULL;
	assert_int_equal(said, u->word);
	for (int k = 0; k < RCPTS; k++)
		buf_free(&rcpt[k].text);
}

/*
 * SMTPUTF8 is said where something of this transaction needs it, whatever the client said; and what
 * needs it does not take the other recipients along (L1).
 */
static void
test_utf8(void **state)
{
	(void)state;
	static const struct utf8_case cases[] = {
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, false, 0, "A+DD", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, false, CAN_SMTPUTF8,
			"A+DD", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, false, true, 0, "A+DD", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, true, 0, "AHH", false },
		{ "s@s.example", { "a@r.example", "b@r.example" }, true, true, CAN_SMTPUTF8,
			"A+DD", true },
		{ "\xc3\xa4@s.example", { "a@r.example", "b@r.example" }, true, false, 0, "AHH",
			false },
		{ "s@\xc3\xa4.example", { "a@\xc3\xa4.example", "b@r.example" }, true, false, 0,
			"A+DD", false },
		{ "s@s.example", { "a@r.example", "\xc3\xa4@r.example" }, true, false, 0, "A+DH",
			false },
		{ "s@s.example", { "\xc3\xa4@r.example", "b@r.example" }, true, false, 0, "A+HD",
			false },
		{ "s@s.example", { "\xc3\xa4@r.example", "\xc3\xb6@r.example" }, true, false, 0,
			"AHH", false },
		{ "s@s.example", { "a@r.example", "\xc3\xa4@r.example" }, true, false,
			CAN_SMTPUTF8, "A+DD", true },
	};
	struct message m = make_message(strlen(BODY));
	for (size_t i = 0; i < ROWS(cases); i++)
		for (enum way way = LOCK_STEP; way < WAYS; way++)
			check_utf8(&cases[i], way, &m);
	close(m.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_without_end),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_binary_in_window),
		cmocka_unit_test(test_unfit),
		cmocka_unit_test(test_utf8),
	};
	signal(SIGPIPE, SIG_IGN); /* as in the relay */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* settle: what is counted of a message after an attempt. */
#include "tests/unit/delivery/settled.h"

#include "tests/unit/counted.h"

#define AT "mx[192.0.2.1]:25: "

static const struct {
	const char *text;
	enum outcome outcome, verdict;
	enum counters_class cause; /* of a verdict that is not DONE */
	enum counter want;
	bool old, unfinished, no_report;
} causes[] = {
	{ AT "250 2.0.0 Ok", DONE, DONE, 0, .want = COUNTER_DELIVERED },
	{ AT "451 4.7.1 later", SOFT, DONE, 0, .want = COUNTER_DEFERRED_HOST_4YZ },
	{ AT "550 5.1.1 no", HARD, DONE, 0, .want = COUNTER_BOUNCED_HOST_5YZ },
	/* not about the mail */
	{ AT "550 5.7.1 not you", SOFT, DONE, 0, .want = COUNTER_DEFERRED_HOST_5YZ },
	{ AT "DATA: timed out", SOFT, DONE, 0, .want = COUNTER_DEFERRED_LOST },
	{ AT "DATA: connection lost: 550 5.1.1", SOFT, DONE, 0, .want = COUNTER_DEFERRED_LOST },
	{ AT "spool: Input/output error", SOFT, DONE, 0, .want = COUNTER_DEFERRED_OURS },
	{ AT "not sent: 550 5.6.7 x", SOFT, DONE, 0, .want = COUNTER_DEFERRED_OURS },
	{ AT "not sent: 550 5.6.7 x", HARD, DONE, 0, .want = COUNTER_BOUNCED_OURS },
	/* the lane */
	{ "550 5.1.2 no such domain", HARD, HARD, CLASS_DNS, .want = COUNTER_BOUNCED_DNS },
	{ AT "connect: timed out", SOFT, SOFT, CLASS_CONNECT, .want = COUNTER_DEFERRED_CONNECT },
	{ AT "TLS: no", SOFT, SOFT, CLASS_TLS, .want = COUNTER_DEFERRED_TLS },
	{ AT "554 go away", SOFT, SOFT, CLASS_LOST, .want = COUNTER_DEFERRED_HOST_5YZ },
	/* too old, whatever it was for */
	{ AT "451 4.7.1 later", SOFT, DONE, 0, .want = COUNTER_BOUNCED_EXPIRED, .old = true },
	{ AT "connect: timed out", SOFT, SOFT, CLASS_CONNECT, .want = COUNTER_BOUNCED_EXPIRED,
		.old = true },
	{ AT "250 Ok", DONE, DONE, 0, .want = COUNTER_DELIVERED, .old = true },
	{ AT "550 5.1.1 no", HARD, DONE, 0, .want = COUNTER_BOUNCED_HOST_5YZ, .old = true },
	/* a failure that nobody could be told of is none */
	{ AT "550 5.1.1 no", HARD, DONE, 0, .want = COUNTER_DEFERRED_HOST_5YZ, .no_report = true },
	{ AT "451 4.7.1 later", SOFT, DONE, 0, .want = COUNTER_DEFERRED_HOST_4YZ, .old = true,
		.no_report = true },
};

/* Each recipient is counted once, for what decided about it; and so is the message. */
static void
test_counted(void **state)
{
	(void)state;
	static char text[TEXT];
	for (size_t i = 0; i < ROWS(causes); i++) {
		struct message m;
		struct found found = { 0 };
		const struct envelope e = { .sender = span_of("s@sender.example") };
		queue(&m, 1, &e, 0);
		m.rcpt[0].outcome = causes[i].outcome;
		buf_puts(&m.rcpt[0].text, causes[i].text);
		m.attempts = causes[i].old ? 9 : 0;
		m.arrived -= causes[i].old ? EXPIRE + SLOW : 0;
		r.spool.tmp = causes[i].no_report ? -1 : sp.tmp;
		c->work.verdict = causes[i].verdict;
		c->work.cause = causes[i].cause;
		count_anew();
		settle_message(c, &m, false, &found);
		bool ends = causes[i].want == COUNTER_DELIVERED ||
			(causes[i].want >= COUNTER_BOUNCED_DNS &&
				causes[i].want <= COUNTER_BOUNCED_EXPIRED);
		bool bounced = ends && causes[i].want != COUNTER_DELIVERED;
		if (count_of(causes[i].want) != 1)
			fail_msg("%s", causes[i].text);
		assert_int_equal(count_between(COUNTER_LANES_DEFERRED_DNS, COUNTER_BOUNCED_EXPIRED),
			1);
		assert_int_equal(count_between(COUNTER_QUEUE_TIME, COUNTER_QUEUE_TIME_END - 1),
			ends);
		assert_int_equal(count_of(COUNTER_MESSAGES_DONE), ends);
		assert_int_equal(count_of(COUNTER_MESSAGES_DEFERRED), !ends);
		assert_int_equal(count_of(COUNTER_REPORTS), bounced);
		assert_int_equal(count_of(COUNTER_SPOOL_FAILURES), causes[i].no_report);
		(void)message_remove(&tour.lane, m.id);
		message_close(&m);
		take_report("sender.example", text);
	}
	counters_begin(NULL);
}

/* What is tried again at once does not wait; time in queue is that since MAIL. */
static void
test_counted_in_part(void **state)
{
	(void)state;
	static char text[TEXT];
	struct message m;
	struct found found = { 0 };
	queue(&m, 4, &(struct envelope){ .sender = span_of("") }, 0);
	set_outcomes(&m, "DHSS");
	count_anew();
	settle_message(c, &m, true, &found);
	assert_true(found.again);
	assert_int_equal(count_of(COUNTER_DELIVERED), 1);
	assert_int_equal(count_of(COUNTER_BOUNCED_HOST_5YZ), 1);
	assert_int_equal(count_between(COUNTER_LANES_DEFERRED_DNS, COUNTER_BOUNCED_EXPIRED), 2);
	assert_int_equal(count_of(COUNTER_REPORTS_DROPPED), 1);
	assert_int_equal(count_of(COUNTER_MESSAGES_DONE) + count_of(COUNTER_MESSAGES_DEFERRED), 0);
	uint64_t ms = count_of(COUNTER_QUEUE_TIME_END);
	assert_true(ms < 2 * SLOW * 1000);
	(void)message_remove(&tour.lane, m.id);
	message_close(&m);
	queue(&m, 1, &(struct envelope){ .by_mode = 'R', .by = 1 }, 0);
	count_anew();
	settle_too_late(c, &m, &found);
	assert_int_equal(count_of(COUNTER_BOUNCED_EXPIRED), 1);
	assert_int_equal(count_of(COUNTER_BOUNCED_OURS), 0);
	message_close(&m);
	take_report("sender.example", text);
	counters_begin(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counted, start, stop),
		cmocka_unit_test_setup_teardown(test_counted_in_part, start, stop),
	};
	return cmocka_run_group_tests_name("settle_counts", tests, NULL, NULL);
}

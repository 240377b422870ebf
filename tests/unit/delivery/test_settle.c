/* settle: what becomes of a message after an attempt, and what its sender is told (R37, R39, R75,
 * E16, J12, L7). */
#include "tests/unit/delivery/settled.h"

#include "delivery/notes.h"
#include "queue/tended.h"
#include "tests/unit/counted.h"

/* The recipients with this action, "012". */
static void
find_action(const char *report, const char *action, char out[static 16])
{
	size_t n = 0;
	for (const char *p = report; (p = strstr(p, "Final-Recipient: rfc822; u")) != NULL;) {
		p += sizeof("Final-Recipient: rfc822; u") - 1;
		const char *is = strstr(p, "Action: ");
		assert_non_null(is);
		if (strncmp(is + 8, action, strlen(action)) == 0)
			out[n++] = *p;
	}
	out[n] = '\0';
}

/* Which recipients of the message are not settled, "012"; "" if it is gone. */
static void
find_rest(const char *id, char out[static 16], int *attempts)
{
	struct message m;
	size_t n = 0;
	*attempts = 0;
	int err = message_open(&m, &tour.lane, id);
	if (err == 0) {
		for (int i = 0; i < m.n; i++)
			if (!m.rcpt[i].settled)
				out[n++] = (char)('0' + i);
		*attempts = m.attempts;
		assert_int_equal(message_remove(&tour.lane, id), 0);
		message_close(&m);
	} else {
		assert_int_equal(err, -ENOENT);
	}
	out[n] = '\0';
}

/* ---- a message after an attempt ----------------------------------------------------------- */

struct row {
	const char *outcomes;
	int attempts;	   /* before */
	int lane_attempts; /* of the lane, because its host was down */
	int64_t age;	   /* s */
	unsigned notify;
	int64_t by; /* s from now, with: */
	char by_mode;
	unsigned told;
	bool unfinished;
	const char *sender; /* NULL: s@sender.example */
	const char *double_bounce;
	bool no_report; /* none can be written */

	const char *rest;  /* recipients that remain */
	int64_t low, high; /* s from now: when the next attempt is; 0: none */
	bool again;
	int counted;				/* attempts behind it */
	const char *failed, *delayed, *relayed; /* recipients in the report */
};

/* Is the process that starts relays told of new mail in this lane, which needs another login? */
static void
hears_of(const char *lane, bool told)
{
	struct note n;
	assert_int_equal(notes_receive(keeper, &n, NULL), told ? 1 : -1);
	if (!told)
		return;
	assert_int_equal(n.kind, NOTE_LANE);
	assert_string_equal(n.lane, lane);
	assert_int_equal(notes_receive(keeper, &n, NULL), -1);
}

static void
check_report(const struct row *t, const char *where)
{
	static char text[TEXT];
	char found[16];
	take_report(where, text);
	hears_of(where, text[0] != '\0');
	const char *const want[][2] = { { "failed", t->failed }, { "delayed", t->delayed },
		{ "relayed", t->relayed } };
	for (size_t i = 0; i < ROWS(want); i++) {
		find_action(text, want[i][0], found);
		assert_string_equal(found, want[i][1] != NULL ? want[i][1] : "");
	}
}

static void
check(const struct row *t)
{
	struct message m;
	struct found found = { 0 };
	char id[ID_SIZE], rest[16], double_bounce[] = "bounces@sender.example";
	int attempts;
	const char *sender = t->sender != NULL ? t->sender : "s@sender.example";
	queue(&m, strlen(t->outcomes), &(struct envelope){ .sender = span_of(sender) }, t->notify);
	memcpy(id, m.id, sizeof(id));
	int64_t before = clock_wall();
	set_outcomes(&m, t->outcomes);
	m.attempts = t->attempts;
	m.told = t->told;
	m.arrived = before - t->age;
	m.env.by = t->by_mode != '\0' ? before + t->by : 0;
	m.env.by_mode = t->by_mode;
	c->work.state.attempts = t->lane_attempts;
	r.common.relay.double_bounce = t->double_bounce != NULL ? double_bounce : NULL;
	r.spool.tmp = t->no_report ? -1 : sp.tmp;

	settle_message(c, &m, t->unfinished, &found);

	int64_t after = clock_wall(), next = message_next(&tour.lane, id);
	message_close(&m);
	r.common.relay.double_bounce = NULL;
	find_rest(id, rest, &attempts);
	assert_string_equal(rest, t->rest);
	assert_int_equal(found.again, t->again);
	if (t->rest[0] == '\0') {
		assert_int_equal(found.next, 0);
	} else {
		assert_int_equal(attempts, t->counted);
		assert_in_range(found.next, before + t->low, after + t->high);
		assert_in_range(next, before + t->low, after + t->high);
	}
	check_report(t, "sender.example");
}

#define FIRST .low = RETRY * 9 / 10, .high = RETRY
#define LATER .low = RETRY2 * 9 / 10, .high = RETRY2

static void
test_outcomes(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{ "D", .rest = "" },
		{ "H", .rest = "", .failed = "0" },
		{ "S", .rest = "0", FIRST, .counted = 1 },
		{ "DD", .rest = "" },
		{ "DH", .rest = "", .failed = "1" },
		{ "DSH", .rest = "1", FIRST, .counted = 1, .failed = "2" },
		/* the schedule, whose last wait repeats */
		{ "S", .attempts = 1, .rest = "0", LATER, .counted = 1 },
		{ "S", .attempts = 9, .rest = "0", LATER, .counted = 1 },
		/* what the sender wants to know */
		{ "H", .notify = NOTIFY_NEVER, .rest = "" },
		{ "H", .notify = NOTIFY_DELAY | NOTIFY_SUCCESS, .rest = "" },
		{ "H", .notify = NOTIFY_FAILURE, .rest = "", .failed = "0" },
		{ "DH", .notify = NOTIFY_SUCCESS, .rest = "", .relayed = "0" },
		{ "DS", .notify = NOTIFY_SUCCESS, .rest = "1", FIRST, .counted = 1,
			.relayed = "0" },
		/* no sender: to double_bounce, or nowhere */
		{ "H", .sender = "", .rest = "" },
		{ "H", .sender = "", .double_bounce = "b", .rest = "", .failed = "0" },
		{ "S", .sender = "", .double_bounce = "b", .age = WARNING, .rest = "0", FIRST,
			.counted = 1 },
		/* E16: a failure that cannot be reported is not forgotten */
		{ "H", .no_report = true, .rest = "0", FIRST, .counted = 1 },
		{ "DSH", .no_report = true, .rest = "12", FIRST, .counted = 1 },
		{ "H", .no_report = true, .notify = NOTIFY_NEVER, .rest = "" },
		{ "D", .no_report = true, .rest = "" },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		check(&rows[i]);
}

/* Age, and what the sender said about time. */
static void
test_times(void **state)
{
	(void)state;
	static const struct row rows[] = {
		/* J12: too old, but a jump of the clock would make it so as well: three attempts at
		   least */
		{ "S", .age = EXPIRE + 9, .attempts = 2, .rest = "", .failed = "0" },
		{ "S", .age = EXPIRE + 9, .attempts = 1, .rest = "0", LATER, .counted = 1,
			.delayed = "0" },
		{ "S", .age = EXPIRE + 9, .attempts = 1, .lane_attempts = 1, .rest = "",
			.failed = "0" },
		{ "S", .age = EXPIRE / 2, .attempts = 7, .told = TOLD_DELAYED, .rest = "0", LATER,
			.counted = 1 },
		{ "DSH", .age = EXPIRE + 9, .attempts = 2, .rest = "", .failed = "12" },
		{ "S", .age = EXPIRE + 9, .attempts = 2, .notify = NOTIFY_NEVER, .rest = "" },
		{ "S", .age = EXPIRE + 9, .attempts = 2, .no_report = true, .rest = "0", LATER,
			.counted = 1 },
		/* that it waits is told once */
		{ "S", .age = WARNING, .rest = "0", FIRST, .counted = 1, .delayed = "0" },
		{ "S", .age = WARNING / 2, .rest = "0", FIRST, .counted = 1 },
		{ "S", .age = WARNING, .told = TOLD_DELAYED, .rest = "0", FIRST, .counted = 1 },
		{ "S", .age = WARNING, .notify = NOTIFY_FAILURE, .rest = "0", FIRST, .counted = 1 },
		{ "S", .age = WARNING, .notify = NOTIFY_DELAY, .rest = "0", FIRST, .counted = 1,
			.delayed = "0" },
		{ "DSH", .age = WARNING, .rest = "1", FIRST, .counted = 1, .failed = "2",
			.delayed = "1" },
		{ "DH", .age = WARNING, .rest = "", .failed = "1" },
		/* BY: the next attempt is not later; after it N is told, and the schedule goes on
		 */
		{ "S", .by_mode = 'R', .by = 50, .rest = "0", .low = 49, .high = 50, .counted = 1 },
		{ "S", .by_mode = 'N', .by = 50, .rest = "0", .low = 49, .high = 50, .counted = 1 },
		{ "S", .by_mode = 'R', .by = 500, .rest = "0", FIRST, .counted = 1 },
		{ "S", .by_mode = 'N', .by = -1, .rest = "0", FIRST, .counted = 1, .delayed = "0" },
		{ "S", .by_mode = 'N', .by = -1, .told = TOLD_OVERDUE | TOLD_DELAYED, .rest = "0",
			FIRST, .counted = 1 },
		{ "S", .by_mode = 'R', .by = -1, .rest = "0", FIRST, .counted = 1 },
		/* the connection was lost before all had their turn */
		{ "DS", .unfinished = true, .rest = "1", .again = true },
		{ "DS", .unfinished = true, .age = EXPIRE + 9, .attempts = 7, .rest = "1",
			.again = true },
		{ "DSH", .unfinished = true, .rest = "1", .again = true, .failed = "2" },
		{ "SS", .unfinished = true, .rest = "01", FIRST, .counted = 1 },
		{ "HS", .unfinished = true, .rest = "1", .again = true, .failed = "0" },
		{ "HS", .unfinished = true, .no_report = true, .rest = "01", FIRST, .counted = 1 },
		{ "DD", .unfinished = true, .rest = "" },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		check(&rows[i]);
}

/* Of two recipients settled in different attempts, the second report is about the second one. */
static void
test_settled_before(void **state)
{
	(void)state;
	static char text[TEXT];
	struct message m;
	struct found found = { 0 };
	char id[ID_SIZE], who[16];
	int attempts;
	queue(&m, 3, &(struct envelope){ .sender = span_of("s@sender.example") }, 0);
	memcpy(id, m.id, sizeof(id));
	set_outcomes(&m, "HSS");
	settle_message(c, &m, false, &found);
	message_close(&m);
	take_report("sender.example", text);
	find_action(text, "failed", who);
	assert_string_equal(who, "0");

	assert_int_equal(message_open(&m, &tour.lane, id), 0);
	assert_int_equal(m.attempts, 1);
	assert_true(m.rcpt[0].settled && !m.rcpt[1].settled);
	set_outcomes(&m, "DDD"); /* which the last word takes back */
	settle_all(c, &m, HARD, span_of("550 5.7.1 none of you"), &found);
	message_close(&m);
	take_report("sender.example", text);
	find_action(text, "failed", who);
	assert_string_equal(who, "12");
	assert_non_null(strstr(text, "Status: 5.7.1"));
	assert_null(strstr(text, "5.1.1"));
	find_rest(id, who, &attempts);
	assert_string_equal(who, "");
}

/* What was overdue is not told once more when it has waited for long. */
static void
test_told_once(void **state)
{
	(void)state;
	static char text[TEXT];
	struct message m;
	struct found found = { 0 };
	queue(&m, 1, &(struct envelope){ .sender = span_of("s@sender.example") }, 0);
	m.env.by = clock_wall() - 1;
	m.env.by_mode = 'N';
	set_outcomes(&m, "S");
	settle_message(c, &m, false, &found);
	message_close(&m);
	take_report("sender.example", text);
	assert_non_null(strstr(text, "Action: delayed"));
	assert_int_equal(message_open(&m, &tour.lane, d.id), 0);
	assert_int_equal(m.told, TOLD_OVERDUE | TOLD_DELAYED);
	m.arrived = clock_wall() - WARNING;
	set_outcomes(&m, "S");
	settle_message(c, &m, false, &found);
	message_close(&m);
	take_report("sender.example", text);
	assert_string_equal(text, "");
}

/* What cannot be written down is looked at again, delivered or not. */
static void
test_lane_trouble(void **state)
{
	(void)state;
	static const char *const rows[] = { "D", "S", "DS" };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		struct found found = { 0 };
		queue(&m, strlen(rows[i]),
			&(struct envelope){ .sender = span_of("s@sender.example") }, 0);
		set_outcomes(&m, rows[i]);
		int64_t before = clock_wall();
		int dir = tour.lane.dir;
		tour.lane.dir = -1;
		count_anew();
		settle_message(c, &m, true, &found);
		tour.lane.dir = dir;
		assert_int_equal(count_of(COUNTER_MESSAGES_DONE), 0);
		assert_true(count_of(COUNTER_SPOOL_FAILURES) > 0);
		counters_begin(NULL);
		assert_in_range(found.next, before + BUSY_RETRY, clock_wall() + BUSY_RETRY);
		assert_false(found.again);
		assert_true(found.last && !found.stop);
		message_close(&m);
	}
}

/* S6: that the spool says "not there" does not mean that there is no sender to tell. */
static void
test_report_not_there(void **state)
{
	(void)state;
	struct message m;
	struct found found = { 0 };
	char rest[16];
	int attempts;
	queue(&m, 1, &(struct envelope){ .sender = span_of("s@sender.example") }, 0);
	set_outcomes(&m, "H");
	assert_int_equal(mkdirat(sp.root, "gone", 0700), 0);
	r.spool.lanes = openat(sp.root, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(sp.root, "gone", AT_REMOVEDIR), 0);
	settle_message(c, &m, false, &found);
	close(r.spool.lanes);
	r.spool.lanes = sp.lanes;
	message_close(&m);
	find_rest(d.id, rest, &attempts);
	assert_string_equal(rest, "0");
}

/* S3: who was settled cannot be marked: nothing more is sent. A removal that failed is no matter then. */
static void
test_marks(void **state)
{
	(void)state;
	static const struct {
		const char *outcomes;
		bool readable; /* and not more */
		bool stop, last;
		const char *rest;
	} rows[] = { { "DS", false, false, false, "1" }, { "DS", true, true, true, "1" },
		{ "S", true, false, false, "0" }, { "D", false, false, true, "" } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		struct found found = { 0 };
		char id[ID_SIZE], rest[16];
		int attempts;
		queue(&m, strlen(rows[i].outcomes),
			&(struct envelope){ .sender = span_of("s@sender.example") }, 0);
		memcpy(id, m.id, sizeof(id));
		set_outcomes(&m, rows[i].outcomes);
		int good = m.fd, dir = tour.lane.dir;
		if (rows[i].readable)
			m.fd = openat(dir, id, O_RDONLY | O_CLOEXEC);
		if (rows[i].rest[0] == '\0')
			tour.lane.dir = -1; /* it cannot be removed */
		settle_message(c, &m, false, &found);
		tour.lane.dir = dir;
		if (rows[i].readable)
			close(good);
		assert_int_equal(found.stop, rows[i].stop);
		assert_int_equal(found.last, rows[i].last);
		message_close(&m);
		find_rest(id, rest, &attempts);
		assert_string_equal(rest, rows[i].rest);
	}
}

/* The earliest time of several messages. */
static void
test_note_next(void **state)
{
	(void)state;
	struct found found = { 0 };
	const int64_t times[][2] = { { 50, 50 }, { 70, 50 }, { 30, 30 }, { 30, 30 } };
	for (size_t i = 0; i < ROWS(times); i++) {
		found_note_next(&found, times[i][0]);
		assert_int_equal(found.next, times[i][1]);
	}
}

/* ---- a message that was not tried --------------------------------------------------------- */

/* Its lane is down: it waits for the lane, no attempt is counted, and its sender hears of it once.
 */
static void
test_waiting(void **state)
{
	(void)state;
	static char text[TEXT];
	char rest[16], id[ID_SIZE];
	int attempts;
	const struct {
		int64_t age;
		bool no_report;
		const char *delayed;
		unsigned told;
	} rows[] = { { WARNING / 2, false, "", 0 }, { WARNING, false, "01", TOLD_DELAYED },
		{ WARNING, true, "", 0 } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		struct found found = { 0 };
		queue(&m, 2, &(struct envelope){ .sender = span_of("s@sender.example") }, 0);
		memcpy(id, m.id, sizeof(id));
		m.arrived = clock_wall() - rows[i].age;
		c->work.state.next = 4711;
		r.spool.tmp = rows[i].no_report ? -1 : sp.tmp;
		settle_waiting(c, &m, &found);
		message_close(&m);
		assert_int_equal(found.next, 4711);
		take_report("sender.example", text);
		find_action(text, "delayed", rest);
		assert_string_equal(rest, rows[i].delayed);
		assert_int_equal(message_glance(&m, &tour.lane, id), 0);
		assert_int_equal(m.told, rows[i].told);
		message_close(&m);
		find_rest(id, rest, &attempts);
		assert_string_equal(rest, "01");
		assert_int_equal(attempts, 0);
	}
}

/* What must be opened although the lane is down. */
static void
test_quiet(void **state)
{
	(void)state;
	int64_t now = clock_wall();
	const struct {
		int64_t by;
		char mode;
		bool want;
	} rows[] = { { 0, 0, true }, { now + 1000, 'R', true }, { now + 1000, 'N', true },
		{ now - 1, 'R', false }, { now - 1, 'N', false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		queue(&m, 1,
			&(struct envelope){ .sender = span_of("s@sender.example"),
				.by = rows[i].by,
				.by_mode = rows[i].mode },
			0);
		assert_int_equal(settle_is_quiet(c, m.id), rows[i].want);
		if (rows[i].mode == 'N' && !rows[i].want) { /* told once */
			assert_int_equal(
				message_tell(&m, &tour.lane, TOLD_OVERDUE | TOLD_DELAYED), 0);
			assert_true(settle_is_quiet(c, m.id));
		}
		assert_int_equal(message_remove(&tour.lane, m.id), 0);
		assert_false(settle_is_quiet(c, m.id)); /* let it be found out by opening it */
		message_close(&m);
	}
	r.common.relay.expire = -1; /* each message is old, to judge by its id */
	struct message m;
	queue(&m, 1, &(struct envelope){ .sender = span_of("s@sender.example") }, 0);
	assert_false(settle_is_quiet(c, m.id));
	r.common.relay.expire = EXPIRE;
	message_close(&m);
}

/* ---- times -------------------------------------------------------------------------------- */

static void
test_retry_after(void **state)
{
	(void)state;
	enum { DRAWS = 2000 };
	const struct {
		int attempts;
		int64_t wait;
	} rows[] = { { 0, RETRY }, { 1, RETRY2 }, { 2, RETRY2 }, { 1000000, RETRY2 } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t least = INT64_MAX, most = 0;
		for (int k = 0; k < DRAWS; k++) {
			int64_t before = clock_wall(), t = settle_retry_after(&r.common, rows[i].attempts);
			assert_in_range(
				t, before + rows[i].wait * 9 / 10, clock_wall() + rows[i].wait);
			least = t - before < least ? t - before : least;
			most = t - before > most ? t - before : most;
		}
		assert_true(most - least > rows[i].wait / 20); /* they are spread */
	}
}

static void
test_is_expired(void **state)
{
	(void)state;
	const struct {
		int64_t age, held; /* s; for how long it could not be sent at first (RFC 4865) */
		int attempts;
		bool want;
	} rows[] = { { EXPIRE + 9, 0, 3, true }, { EXPIRE + 9, 0, 2, false },
		{ EXPIRE / 2, 0, 3, false }, { EXPIRE + 9, 100, 3, false },
		{ EXPIRE + 109, 100, 3, true } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = { .arrived = clock_wall() - rows[i].age };
		m.env.hold = rows[i].held != 0 ? m.arrived + rows[i].held : 0;
		assert_int_equal(settle_is_expired(c, &m, rows[i].attempts), rows[i].want);
	}
	/* L7: time in which nobody tried does not count */
	struct message m = { .arrived = clock_wall() - EXPIRE - 9 };
	unlinkat(sp.root, "tended", 0);
	tended_note(&sp, m.arrived, RETRY2);
	assert_false(settle_is_expired(c, &m, 99));
}

static void
test_is_too_late(void **state)
{
	(void)state;
	const struct {
		int64_t by;
		char mode;
		bool want;
	} rows[] = { { 0, 0, false }, { 1, 'R', true }, { 1, 'N', false },
		{ INT64_MAX, 'R', false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = { .env = { .by = rows[i].by, .by_mode = rows[i].mode } };
		assert_int_equal(settle_is_too_late(&m), rows[i].want);
	}
	struct message now = { .env = { .by = clock_wall(), .by_mode = 'R' } };
	assert_true(settle_is_too_late(&now));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_outcomes, start, stop),
		cmocka_unit_test_setup_teardown(test_times, start, stop),
		cmocka_unit_test_setup_teardown(test_settled_before, start, stop),
		cmocka_unit_test_setup_teardown(test_told_once, start, stop),
		cmocka_unit_test_setup_teardown(test_lane_trouble, start, stop),
		cmocka_unit_test_setup_teardown(test_report_not_there, start, stop),
		cmocka_unit_test_setup_teardown(test_marks, start, stop),
		cmocka_unit_test_setup_teardown(test_note_next, start, stop),
		cmocka_unit_test_setup_teardown(test_waiting, start, stop),
		cmocka_unit_test_setup_teardown(test_quiet, start, stop),
		cmocka_unit_test_setup_teardown(test_retry_after, start, stop),
		cmocka_unit_test_setup_teardown(test_is_expired, start, stop),
		cmocka_unit_test_setup_teardown(test_is_too_late, start, stop),
	};
	return cmocka_run_group_tests_name("settle", tests, NULL, NULL);
}

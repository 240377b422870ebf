/* settle: what becomes of a message after an attempt, and what its sender is told (R37, R39, R75,
 * E16, J12, L7). */
#include "tests/unit/delivery/at_work.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "delivery/notes.h"
#include "delivery/settle.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "queue/tended.h"
#include "tests/unit/counted.h"

enum {
	RETRY = 100,
	RETRY2 = 200,
	EXPIRE = 10000,
	WARNING = 1000,
	TEXT = 64 * 1024,
	SLOW = 30
}; /* s that the machine may take */


/* ---- what there is to settle, and what came of it ----------------------------------------- */

static int keeper; /* what it is told is read there */

/* A relay at work on the lane of d.example, for a login that no other lane needs. */
static int
start(void **state)
{
	const char *options[] = { "hostname=us.example", "retry=100s 200s", "expire=10000s",
		"delay_warning=1000s", "max_connections=1" };
	auto_buf why = buf_new(TEXT);
	const struct conf_args args = {
		.file = "/dev/null", .options = options, .n = ROWS(options)
	};
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	r = (struct relay){ .hosts = { .dir = -1 } };
	if (conf_load(&r.common, &args, NULL, &why) < 0 || hire() < 0)
		return -1;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	r.keeper = ends[0];
	keeper = ends[1];
	return 0;
}

static int
stop(void **state)
{
	dismiss();
	close(r.keeper);
	close(keeper);
	conf_free(&r.common);
	return teardown(state);
}

/* Queues a message for u0, u1, ... @d.example, opens it and its lane. */
static void
queue(struct message *m, size_t recipients, const struct envelope *e, unsigned notify)
{
	char address[64];
	assert_int_equal(draft_begin(&d, &sp, e), 0);
	for (size_t i = 0; i < recipients; i++) {
		snprintf(address, sizeof(address), "u%zu@d.example", i);
		assert_int_equal(draft_recipient(&d, "d.example", span_of(address),
					 &(struct terms){ .notify = notify }),
			0);
	}
	draft_body(&d, span_of("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(draft_commit(&d), 0);
	lane_close(&tour.lane);
	assert_int_equal(lane_open(&tour.lane, &sp, "d.example"), 0);
	assert_int_equal(message_open(m, &tour.lane, d.id), 0);
	assert_int_equal(m->n, recipients);
}

/* Outcomes are written "DSH"; G is SOFT by a greylist, g DONE where a greylist was before. */
static void
set_outcomes(struct message *m, const char *outcomes)
{
	for (int i = 0; i < m->n; i++) {
		struct rcpt *to = &m->rcpt[i];
		to->outcome = strchr("Dg", outcomes[i]) != NULL ? DONE
			      : outcomes[i] == 'H'		? HARD
								: SOFT;
		to->grey = strchr("Gg", outcomes[i]) != NULL;
		buf_puts(&to->text, "mx[192.0.2.1]:25: 550 5.1.1 no");
	}
}

/* The one message of a lane, whole, and takes it away; "" if there is none. */
static void
take_report(const char *name, char out[static TEXT])
{
	struct lane lane;
	out[0] = '\0';
	if (lane_open(&lane, &sp, name) < 0)
		return;
	auto_dir dir = fdopendir(openat(lane.dir, ".", O_RDONLY | O_DIRECTORY));
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (!id_valid(span_of(e->d_name)))
			continue;
		assert_string_equal(out, ""); /* one report, no more */
		auto_fd fd = openat(lane.dir, e->d_name, O_RDONLY);
		ssize_t n = read(fd, out, TEXT - 1);
		assert_true(n > 0);
		out[n] = '\0';
		assert_int_equal(message_remove(&lane, e->d_name), 0);
	}
	lane_close(&lane);
}

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

/* The host put something off so many s ago, and nothing since. */
static void
put_grey_before(int64_t age)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "greyed %lld\n", (long long)(clock_wall() - age));
	auto_fd fd = openat(r.hosts.dir, "192.0.2.1-25", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, (size_t)n), n);
}

/* What is learned of a greylist, and that the next message waits for it. */
static void
test_greylist(void **state)
{
	(void)state;
	static char text[TEXT];
	const struct {
		const char *outcomes;
		int attempts;
		int64_t age;
		int64_t low, high; /* 0: nothing remains */
		int64_t grey;	   /* known behind it */
		enum { HERE, OTHER, BEFORE } where;
	} rows[] = {
		{ "G", 0, 0, RETRY * 9 / 10, RETRY, 0, HERE }, /* nothing is known */
		{ "D", 0, 700, 0, 0, 0, HERE },		 /* at the first attempt: no greylist */
		/* put off by another host, or before the message was there: not by this one */
		{ "D", 1, 700, 0, 0, 0, OTHER }, { "D", 1, 600, 0, 0, 0, BEFORE },
		{ "G", 0, 0, RETRY * 9 / 10, RETRY, 0, HERE },
		{ "D", 1, 700, 0, 0, 700, HERE }, { "G", 0, 0, 700, 700 + SLOW, 700, HERE },
		{ "S", 0, 0, RETRY * 9 / 10, RETRY, 700, HERE }, /* put off for another reason */
		{ "gS", 0, 0, RETRY * 9 / 10, RETRY, 700, HERE }, { "DG", 0, 0, 700, 700 + SLOW, 700, HERE },
		{ "G", 1, 0, RETRY2 * 9 / 10, RETRY2,
			700, HERE }, /* the wait was not enough: the schedule */
		{ "S", 1, 300, RETRY2 * 9 / 10, RETRY2, 700, HERE },
		{ "DS", 1, 50, RETRY2 * 9 / 10, RETRY2, 50, HERE },
		{ "G", 0, 0, RETRY * 9 / 10, RETRY, 50, HERE }, /* shorter than the schedule's wait */
	};
	hosts_open(&r.hosts, sp.root, 1000);
	c->work.to.port = 25;
	assert_int_equal(netaddr_parse(span_of("192.0.2.1"), &c->work.to.addr), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		struct host_record h;
		struct found found = { 0 };
		c->work.to.port = rows[i].where == OTHER ? 26 : 25;
		if (rows[i].where == BEFORE)
			put_grey_before(650);
		queue(&m, strlen(rows[i].outcomes),
			&(struct envelope){ .sender = span_of("s@sender.example") }, 0);
		int64_t before = clock_wall();
		m.arrived = before - rows[i].age;
		m.attempts = rows[i].attempts;
		set_outcomes(&m, rows[i].outcomes);
		settle_message(c, &m, false, &found);
		if (rows[i].high == 0)
			assert_int_equal(found.next, 0);
		else
			assert_in_range(
				found.next, before + rows[i].low, clock_wall() + rows[i].high);
		hosts_recall(&r.hosts, &c->work.to, &h);
		assert_in_range(h.grey, rows[i].grey, rows[i].grey + (rows[i].grey > 0 ? SLOW : 0));
		(void)message_remove(&tour.lane, m.id);
		message_close(&m);
	}
	take_report("sender.example", text);
	assert_string_equal(text, "");
	close(r.hosts.dir);
	r.hosts.dir = -1;
}

#define AT "mx[192.0.2.1]:25: "

/* Each recipient is counted once, for what decided about it; and so is the message. */
static void
test_counted(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum outcome outcome, verdict;
		enum counters_class cause; /* of a verdict that is not DONE */
		enum counter want;
		bool old, unfinished, no_report;
	} rows[] = {
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
	static char text[TEXT];
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m;
		struct found found = { 0 };
		const struct envelope e = { .sender = span_of("s@sender.example") };
		queue(&m, 1, &e, 0);
		m.rcpt[0].outcome = rows[i].outcome;
		buf_puts(&m.rcpt[0].text, rows[i].text);
		m.attempts = rows[i].old ? 9 : 0;
		m.arrived -= rows[i].old ? EXPIRE + SLOW : 0;
		r.spool.tmp = rows[i].no_report ? -1 : sp.tmp;
		c->work.verdict = rows[i].verdict;
		c->work.cause = rows[i].cause;
		count_anew();
		settle_message(c, &m, false, &found);
		bool ends = rows[i].want == COUNTER_DELIVERED ||
			(rows[i].want >= COUNTER_BOUNCED_DNS &&
				rows[i].want <= COUNTER_BOUNCED_EXPIRED);
		bool bounced = ends && rows[i].want != COUNTER_DELIVERED;
		if (count_of(rows[i].want) != 1)
			fail_msg("%s", rows[i].text);
		assert_int_equal(count_between(COUNTER_LANES_DEFERRED_DNS, COUNTER_BOUNCED_EXPIRED),
			1);
		assert_int_equal(count_between(COUNTER_QUEUE_TIME, COUNTER_QUEUE_TIME_END - 1),
			ends);
		assert_int_equal(count_of(COUNTER_MESSAGES_DONE), ends);
		assert_int_equal(count_of(COUNTER_MESSAGES_DEFERRED), !ends);
		assert_int_equal(count_of(COUNTER_REPORTS), bounced);
		assert_int_equal(count_of(COUNTER_SPOOL_FAILURES), rows[i].no_report);
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
		cmocka_unit_test_setup_teardown(test_greylist, start, stop),
		cmocka_unit_test_setup_teardown(test_counted, start, stop),
		cmocka_unit_test_setup_teardown(test_counted_in_part, start, stop),
	};
	return cmocka_run_group_tests_name("settle", tests, NULL, NULL);
}

/* scan: what is done with each file of a lane without a host (I14, J12, R87, R88, M4, M12, S7). */
#include "tests/unit/spooled.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "delivery/flight.h"
#include "delivery/scan.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "process/log.h"
#include "queue/draft.h"

enum { RETRY = 100, RETRY2 = 200, TEXT = 64 * 1024, HOUR = 3600 };

static struct relay r;
static int grown;

/* As many names are read of directories before that fails. */
enum { ALL = -1 };
static int readable = ALL;

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);

struct dirent *
__wrap_readdir(DIR *dir)
{
	if (readable == 0) {
		errno = EIO;
		return NULL;
	}
	readable -= readable > 0;
	return __real_readdir(dir);
}

static void
grow(struct relay *relay)
{
	assert_ptr_equal(relay, &r);
	grown++;
}

/* A relay at work on the lane of d.example, whose host is down. */
static int
start(void **state)
{
	const char *options[] = { "hostname=us.example", "retry=100s 200s", "expire=10000s",
		"delay_warning=0s", "max_hold=1d" };
	auto_buf why = buf_new(TEXT);
	const struct conf_args args = {
		.file = "/dev/null", .options = options, .n = ROWS(options)
	};
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test", NULL);
	r = (struct relay){ .spool = sp,
		.hosts = { .dir = -1 },
		.work = { .lane = LANE_CLOSED, .verdict = SOFT, .state = { .next = INT64_MAX } } };
	r.link.fd = -1;
	r.why = buf_new(TEXT);
	buf_puts(&r.why, "550 5.1.2 why not");
	grown = 0;
	return conf_load(&r.common, &args, NULL, &why) < 0 ? -1 : flight_prepare(&r);
}

static int
stop(void **state)
{
	lane_close(&r.work.lane);
	buf_free(&r.why);
	free(r.flights.v);
	conf_free(&r.common);
	return teardown(state);
}

/* Its id is in d.id; its lane is open. */
static void
queue(const struct envelope *e)
{
	assert_int_equal(draft_begin(&d, &sp, e), 0);
	assert_int_equal(
		draft_recipient(&d, "d.example", span_of("u@d.example"), &(struct terms){ 0 }), 0);
	draft_body(&d, span_of("Subject: x\r\n\r\nx\r\n"));
	assert_int_equal(draft_commit(&d), 0);
	lane_close(&r.work.lane);
	assert_int_equal(lane_open(&r.work.lane, &sp, "d.example"), 0);
}

static const struct envelope plain = { .sender = { "s@sender.example", 16 } };

static bool
is_there(const char *name)
{
	struct stat st;
	return fstatat(r.work.lane.dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct found
scan(void)
{
	struct found found = { .next = 1, .shared = true, .tried = true };
	assert_true(scan_lane(&r, grow, &found));
	assert_false(found.tried);
	for (struct flight *f = r.flights.free; f != NULL; f = f->free) /* none is lost */
		grown += 1000;
	assert_int_equal(grown / 1000, r.flights.n);
	grown %= 1000;
	return found;
}

/* ---- messages ----------------------------------------------------------------------------- */

static void
test_down(void **state)
{
	(void)state;
	queue(&plain);
	int64_t before = clock_wall();
	struct found found = scan();
	assert_in_range(found.next, before + IDLE_RETRY, clock_wall() + IDLE_RETRY);
	assert_false(found.shared || found.again);
	assert_true(is_there(d.id));
	assert_true(
		message_next(&r.work.lane, d.id) <= before); /* it was no attempt of the message */
}

/* M4, R88: as the sender says; but not farther away than anything ever waits, or the time would be
 * taken for that of a clock that was set back, nor than a client may ask for. */
static void
test_held(void **state)
{
	(void)state;
	const struct {
		int64_t hold, max_hold, want; /* s from now */
	} rows[] = { { 50, HOUR, 50 }, { HOUR, 2 * HOUR, HOUR },
		{ 2 * HOUR, 2 * HOUR, HOUR }, { HOUR, 70, 70 },
		{ INT64_MAX / 2, INT64_MAX / 4, HOUR } };
	r.work.verdict = DONE; /* a host would be looked for */
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct envelope e = plain;
		int64_t before = clock_wall();
		e.hold = before + rows[i].hold;
		r.common.receive.max_hold = rows[i].max_hold;
		queue(&e);
		for (int again = 0; again < 2;
			again++) { /* the second time it is seen without a look */
			struct found found = scan();
			assert_in_range(
				found.next, before + rows[i].want, clock_wall() + rows[i].want);
			assert_int_equal(message_next(&r.work.lane, d.id), found.next);
		}
		assert_int_equal(message_remove(&r.work.lane, d.id), 0);
	}
}

/* J12: a time farther away than anything ever waits is none: the message is looked at. What rests
 * for an hour does so under a schedule of minutes, too. */
static void
test_clock_set_back(void **state)
{
	(void)state;
	const struct {
		int64_t next, want; /* s from now */
	} rows[] = { { 90, 90 }, { HOUR - 10, HOUR - 10 }, { HOUR * 24, IDLE_RETRY },
		{ -5, IDLE_RETRY } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct message m = MESSAGE_CLOSED;
		queue(&plain);
		memcpy(m.id, d.id, sizeof(m.id));
		int64_t before = clock_wall();
		assert_int_equal(message_wait(&m, &r.work.lane, before + rows[i].next), 0);
		struct found found = scan();
		assert_in_range(found.next, before + rows[i].want, clock_wall() + rows[i].want);
		assert_int_equal(message_remove(&r.work.lane, d.id), 0);
	}
}

/* S3: a message that could not be removed when its last recipient was settled goes, unsent. */
static void
test_settled_before(void **state)
{
	(void)state;
	struct message m;
	queue(&plain);
	assert_int_equal(message_open(&m, &r.work.lane, d.id), 0);
	m.rcpt[0].outcome = DONE;
	assert_int_equal(message_mark(&m, &r.work.lane), 0);
	message_close(&m);
	r.work.verdict = DONE; /* a host would be looked for */
	assert_int_equal(scan().next, 0);
	assert_false(is_there(d.id));
}

/* S3: on a full disk nothing could be written down: the first message is the last that is looked at. */
static void
test_not_markable(void **state)
{
	(void)state;
	static const char head[] = MESSAGE_MAGIC "\nArrived: 5\nFrom: a@b\nTo: d.example u@d.example\n"
		"To: d.example v@d.example\n\n"; /* a file of a version without states */
	char end[MESSAGE_END_SIZE + 1];
	auto_buf file = buf_new(TEXT);
	struct found found;
	queue(&plain);
	message_end(end, 0, crc32c(0, head, sizeof(head) - 1), d.id);
	buf_puts(&file, head);
	buf_puts(&file, end);
	spill(r.work.lane.dir, d.id, buf_span(&file));
	char first[ID_SIZE];
	memcpy(first, d.id, sizeof(first));
	queue(&plain);
	r.common.receive.min_free = INT64_MAX / 4;
	r.work.verdict = HARD; /* the second one would be settled */
	int64_t before = clock_wall();
	assert_false(scan_lane(&r, grow, &found));
	assert_true(found.stop && found.last && !found.tried);
	assert_in_range(found.next, before + BUSY_RETRY, clock_wall() + BUSY_RETRY);
	assert_true(is_there(first) && is_there(d.id));
}

/* Removes what is queued for the sender: so many. */
static int
take_reports(void)
{
	struct lane lane;
	int n = 0;
	if (lane_open(&lane, &sp, "sender.example") < 0)
		return 0;
	auto_dir dir = fdopendir(openat(lane.dir, ".", O_RDONLY | O_DIRECTORY));
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += id_valid(span_of(e->d_name)) && message_remove(&lane, e->d_name) == 0;
	lane_close(&lane);
	return n;
}

/* What fails though no host was asked. */
static void
test_given_up(void **state)
{
	(void)state;
	const struct {
		enum outcome verdict;
		bool late; /* BY, with R, is over */
		int lane_attempts;
		int64_t expire;
		bool gone;
	} rows[] = { { SOFT, false, 9, 10000, false }, { SOFT, true, 0, 10000, true },
		{ DONE, true, 0, 10000, true }, { HARD, false, 0, 10000, true },
		{ SOFT, false, 3, -1, true }, { SOFT, false, 2, -1, false } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct envelope e = plain;
		e.by = rows[i].late ? clock_wall() - 1 : 0;
		e.by_mode = rows[i].late ? 'R' : '\0';
		r.work.verdict = rows[i].verdict;
		r.work.state.attempts = rows[i].lane_attempts;
		r.common.relay.expire = rows[i].expire;
		queue(&e);
		char id[ID_SIZE];
		memcpy(id, d.id, sizeof(id));
		struct found found = scan();
		assert_int_equal(is_there(id), !rows[i].gone);
		assert_int_equal(found.next == 0, rows[i].gone);
		assert_int_equal(take_reports(), rows[i].gone);
		if (!rows[i].gone)
			assert_int_equal(message_remove(&r.work.lane, id), 0);
	}
}

/* ---- what other relays do ----------------------------------------------------------------- */

static void
test_shared(void **state)
{
	(void)state;
	struct lane other;
	queue(&plain);
	assert_int_equal(lane_open(&other, &sp, "d.example"), 0);
	assert_int_equal(lane_claim(&other, d.id), 0);
	r.work.verdict = HARD; /* it would be settled */
	struct found found = scan();
	assert_true(found.shared && !found.again);
	assert_true(is_there(d.id));
	lane_unclaim(&other, d.id);
	found = scan();
	assert_false(found.shared);
	assert_false(is_there(d.id));
	lane_close(&other);
}

/*
 * What another relay does at the last moment before this one claims a message. The linker puts the
 * function below in the place of lane_claim.
 */
static void (*meanwhile)(const char *id);

int __real_lane_claim(const struct lane *l, const char *id);
int __wrap_lane_claim(const struct lane *l, const char *id);

int
__wrap_lane_claim(const struct lane *l, const char *id)
{
	if (meanwhile != NULL)
		meanwhile(id);
	return __real_lane_claim(l, id);
}

/* It has tried the message, and put it off. */
static void
try_it(const char *id)
{
	struct message m;
	assert_int_equal(message_open(&m, &r.work.lane, id), 0);
	assert_int_equal(message_note(&m, &r.work.lane, clock_wall() + RETRY, true), 0);
	message_close(&m);
}

/* It has done with the message that it had in hand. */
static void
lay_it_down(const char *id)
{
	lane_unclaim(&r.work.lane, id);
}

/* S7: what was due before the claim need not be due under it. */
static void
test_tried_meanwhile(void **state)
{
	(void)state;
	queue(&plain);
	r.work.verdict = HARD; /* it would be settled */
	int64_t before = clock_wall();
	meanwhile = try_it;
	struct found found = scan();
	meanwhile = NULL;
	assert_true(is_there(d.id));
	assert_in_range(found.next, before + RETRY, clock_wall() + RETRY);
	assert_int_equal(__real_lane_claim(&r.work.lane, d.id), 0); /* it is free again */
}

/* S7: nor is a message poison whose relay was alive a moment ago. */
static void
test_laid_down_meanwhile(void **state)
{
	(void)state;
	char log[ID_SIZE + 4];
	queue(&plain);
	snprintf(log, sizeof(log), "%s.log", d.id);
	lane_hold(&r.work.lane, d.id);
	meanwhile = lay_it_down;
	(void)scan();
	meanwhile = NULL;
	assert_false(is_there(log));
}

/* M12, I14: a relay died with the message in hand once, twice, three times. */
static void
test_poison(void **state)
{
	(void)state;
	const int64_t waits[] = { 0, RETRY, RETRY2, RETRY2 };
	char id[ID_SIZE];
	queue(&plain);
	for (size_t i = 0; i < ROWS(waits); i++) {
		lane_hold(&r.work.lane, d.id);
		int64_t before = clock_wall();
		(void)scan();
		int64_t next = message_next(&r.work.lane, d.id);
		assert_in_range(next, before + waits[i] * 9 / 10, clock_wall() + waits[i]);
		assert_false(lane_held(&r.work.lane, id)); /* counted once */
		(void)scan();
		assert_int_equal(message_next(&r.work.lane, d.id), next);
	}
	struct message m;
	assert_int_equal(message_open(&m, &r.work.lane, d.id), 0);
	assert_int_equal(m.attempts, ROWS(waits));
	message_close(&m);
}

/* What is claimed is in the hands of a relay that is alive; what is gone is no poison. */
static void
test_no_poison(void **state)
{
	(void)state;
	struct lane other;
	char log[ID_SIZE + 4];
	queue(&plain);
	snprintf(log, sizeof(log), "%s.log", d.id);
	assert_int_equal(lane_open(&other, &sp, "d.example"), 0);
	assert_int_equal(lane_claim(&other, d.id), 0);
	lane_hold(&other, d.id);
	r.work.verdict = HARD; /* it would be settled */
	assert_true(scan().shared);
	assert_false(is_there(log));
	lane_close(&other);
	assert_int_equal(message_remove(&r.work.lane, d.id), 0);
	lane_hold(&r.work.lane, d.id);
	assert_int_equal(scan().next, 0);
	assert_false(is_there(log));
}

/* ---- other files -------------------------------------------------------------------------- */

static void
put_file(const char *name)
{
	int fd = openat(r.work.lane.dir, name, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void
test_other_files(void **state)
{
	(void)state;
	const struct {
		const char *name;
		bool goes;
	} rows[] = { { "20000000000000000abc.log", true }, { ".hidden", false }, { "@other", false },
		{ "20000000000000000abc.logs", false }, { "README", false },
		{ "20000000000000000abC.log", false } };
	queue(&plain);
	assert_int_equal(message_remove(&r.work.lane, d.id), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		put_file(rows[i].name);
		assert_int_equal(scan().next, 0);
		assert_int_equal(is_there(rows[i].name), !rows[i].goes);
		unlinkat(r.work.lane.dir, rows[i].name, 0);
	}
	/* the log of a message that is there stays */
	queue(&plain);
	char log[ID_SIZE + 4];
	snprintf(log, sizeof(log), "%s.log", d.id);
	put_file(log);
	(void)scan();
	assert_true(is_there(log));
}

/* Not a whole message: it goes aside, and nothing waits. */
static void
test_damaged(void **state)
{
	(void)state;
	struct stat st;
	r.work.verdict = HARD;
	queue(&plain);
	int fd = openat(r.work.lane.dir, d.id, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(scan().next, 0);
	assert_false(is_there(d.id));
	assert_int_equal(fstatat(sp.aside, d.id, &st, 0), 0);
}

/* S13: a directory that cannot be read on is not one that has ended: what was read is seen to, and
 * the lane is neither removed nor left for an hour. */
static void
test_unreadable(void **state)
{
	(void)state;
	struct found found;
	r.work.verdict = HARD; /* what is seen is settled */
	queue(&plain);
	queue(&plain);
	readable = 4; /* with "." and "..", a file of the lane itself, and one more */
	int64_t before = clock_wall();
	assert_false(scan_lane(&r, grow, &found));
	assert_true(found.last && !found.stop);
	assert_in_range(found.next, before + BUSY_RETRY, clock_wall() + BUSY_RETRY);
	readable = 0;
	assert_int_equal(lane_leave(&r.work.lane, &sp, 0), 0);
	readable = ALL;
	assert_true(exists(sp.lanes, "d.example"));
}

/* ---- help --------------------------------------------------------------------------------- */

/* Another relay is worth its start if the rest would take 2 s at this pace, and there is a
 * connection. */
static void
test_help(void **state)
{
	(void)state;
	enum { WAITING = 5 };
	const struct {
		int messages;
		int64_t ms; /* that they took */
		bool connected;
		int want;
	} rows[] = { { 20, 21 * 10000, true, 1 }, { 20, 21 * 10000, false, 0 },
		{ 20, -HOUR * 1000, true, 0 }, { 10, 11 * 10000, true, 0 } };
	for (int i = 0; i < WAITING; i++)
		queue(&plain);
	for (size_t i = 0; i < ROWS(rows); i++) {
		grown = 0;
		r.work.pace = (struct pace){ rows[i].messages, clock_ms() - rows[i].ms };
		r.link.fd = rows[i].connected ? r.work.lane.dir : -1; /* any */
		r.link.terms.window = WAITING;
		(void)scan();
		assert_int_equal(grown, rows[i].want);
	}
	r.link.fd = -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_down, start, stop),
		cmocka_unit_test_setup_teardown(test_held, start, stop),
		cmocka_unit_test_setup_teardown(test_clock_set_back, start, stop),
		cmocka_unit_test_setup_teardown(test_given_up, start, stop),
		cmocka_unit_test_setup_teardown(test_settled_before, start, stop),
		cmocka_unit_test_setup_teardown(test_not_markable, start, stop),
		cmocka_unit_test_setup_teardown(test_shared, start, stop),
		cmocka_unit_test_setup_teardown(test_tried_meanwhile, start, stop),
		cmocka_unit_test_setup_teardown(test_laid_down_meanwhile, start, stop),
		cmocka_unit_test_setup_teardown(test_poison, start, stop),
		cmocka_unit_test_setup_teardown(test_no_poison, start, stop),
		cmocka_unit_test_setup_teardown(test_other_files, start, stop),
		cmocka_unit_test_setup_teardown(test_damaged, start, stop),
		cmocka_unit_test_setup_teardown(test_unreadable, start, stop),
		cmocka_unit_test_setup_teardown(test_help, start, stop),
	};
	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}

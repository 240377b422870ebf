/* scan: what is done with each file of a lane without a host (I14, J12, R87, R88, M4, M12, S3). */
#include "tests/unit/delivery/at_work.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "delivery/notes.h"
#include "delivery/scan.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/crc.h"
#include "queue/draft.h"

enum { RETRY = 100, TEXT = 64 * 1024, HOUR = 3600 };

static bool over; /* the last scan stopped in the middle */

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

/* A relay at work on the lane of d.example, whose host is down. */
static int
start(void **state)
{
	const char *options[] = { "hostname=us.example", "retry=100s 200s", "expire=10000s",
		"delay_warning=0s", "max_hold=1d", "max_connections=1" };
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
	c->work = (struct work){ .verdict = SOFT, .state = { .next = INT64_MAX },
		.delivery = { .max_connections_per_lane = 5 } };
	buf_puts(&c->why, "550 5.1.2 why not");
	return 0;
}

static int
stop(void **state)
{
	dismiss();
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
	lane_close(&tour.lane);
	assert_int_equal(lane_open(&tour.lane, &sp, "d.example"), 0);
}

static const struct envelope plain = { .sender = { "s@sender.example", 16 } };

static bool
is_there(const char *name)
{
	struct stat st;
	return fstatat(tour.lane.dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Goes over the lane once. What was found. */
static struct found
scan(void)
{
	struct found found = { .next = 1, .again = true, .parked = true, .stop = true };
	int64_t unused = 0;
	tour_begin(c);
	over = scan_lane(c, &found);
	tour_add(&tour, &found);
	for (struct flight *f = c->flights.free; f != NULL; f = f->free)
		unused++;
	assert_int_equal(unused, c->flights.used); /* none is lost */
	assert_false(hands_next(r.hands, &(struct hands_suspect){ 0 })); /* nor kept in hand */
	return tour.found;
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
	assert_false(found.again || over);
	assert_true(is_there(d.id));
	assert_true(
		message_next(&tour.lane, d.id) <= before); /* it was no attempt of the message */
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
	c->work.verdict = DONE; /* a host would be looked for */
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
			assert_int_equal(message_next(&tour.lane, d.id), found.next);
		}
		assert_int_equal(message_remove(&tour.lane, d.id), 0);
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
		assert_int_equal(message_wait(&m, &tour.lane, before + rows[i].next), 0);
		struct found found = scan();
		assert_in_range(found.next, before + rows[i].want, clock_wall() + rows[i].want);
		assert_int_equal(message_remove(&tour.lane, d.id), 0);
	}
}

/* S3: a message that could not be removed when its last recipient was settled goes, unsent. */
static void
test_settled_before(void **state)
{
	(void)state;
	struct message m;
	queue(&plain);
	assert_int_equal(message_open(&m, &tour.lane, d.id), 0);
	m.rcpt[0].outcome = DONE;
	assert_int_equal(message_mark(&m, &tour.lane), 0);
	message_close(&m);
	c->work.verdict = DONE; /* a host would be looked for */
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
	spill(tour.lane.dir, d.id, buf_span(&file));
	char first[ID_SIZE];
	memcpy(first, d.id, sizeof(first));
	queue(&plain);
	r.common.receive.min_free = INT64_MAX / 4;
	c->work.verdict = HARD; /* the second one would be settled */
	int64_t before = clock_wall();
	found = scan();
	assert_true(found.stop && found.last && !over);
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
		bool tried; /* its own attempts count as well */
	} rows[] = { { SOFT, false, 9, 10000, false, false }, { SOFT, true, 0, 10000, true, false },
		{ DONE, true, 0, 10000, true, false }, { HARD, false, 0, 10000, true, false },
		{ SOFT, false, 3, -1, true, false }, { SOFT, false, 2, -1, false, false },
		{ SOFT, false, 2, -1, true, true } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct envelope e = plain;
		e.by = rows[i].late ? clock_wall() - 1 : 0;
		e.by_mode = rows[i].late ? 'R' : '\0';
		c->work.verdict = rows[i].verdict;
		c->work.state.attempts = rows[i].lane_attempts;
		r.common.relay.expire = rows[i].expire;
		queue(&e);
		char id[ID_SIZE], log[ID_SIZE + 4];
		memcpy(id, d.id, sizeof(id));
		snprintf(log, sizeof(log), "%s.log", id);
		if (rows[i].tried) {
			struct message m;
			assert_int_equal(message_open(&m, &tour.lane, id), 0);
			assert_int_equal(message_note(&m, &tour.lane, 1, true), 0);
			message_close(&m);
		}
		struct found found = scan();
		assert_int_equal(is_there(id), !rows[i].gone);
		assert_false(is_there(log));
		assert_int_equal(found.next == 0, rows[i].gone);
		assert_int_equal(take_reports(), rows[i].gone);
		if (!rows[i].gone)
			assert_int_equal(message_remove(&tour.lane, id), 0);
	}
}

/* ---- messages at which a relay died -------------------------------------------------------- */

static const struct envelope nobodys = { .sender = { "", 0 } }; /* nobody is told of it */
static int keeper; /* what the first process is told is read there */

static void
begin_to_watch(void)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	r.keeper = ends[0];
	keeper = ends[1];
}

static void
end_to_watch(void)
{
	close(r.keeper);
	close(keeper);
}

/* It is asked to see to it that this message is tried alone, once; or is not. */
static void
asks(const char *id)
{
	struct note n;
	if (id != NULL) {
		assert_int_equal(notes_receive(keeper, &n, NULL), 1);
		assert_int_equal(n.kind, NOTE_ALONE);
		assert_string_equal(n.id, id);
		assert_string_equal(n.lane, "d.example");
	}
	assert_int_equal(notes_receive(keeper, &n, NULL), -1);
}

/* I14: while a message is under suspicion nobody here touches it. Others go their way. */
static void
test_suspect(void **state)
{
	(void)state;
	char suspect[ID_SIZE];
	begin_to_watch();
	queue(&nobodys);
	memcpy(suspect, d.id, sizeof(suspect));
	queue(&nobodys);
	c->work.verdict = HARD; /* what is tried is settled */
	assert_true(suspects_add(&r.suspects, "d.example", suspect));
	assert_true(suspects_add(&r.suspects, "e.example", d.id)); /* another message */
	int64_t before = clock_wall();
	struct found found = scan();
	assert_in_range(found.next, before + BUSY_RETRY, clock_wall() + BUSY_RETRY);
	assert_true(is_there(suspect) && !is_there(d.id));
	asks(NULL); /* it knows */
	suspects_remove(&r.suspects, "d.example", suspect);
	assert_int_equal(scan().next, 0);
	assert_false(is_there(suspect));
	end_to_watch();
}

/* M12, I14: one that ever killed a relay is tried alone whenever it is due, though nobody of now
 * saw that. */
static void
test_has_crashed(void **state)
{
	(void)state;
	struct message m = MESSAGE_CLOSED;
	int times;
	begin_to_watch();
	queue(&nobodys);
	memcpy(m.id, d.id, sizeof(m.id));
	assert_int_equal(message_note_crash(&tour.lane, d.id, &times), 0);
	assert_int_equal(message_wait(&m, &tour.lane, clock_wall() + RETRY), 0);
	c->work.verdict = HARD;
	(void)scan(); /* not yet */
	asks(NULL);
	assert_int_equal(message_wait(&m, &tour.lane, clock_wall() - 1), 0);
	(void)scan();
	asks(d.id);
	(void)scan();
	asks(NULL); /* once is enough */
	assert_true(is_there(d.id) && suspects_has(&r.suspects, "d.example", d.id));
	end_to_watch();
}

/* An attempt that failed is no crash. */
static void
test_no_crash(void **state)
{
	(void)state;
	struct message m;
	begin_to_watch();
	queue(&nobodys);
	assert_int_equal(message_open(&m, &tour.lane, d.id), 0);
	assert_int_equal(message_note(&m, &tour.lane, clock_wall() - 1, true), 0);
	message_close(&m);
	c->work.verdict = HARD;
	assert_int_equal(scan().next, 0);
	assert_false(is_there(d.id));
	asks(NULL);
	end_to_watch();
}

/* Whoever tries it alone does try it, and so does a relay that nobody watches. */
static void
test_alone(void **state)
{
	(void)state;
	struct found found;
	for (int watched = 0; watched < 2; watched++) {
		found = (struct found){ 0 };
		begin_to_watch();
		queue(&nobodys);
		c->work.verdict = HARD;
		assert_true(suspects_add(&r.suspects, "d.example", d.id));
		r.alone = watched;
		if (!watched) {
			end_to_watch();
			r.keeper = -1;
		}
		scan_message(c, d.id, &found);
		assert_false(is_there(d.id));
		if (watched)
			end_to_watch();
	}
	r.alone = false;
}

/* ---- whose turn it is ---------------------------------------------------------------------- */

/*
 * A courier whose time is over stops in the middle of a lane, if others wait for it; but not of one
 * that was given up, whose mail waits for its time and not for a turn.
 */
static void
test_turn_is_over(void **state)
{
	(void)state;
	enum { WAITING = 3, TURN = 500 };
	static const struct {
		bool late, waited;
		enum outcome verdict;
		size_t left;
	} rows[] = { { true, false, DONE, 0 }, { false, true, DONE, 0 },
		{ true, true, DONE, WAITING - 1 }, { true, true, SOFT, 0 } };
	struct envelope held = plain;
	held.hold = clock_wall() + HOUR; /* no host is asked */
	for (int i = 0; i < WAITING; i++)
		queue(&held);
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t ms = clock_ms();
		if (rows[i].waited)
			turns_lane(&r, "other.example", 0); /* there is no courier for it */
		c->work.verdict = rows[i].verdict;
		c->work.since = rows[i].late ? ms - TURN - 1 : INT64_MAX / 2;
		(void)scan();
		assert_int_equal(over, rows[i].left > 0);
		assert_int_equal(tour_left(&tour), rows[i].left);
	}
}

/* ---- other files -------------------------------------------------------------------------- */

static void
put_file(const char *name)
{
	int fd = openat(tour.lane.dir, name, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
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
	assert_int_equal(message_remove(&tour.lane, d.id), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		put_file(rows[i].name);
		assert_int_equal(scan().next, 0);
		assert_int_equal(is_there(rows[i].name), !rows[i].goes);
		unlinkat(tour.lane.dir, rows[i].name, 0);
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
	char path[64];
	c->work.verdict = HARD;
	queue(&plain);
	int fd = openat(tour.lane.dir, d.id, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(scan().next, 0);
	assert_false(is_there(d.id));
	snprintf(path, sizeof(path), "aside/%s", d.id);
	assert_int_equal(fstatat(sp.root, path, &st, 0), 0);
}

/* S13: a directory that cannot be read on is not one that has ended: what was read is seen to, and
 * the lane is neither removed nor left for an hour. */
static void
test_unreadable(void **state)
{
	(void)state;
	struct found found;
	c->work.verdict = HARD; /* what is seen is settled */
	queue(&plain);
	queue(&plain);
	readable = 4; /* with "." and "..", a file of the lane itself, and one more */
	int64_t before = clock_wall();
	found = scan();
	assert_true(found.last && !found.stop);
	assert_in_range(found.next, before + BUSY_RETRY, clock_wall() + BUSY_RETRY);
	readable = 0;
	assert_int_equal(lane_leave(&tour.lane, &sp, 0), 0);
	readable = ALL;
	assert_true(exists(sp.lanes, "d.example"));
}

/* ---- help --------------------------------------------------------------------------------- */

/* Another courier is worth it if the rest would take half a second at this pace, and there is a
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
	} rows[] = { { 20, 21 * 126, true, 2 }, { 20, 21 * 10000, false, 1 },
		{ 20, -HOUR * 1000, true, 1 }, { 10, 11 * 10000, true, 1 } };
	for (int i = 0; i < WAITING; i++)
		queue(&plain);
	for (size_t i = 0; i < ROWS(rows); i++) {
		turns_shrink(c);
		c->work.pace = (struct pace){ rows[i].messages, clock_ms() - rows[i].ms };
		c->link.fd = rows[i].connected ? tour.lane.dir : -1; /* any */
		c->link.terms.window = WAITING;
		(void)scan();
		assert_int_equal(c->turn.lane->wanted, rows[i].want);
	}
	c->link.fd = -1;
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
		cmocka_unit_test_setup_teardown(test_suspect, start, stop),
		cmocka_unit_test_setup_teardown(test_has_crashed, start, stop),
		cmocka_unit_test_setup_teardown(test_no_crash, start, stop),
		cmocka_unit_test_setup_teardown(test_alone, start, stop),
		cmocka_unit_test_setup_teardown(test_turn_is_over, start, stop),
		cmocka_unit_test_setup_teardown(test_other_files, start, stop),
		cmocka_unit_test_setup_teardown(test_damaged, start, stop),
		cmocka_unit_test_setup_teardown(test_unreadable, start, stop),
		cmocka_unit_test_setup_teardown(test_help, start, stop),
	};
	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}

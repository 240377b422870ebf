/*
 * keeper: what the first process of a relay does when the one at work has ended, or died (I14, M12).
 *
 * The others are forked from here; what they do is in a script, and what they saw in shared memory.
 */
#include "tests/unit/spooled.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "delivery/keeper.h"
#include "delivery/notes.h"
#include "lib/cleanup.h"
#include "process/log.h"
#include "queue/bell.h"

enum { RETRY = 100, RETRY2 = 200, STEPS = 8, MOST_CRASHES = 20, TRIES = 8, SECONDS = 120 };

static struct relay r;
static struct launcher launcher = { .spool = &sp, .conf = &r.common };
static int dir; /* of the login's bell */
static char ids[2][ID_SIZE]; /* messages in the lane of d.example */

static struct seen {
	int serves, tries, told;
	bool knew_suspects;   /* the last one that served */
	struct suspect tried[TRIES];
} *seen;

/* ---- what processes do ----------------------------------------------------------------------- */

typedef int step(void);
static step *served[STEPS]; /* one after the other; the last one again and again */
static step *tried;

static int
serve_by_script(struct relay *relay, int bell)
{
	int n = seen->serves++;
	assert_ptr_equal(relay, &r);
	assert_int_equal(bell, dir);
	seen->knew_suspects = suspects_any(&r.suspects);
	while (n > 0 && (n >= STEPS || served[n] == NULL))
		n--;
	alarm(SECONDS);
	return served[n]();
}

static int
try_by_script(struct relay *relay, const char *lane, const char *id)
{
	struct suspect *s = &seen->tried[seen->tries++];
	assert_true(relay == &r && r.alone);
	snprintf(s->lane, sizeof(s->lane), "%s", lane);
	snprintf(s->id, sizeof(s->id), "%s", id);
	alarm(SECONDS);
	return tried();
}

static int
end(void)
{
	return EXIT_SUCCESS;
}

static int
leave_something(void)
{
	return EX_TEMPFAIL;
}

static int
die(void)
{
	raise(SIGKILL);
	return EX_SOFTWARE;
}

static void
take(int number, const char *id)
{
	hands_take(r.hands, number, 0, "d.example", id);
}

/* With both messages in hand, of different couriers. */
static int
die_with_both(void)
{
	take(0, ids[0]);
	take(1, ids[1]);
	return die();
}

/* ... and it is known whose fault it is. */
static int
die_with_the_second(void)
{
	take(0, ids[0]);
	take(1, ids[1]);
	r.hands->shared->died_by = 1; /* as its handler would */
	return die();
}

/* No mail is left. */
static int
empty(void)
{
	struct lane l = LANE_CLOSED;
	if (lane_open(&l, &sp, "d.example") < 0)
		return EXIT_SUCCESS;
	for (int i = 0; i < 2; i++)
		(void)message_remove(&l, ids[i]);
	(void)lane_leave(&l, &sp, 0);
	return EXIT_SUCCESS;
}

/* Waits until it is told of this many messages that they were tried. */
static bool
hear_of(int n)
{
	for (struct note note; n > 0;) {
		struct pollfd p = { .fd = r.keeper, .events = POLLIN };
		if (poll(&p, 1, -1) < 0 || notes_receive(r.keeper, &note, NULL) == 0)
			return false;
		n -= note.kind == NOTE_TRIED && strcmp(note.lane, "d.example") == 0;
		seen->told++;
	}
	return true;
}

static int
hear_and_empty(void)
{
	return hear_of(1) ? empty() : EX_SOFTWARE;
}

static int
hear_both_and_empty(void)
{
	return hear_of(2) ? empty() : EX_SOFTWARE;
}

static int
ask_alone_and_empty(void)
{
	notes_ask_alone(&r, "d.example", ids[1]);
	return hear_and_empty();
}

/* The same, and dies with the other message in hand. */
static int
ask_alone_and_die(void)
{
	take(0, ids[0]);
	notes_ask_alone(&r, "d.example", ids[1]);
	if (!hear_of(1))
		return EX_SOFTWARE;
	r.hands->shared->died_by = 0; /* as its handler would */
	return die();
}

/* Mail for another login. */
static int
tell_of_lane(void)
{
	notes_send(r.keeper, NOTE_LANE, "d.example", "");
	return EXIT_SUCCESS;
}

static int
ask_alone_and_hear(void)
{
	notes_ask_alone(&r, "d.example", ids[1]);
	return hear_of(1) ? EXIT_SUCCESS : EX_SOFTWARE;
}

/* As courier_try_alone does with what it has in hand. */
static int
take_and_put_down(void)
{
	take(0, ids[1]);
	hands_put_down(r.hands, 0, 0);
	return EXIT_SUCCESS;
}

static int
remove_and_die(void)
{
	(void)empty();
	return die();
}

/* ---- a keeper -------------------------------------------------------------------------------- */

/* Somebody else has the lock when it is let go. The linker puts this in the place of bell_lock. */
static bool taken;
int __real_bell_lock(int bell);
int __wrap_bell_lock(int bell);

int
__wrap_bell_lock(int bell)
{
	return taken ? -EAGAIN : __real_bell_lock(bell);
}

/* There is no room for the note of a crash: the same for message_note_crash. */
static bool full;
int __real_message_note_crash(const struct lane *l, const char *id, int *times);
int __wrap_message_note_crash(const struct lane *l, const char *id, int *times);

int
__wrap_message_note_crash(const struct lane *l, const char *id, int *times)
{
	return full ? -ENOSPC : __real_message_note_crash(l, id, times);
}

static int
start(void **state)
{
	static const char *const options[] = { "hostname=us.example", "retry=100s 200s",
		"max_connections=2" };
	const struct conf_args args = { .file = "/dev/null", .options = (const char **)options,
		.n = ROWS(options) };
	auto_buf why = buf_new(4096);
	if (setup(state) < 0)
		return -1;
	log_open(LOG_TO_NONE, "test");
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	r = (struct relay){ .spool = sp, .keeper = -1 };
	snprintf(r.login_name, sizeof(r.login_name), LOGIN_NONE);
	suspects_init(&r.suspects);
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(served, 0, sizeof(served));
	tried = end;
	taken = false;
	dir = bell_open_dir(&sp, "us.example", LOGIN_NONE);
	for (int i = 0; i < 2; i++) {
		begin("");
		add("d.example", "u@d.example");
		draft_body(&d, span_of(BODY));
		assert_int_equal(draft_commit(&d), 0);
		memcpy(ids[i], d.id, ID_SIZE);
	}
	return conf_load(&r.common, &args, NULL, &why) < 0 || dir < 0 ? -1 : 0;
}

static int
stop(void **state)
{
	close(dir);
	munmap(seen, sizeof(*seen));
	hands_free(r.hands);
	free(r.suspects.v);
	conf_free(&r.common);
	return teardown(state);
}

/* Its exit status. The lock is free then. */
static int
keep(void)
{
	static const struct keeper_work work = { serve_by_script, try_by_script };
	int lock = __real_bell_lock(dir);
	assert_true(lock >= 0);
	hands_free(r.hands);
	*seen = (struct seen){ 0 };
	int status = keeper_run(&r, &launcher, &work, dir, lock);
	if (status != EXIT_SUCCESS)
		close(lock); /* as the end of the process would */
	auto_fd again = __real_bell_lock(dir);
	assert_true(again >= 0);
	return status;
}

/* Did a relay die of this message when it was tried alone? */
static bool
has_crashed(const char *id)
{
	struct lane l;
	open_lane(&l, "d.example");
	bool has = message_has_crashed(&l, id);
	lane_close(&l);
	return has;
}

static int64_t
next_of(const char *id)
{
	struct lane l;
	open_lane(&l, "d.example");
	int64_t next = message_next(&l, id);
	lane_close(&l);
	return next;
}

/* ---- in order -------------------------------------------------------------------------------- */

static void
test_nothing_left(void **state)
{
	(void)state;
	served[0] = empty;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 1);
	assert_int_equal(seen->tries, 0);
}

/* Who rang while nobody listened any more relies on this look. */
static void
test_last_look(void **state)
{
	(void)state;
	served[0] = served[1] = end;
	served[2] = empty;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 3);
}

/* Whoever has the lock now looks, too. */
static void
test_lock_is_taken(void **state)
{
	(void)state;
	served[0] = end;
	taken = true;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 1);
}

/* Mail for another login is none of its business. */
static void
test_other_login(void **state)
{
	(void)state;
	served[0] = end;
	snprintf(r.login_name, sizeof(r.login_name), "route:other");
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 1);
}

/* A lane looks due, and another look would be like this one: that is for the timer. */
static void
test_unsettled(void **state)
{
	(void)state;
	served[0] = leave_something;
	assert_int_equal(keep(), EX_TEMPFAIL);
	assert_int_equal(seen->serves, 1);
}

/* Somebody rang in vain, and could not have the lock. */
static int
leave_something_and_miss_a_ring(void)
{
	assert_int_equal(bell_leave_mark(dir), 0);
	return leave_something();
}

/* ... but mail that came meanwhile is not for the timer. */
static void
test_unsettled_and_missed(void **state)
{
	(void)state;
	served[0] = leave_something_and_miss_a_ring;
	served[1] = leave_something;
	assert_int_equal(keep(), EX_TEMPFAIL);
	assert_int_equal(seen->serves, 2);
}

/* It may start relays for other logins, or ring for them, which the one at work may not. */
static void
test_mail_for_another_login(void **state)
{
	(void)state;
	struct bell bell;
	char lane[LANE_NAME_SIZE];
	int own = bell_open_dir(&sp, "us.example", "route:other");
	auto_fd others = __real_bell_lock(dir);
	assert_int_equal(bell_make(dir), 0);
	assert_int_equal(bell_listen(&bell, dir), 0);
	snprintf(r.login_name, sizeof(r.login_name), "route:other");
	served[0] = tell_of_lane;
	int none = dir;
	dir = own;
	assert_int_equal(keep(), EXIT_SUCCESS);
	dir = none;
	close(own);
	assert_int_equal(bell_hear(&bell, lane), BELL_LANE);
	assert_string_equal(lane, "d.example");
	assert_int_equal(bell_hear(&bell, lane), BELL_SILENT);
	bell_close(&bell);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

/* What the one at fault had in hand is tried alone, while another relay goes on with the rest. */
static void
test_one_is_at_fault(void **state)
{
	(void)state;
	served[0] = die_with_the_second;
	served[1] = hear_and_empty;
	served[2] = empty;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 2);
	assert_true(seen->knew_suspects);
	assert_int_equal(seen->tries, 1);
	assert_string_equal(seen->tried[0].id, ids[1]);
	assert_string_equal(seen->tried[0].lane, "d.example");
	assert_false(suspects_any(&r.suspects));
}

/*
 * Killed, by whomever: what was in hand is suspect if it is so the next time, too; hands are empty
 * for the next one.
 */
static void
test_nobody_knows(void **state)
{
	(void)state;
	served[0] = served[1] = die_with_both;
	served[2] = hear_both_and_empty;
	served[3] = empty;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 3);
	assert_int_equal(seen->tries, 2);
	assert_string_not_equal(seen->tried[0].id, seen->tried[1].id);
	assert_false(hands_next(r.hands, &(struct hands_suspect){ .number = 0 }));
}

/* M12: the second death is by this message and no other. It is put off, further each time. */
static void
test_put_off(void **state)
{
	(void)state;
	static const int64_t waits[] = { RETRY, RETRY2, RETRY2 };
	served[0] = ask_alone_and_hear;
	tried = die;
	taken = true; /* whoever has the lock sees to the rest */
	for (size_t i = 0; i < ROWS(waits); i++) {
		int64_t before = clock_wall();
		assert_int_equal(keep(), EXIT_SUCCESS);
		assert_int_equal(seen->tries, 1);
		assert_in_range(next_of(ids[1]), before + waits[i] * 9 / 10, clock_wall() + waits[i]);
		assert_true(has_crashed(ids[1]) && !has_crashed(ids[0]));
		assert_int_equal(next_of(ids[0]), 0);
		assert_false(suspects_any(&r.suspects));
	}
}

/* S3: without room for that it is put off all the same, or it would kill the next one at once. */
static void
test_put_off_without_a_note(void **state)
{
	(void)state;
	served[0] = ask_alone_and_hear;
	tried = die;
	taken = full = true;
	int64_t before = clock_wall();
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_in_range(next_of(ids[1]), before + RETRY * 9 / 10, clock_wall() + RETRY);
	assert_false(has_crashed(ids[1]));
	full = false;
}

/* Whatever it was that ended well, or is gone, is no poison. */
static void
test_no_poison(void **state)
{
	(void)state;
	static step *const rows[] = { end, leave_something, remove_and_die };
	served[0] = ask_alone_and_hear;
	taken = true;
	for (size_t i = 0; i < ROWS(rows); i++) {
		tried = rows[i];
		assert_int_equal(keep(), EXIT_SUCCESS);
		assert_int_equal(seen->tries, 1);
		if (exists(sp.lanes, "d.example"))
			assert_false(has_crashed(ids[1]));
	}
	assert_false(exists(sp.lanes, "d.example"));
}

/* The relay at work goes on meanwhile: what it has in hand is not touched by whoever is alone. */
static void
test_own_hands(void **state)
{
	(void)state;
	served[0] = ask_alone_and_die;
	served[1] = hear_and_empty;
	served[2] = empty;
	tried = take_and_put_down;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->tries, 2);
	assert_string_equal(seen->tried[0].id, ids[1]);
	assert_string_equal(seen->tried[1].id, ids[0]);
}

/* It dies with nothing in hand, again and again: that is no message's fault, and has an end. */
static void
test_no_end(void **state)
{
	(void)state;
	served[0] = die;
	assert_int_equal(keep(), EX_SOFTWARE);
	assert_int_equal(seen->serves, MOST_CRASHES);
	assert_int_equal(seen->tries, 0);
	served[1] = die;
	served[2] = empty; /* an end before that is one in order */
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 3);
}

/* ---- questions of the relay at work ---------------------------------------------------------- */

static void
test_asked(void **state)
{
	(void)state;
	served[0] = ask_alone_and_empty;
	assert_int_equal(keep(), EXIT_SUCCESS);
	assert_int_equal(seen->serves, 1);
	assert_int_equal(seen->tries, 1);
	assert_string_equal(seen->tried[0].id, ids[1]);
	assert_int_equal(seen->told, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_left, start, stop),
		cmocka_unit_test_setup_teardown(test_last_look, start, stop),
		cmocka_unit_test_setup_teardown(test_lock_is_taken, start, stop),
		cmocka_unit_test_setup_teardown(test_other_login, start, stop),
		cmocka_unit_test_setup_teardown(test_unsettled, start, stop),
		cmocka_unit_test_setup_teardown(test_unsettled_and_missed, start, stop),
		cmocka_unit_test_setup_teardown(test_mail_for_another_login, start, stop),
		cmocka_unit_test_setup_teardown(test_one_is_at_fault, start, stop),
		cmocka_unit_test_setup_teardown(test_nobody_knows, start, stop),
		cmocka_unit_test_setup_teardown(test_put_off, start, stop),
		cmocka_unit_test_setup_teardown(test_put_off_without_a_note, start, stop),
		cmocka_unit_test_setup_teardown(test_no_poison, start, stop),
		cmocka_unit_test_setup_teardown(test_own_hands, start, stop),
		cmocka_unit_test_setup_teardown(test_no_end, start, stop),
		cmocka_unit_test_setup_teardown(test_asked, start, stop),
	};
	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}

/*
 * held: mail that waits until it is let go, and whoever takes a message out of a lane while relays
 * come and go.
 */
#include "tests/unit/spooled.h"

#include <errno.h>
#include <sys/stat.h>

#include "lib/lock.h"
#include "queue/held.h"
#include "queue/history.h"

static void (*before_lock)(void);

int __real_lock_shared(int fd, int64_t pos, int64_t len);
int __wrap_lock_shared(int fd, int64_t pos, int64_t len);

/* Something happens between open and lock. */
int
__wrap_lock_shared(int fd, int64_t pos, int64_t len)
{
	void (*then)(void) = before_lock;
	before_lock = NULL;
	if (then != NULL)
		then();
	return __real_lock_shared(fd, pos, len);
}

static bool times_are_kept;

int __real_utimensat(int dir, const char *path, const struct timespec times[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags);

/* A disk that takes no new time of a file. */
int
__wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	errno = EIO;
	return times_are_kept ? -1 : __real_utimensat(dir, path, times, flags);
}

static struct lane lane, held;

static void
open_both(void)
{
	queue_two();
	open_lane(&lane, "d.example");
	assert_int_equal(held_open_for_writing(&held, &sp, "d.example"), 0);
	assert_string_equal(held.name, "d.example");
}

static void
close_both(void)
{
	lane_close(&lane);
	lane_close(&held);
}

/* To and fro, with its log, and due at once when it is back. Its other lane is not concerned. */
static void
test_moves(void **state)
{
	struct message m;
	struct lane back = LANE_CLOSED, none;
	(void)state;
	assert_int_equal(held_open_all(&sp), -ENOENT);
	assert_int_equal(held_open(&none, &sp, "d.example"), -ENOENT);
	open_both();
	assert_int_equal(history_set_next(&lane, d.id, clock_wall() + 1000), 0);
	spill(held.dir, "0123456789abcdefghjk.log", span_of("of another time"));
	assert_int_equal(held_take(&lane, &held, d.id), 0);
	assert_int_equal(held_sync(&held, &lane), 0);
	assert_int_equal(names("lane/d.example"), 0);
	assert_int_equal(names("lane/e.example"), 1);
	assert_int_equal(names("held/d.example"), 3);
	assert_int_equal(message_open(&m, &lane, d.id), -ENOENT);
	assert_int_equal(message_open(&m, &held, d.id), 0);
	assert_int_equal(m.n, 2);
	message_close(&m);
	assert_int_equal(held_take(&lane, &held, d.id), -ENOENT);
	assert_true(exists(held.dir, d.id)); /* and what was there stays */

	assert_int_equal(held_let_go(&held, &back, &sp, d.id), 0);
	assert_int_equal(message_open(&m, &back, d.id), 0);
	message_close(&m);
	assert_int_equal(message_next(&back, d.id), 1);
	assert_int_equal(names("lane/d.example"), 2);
	assert_int_equal(held_let_go(&held, &back, &sp, d.id), -ENOENT);
	assert_true(back.dir >= 0); /* to be synced, for what came there before */
	lane_close(&back);
	close_both();
}

/* Its lane is gone meanwhile: it is made again, and proven. */
static void
test_lane_is_gone(void **state)
{
	struct lane back = LANE_CLOSED;
	(void)state;
	open_both();
	assert_int_equal(held_take(&lane, &held, d.id), 0);
	assert_int_equal(lane_take(&lane), 0);
	assert_int_equal(lane_leave(&lane, &sp, 0), 0);
	assert_false(exists(sp.lanes, "d.example"));
	assert_int_equal(held_let_go(&held, &back, &sp, d.id), 0);
	assert_true(exists(sp.lanes, "d.example/" LANE_LOCK));
	assert_int_equal(names("lane/d.example"), 1);
	lane_close(&back);
	close_both();
	held_tidy(&sp, "d.example");
	assert_int_equal(names("held"), 0);
}

/* Whoever hears that it was not let go finds it where it was: nothing of it is in the lane. */
static void
test_not_let_go(void **state)
{
	struct lane back = LANE_CLOSED;
	(void)state;
	open_both();
	assert_int_equal(history_set_next(&lane, d.id, clock_wall() + 1000), 0);
	assert_int_equal(held_take(&lane, &held, d.id), 0);
	times_are_kept = true;
	assert_int_equal(held_let_go(&held, &back, &sp, d.id), -EIO);
	times_are_kept = false;
	assert_int_equal(names("lane/d.example"), 0);
	assert_int_equal(names("held/d.example"), 2);
	assert_int_equal(held_let_go(&held, &back, &sp, d.id), 0);
	assert_int_equal(names("lane/d.example"), 2);
	lane_close(&back);
	close_both();
}

/* What has mail in it stays. */
static void
test_tidy(void **state)
{
	(void)state;
	open_both();
	assert_int_equal(held_take(&lane, &held, d.id), 0);
	held_tidy(&sp, "d.example");
	assert_int_equal(names("held/d.example"), 1);
	close_both();
}

/* A relay has it in hand, in either lane; then nobody has. */
static void
test_seize(void **state)
{
	struct message m, other;
	struct lane e;
	(void)state;
	open_both();
	open_lane(&e, "e.example");
	assert_int_equal(message_open(&other, &e, d.id), 0);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_seize(&m, &lane), -EAGAIN);
	message_close(&other);
	assert_int_equal(message_seize(&m, &lane), 0);
	assert_int_equal(message_open(&other, &lane, d.id), -EAGAIN);
	assert_int_equal(message_look(&other, &lane, d.id), -EAGAIN);
	message_close(&m);
	assert_int_equal(message_look(&other, &lane, d.id), 0);
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_seize(&m, &lane), 0); /* who looked holds nobody up */
	message_close(&m);
	message_close(&other);

	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(message_remove(&lane, d.id), 0);
	assert_int_equal(message_seize(&m, &lane), -ENOENT);
	message_close(&m);
	lane_close(&e);
	close_both();
}

static void
take_away(void)
{
	assert_int_equal(held_take(&lane, &held, d.id), 0);
}

/* A relay that opened it, and was not quick enough to lock it, does not send what is held by now. */
static void
test_taken_between(void **state)
{
	struct message m;
	(void)state;
	open_both();
	before_lock = take_away;
	assert_int_equal(message_open(&m, &lane, d.id), -ENOENT);
	assert_null(before_lock);
	close_both();
}

/* For whoever looks: everything but the body. */
static void
test_look(void **state)
{
	struct message m;
	(void)state;
	open_both();
	assert_int_equal(message_look(&m, &lane, d.id), 0);
	assert_int_equal(m.fd, -1);
	assert_int_equal(m.length, strlen(BODY));
	assert_int_equal(m.n, 2);
	assert_true(span_eq(m.rcpt[1].address, span_of("u3@D.example")));
	message_close(&m);
	assert_int_equal(message_look(&m, &lane, ID), -ENOENT);
	close_both();
}

/* An attempt has what the first of those who wait was told. */
static void
test_lines(void **state)
{
	struct message m;
	(void)state;
	open_both();
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	m.rcpt[0].outcome = HARD;
	buf_puts(&m.rcpt[0].text, "550 no");
	buf_puts(&m.rcpt[1].text, "450 later");
	assert_int_equal(message_note(&m, &lane, 77, true), 0);
	message_close(&m);
	char name[ID_SIZE + 4];
	snprintf(name, sizeof(name), "%s.log", d.id);
	struct span text = slurp(lane.dir, name);
	assert_non_null(memmem(text.p, text.n, " hard 0 550 no\n", 15));
	assert_non_null(memmem(text.p, text.n, " soft 77 450 later\n", 19));
	assert_int_equal(message_open(&m, &lane, d.id), 0);
	assert_int_equal(m.attempts, 1);
	message_close(&m);
	close_both();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_moves),
		TEST(test_lane_is_gone),
		TEST(test_not_let_go),
		TEST(test_tidy),
		TEST(test_seize),
		TEST(test_taken_between),
		TEST(test_look),
		TEST(test_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

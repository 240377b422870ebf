/*
 * lane: slots and claims, new mail that is never missed, hosts that are down, lanes that go (I15,
 * I16, J12, K4).
 */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/resource.h>

#include "lib/lock.h"
#include "queue/lane.h"

static void
test_slots(void **state)
{
	(void)state;
	enum { SLOTS = 3 };
	struct lane l[SLOTS + 1];
	queue_two();
	for (int i = 0; i <= SLOTS; i++)
		open_lane(&l[i], "d.example");
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(lane_slot(&l[i], SLOTS), 0);
	assert_int_equal(lane_slot(&l[SLOTS], SLOTS), -EAGAIN);
	assert_int_equal(lane_claim(&l[0], d.id), 0);
	assert_int_equal(lane_claim(&l[1], d.id), -EAGAIN); /* I15 */
	assert_int_equal(lane_claim(&l[1], ID), 0);
	lane_unclaim(&l[0], d.id);
	assert_int_equal(lane_claim(&l[2], d.id), 0);
	lane_close(&l[2]); /* gives back slot and claim, as a kill would (I16) */
	assert_int_equal(lane_claim(&l[0], d.id), 0);
	assert_int_equal(lane_slot(&l[SLOTS], SLOTS), 0);
	lane_close(&l[SLOTS]);

	/* An @lock that was inherited keeps its slot under a new struct. */
	struct lane adopted = LANE_CLOSED;
	int lock = fcntl(l[0].lock, F_DUPFD_CLOEXEC, 0);
	lane_close(&l[0]);
	assert_int_equal(lane_adopt(&adopted, &sp, "d.example", lock), 0);
	assert_int_equal(lane_claim(&l[1], d.id), -EAGAIN);
	lane_close(&adopted);
	lane_close(&l[1]);

	int a = spool_slot(&sp, 2), b = spool_slot(&sp, 2);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(spool_slot(&sp, 2), -EAGAIN);
	close(a);
	a = spool_slot(&sp, 2);
	assert_true(a >= 0);
	close(a);
	close(b);
}

/* No mail waits for the timer: the three orders in which a writer and a relay can meet. */
static void
test_handshake(void **state)
{
	(void)state;
	struct lane l, free_slot;
	struct lane_state st;
	int64_t next = clock_wall() + 1000;
	queue_two();
	open_lane(&l, "d.example");
	assert_int_equal(lane_slot(&l, 1), 0);
	assert_int_equal(lane_settle(&l), 0);
	assert_int_equal(lane_leave(&l, &sp, next), 0); /* nothing came */
	open_lane(&l, "d.example");
	lane_state(&l, &st);
	assert_int_equal(st.next, next);
	assert_false(st.down);
	assert_int_equal(st.attempts, 0);

	queue_two(); /* mail comes: due at once */
	lane_state(&l, &st);
	assert_int_equal(st.next, 0);

	assert_int_equal(lane_slot(&l, 1), 0); /* mail comes after the scan: it is seen */
	assert_int_equal(lane_settle(&l), 0);
	queue_two();
	assert_int_equal(lane_leave(&l, &sp, next), -EAGAIN);
	open_lane(&free_slot, "d.example"); /* and the slot is free for whoever brought it */
	assert_int_equal(lane_slot(&free_slot, 1), 0);
	lane_close(&free_slot);

	open_lane(&l, "d.example"); /* the mark was never made: that is mail, too */
	assert_int_equal(lane_leave(&l, &sp, next), -EAGAIN);
}

/* K4, S13: what cannot be written in place of @retry does not keep the lane from being worked on. */
static void
test_in_place_of_retry(void **state)
{
	(void)state;
	struct lane l;
	struct lane_state st;
	struct stat file;
	queue_two();
	open_lane(&l, "d.example");
	for (int row = 0; row < 6; row++) {
		unlinkat(l.dir, LANE_RETRY, 0);
		int r = row % 3 == 0 ? symlinkat("/etc/passwd", l.dir, LANE_RETRY)
			: row % 3 == 1 ? mkdirat(l.dir, LANE_RETRY, 0700)
				       : mkfifoat(l.dir, LANE_RETRY, 0600);
		assert_int_equal(r, 0);
		lane_state(&l, &st); /* and does not wait for a writer */
		assert_false(st.down);
		assert_int_equal(row < 3 ? lane_settle(&l) : lane_set_down(&l, 1, 5, "x"), 0);
		assert_int_equal(fstatat(l.dir, LANE_RETRY, &file, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISREG(file.st_mode));
	}
	lane_close(&l);
}

static void
test_down(void **state)
{
	(void)state;
	struct lane l;
	struct lane_state st;
	int64_t now = clock_wall();
	queue_two();
	open_lane(&l, "d.example");
	assert_int_equal(lane_set_down(&l, 3, now + 500, "connect: timed out"), 0);
	queue_two(); /* new mail waits with the rest */
	lane_state(&l, &st);
	assert_true(st.down);
	assert_int_equal(st.attempts, 3);
	assert_int_equal(st.next, now + 500);
	lane_set_up(&l);
	lane_state(&l, &st);
	assert_false(st.down);
	assert_int_equal(st.next, 0);

	static const struct {
		const char *text;
		int attempts;
	} texts[] = { { "12 failed attempts: x\n", 12 }, { "x", 1 }, { "-5", 1 }, { "0\n", 0 }, { "0 failed attempts: x\n", 0 },
		{ "99999999999999999999 x", 1 }, { "2147483648", 1 }, { "\n", 1 } };
	for (size_t i = 0; i < ROWS(texts); i++) {
		spill(l.dir, LANE_RETRY, span_of(texts[i].text));
		lane_state(&l, &st);
		assert_true(st.down);
		assert_int_equal(st.attempts, texts[i].attempts);
	}
	lane_close(&l);

	static const struct {
		int64_t next;
		bool due;
	} times[] = { { 0, true }, { 1000, true }, { 1001, false }, { 1100, false },
		{ 1101, true /* the clock was set back, J12 */ } };
	for (size_t i = 0; i < ROWS(times); i++)
		assert_int_equal(lane_is_due(&(struct lane_state){ .next = times[i].next }, 1000,
			100), times[i].due);
}

static void
test_removal(void **state)
{
	(void)state;
	struct lane a, b;
	queue_two();
	open_lane(&a, "d.example");
	assert_int_equal(lane_leave(&a, &sp, 0), -EAGAIN); /* it is not empty */
	assert_int_equal(names("lane/d.example"), 1);

	open_lane(&a, "d.example");
	assert_int_equal(message_remove(&a, d.id), 0);
	open_lane(&b, "d.example");
	assert_int_equal(lane_slot(&a, 2), 0);
	assert_int_equal(lane_slot(&b, 2), 0);
	assert_int_equal(lane_leave(&a, &sp, 0), 0); /* b is at work and will look after it */
	assert_int_equal(names("lane/d.example"), 0);

	open_lane(&a, "d.example"); /* opened before it goes */
	assert_int_equal(lane_settle(&b), 0);
	assert_int_equal(lane_leave(&b, &sp, 0), 0);
	assert_int_equal(names("lane/d.example"), -1);
	assert_int_equal(lane_slot(&a, 2), -ESTALE);
	lane_close(&a);
	assert_int_equal(lane_open(&a, &sp, "d.example"), -ENOENT);
	queue_two(); /* made again */
	assert_int_equal(names("lane/d.example"), 1);
	assert_true(exists(sp.lanes, "d.example/" LANE_LOCK));
}

/* L18: what is not ours stays, the lane with it, and nothing in it is due for a while. */
static void
test_stray(void **state)
{
	(void)state;
	static const char *const names[] = { ".DS_Store", ".nfs0001", ".fuse_hidden0001", "README", "@other",
		"20000000000000000abc.logs" };
	struct lane l;
	struct lane_state st;
	for (size_t i = 0; i < ROWS(names); i++) {
		struct stat before, after;
		queue_two();
		open_lane(&l, "d.example");
		assert_int_equal(message_remove(&l, d.id), 0);
		spill(l.dir, names[i], span_of("x"));
		assert_int_equal(fstat(l.lock, &before), 0);
		assert_int_equal(lane_slot(&l, 1), 0);
		assert_int_equal(lane_settle(&l), 0);
		assert_int_equal(lane_leave(&l, &sp, 0), 0);

		open_lane(&l, "d.example");
		assert_true(exists(l.dir, names[i]));
		assert_int_equal(fstat(l.lock, &after), 0);
		assert_int_equal(after.st_ino, before.st_ino); /* it was not made anew */
		lane_state(&l, &st);
		assert_false(st.down);
		assert_true(st.next > clock_wall() + 60);
		queue_two(); /* new mail is due at once all the same */
		lane_state(&l, &st);
		assert_int_equal(st.next, 0);
		assert_int_equal(message_remove(&l, d.id), 0);
		assert_int_equal(unlinkat(l.dir, names[i], 0), 0);
		lane_close(&l);
	}
}

/* L18: an @lock that was removed counts no more, though it has a second name. */
static void
test_second_name(void **state)
{
	(void)state;
	struct lane l;
	queue_two();
	open_lane(&l, "d.example");
	assert_int_equal(renameat(l.dir, LANE_LOCK, l.dir, ".fuse_hidden0001"), 0);
	assert_int_equal(lane_slot(&l, 1), -ESTALE);
	assert_int_equal(lane_prove(l.dir) < 0, false);
	assert_int_equal(lane_slot(&l, 1), -ESTALE);
	lane_close(&l);
}

/* S3: where no word fits, a host that is down is left alone all the same. */
static void
test_down_without_words(void **state)
{
	(void)state;
	struct lane l;
	struct lane_state st;
	struct rlimit old, none;
	queue_two();
	open_lane(&l, "d.example");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = (struct rlimit){ 0, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	int64_t next = clock_wall() + 500;
	int r = lane_set_down(&l, 3, next, "connect: timed out");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(r < 0);
	lane_state(&l, &st);
	assert_int_equal(st.next, next);
	lane_close(&l);
}

/*
 * However many messages are claimed, all slots are free; and no two ids of a lane wait for each
 * other.
 */
static void
test_claims_beside_slots(void **state)
{
	(void)state;
	enum { CLAIMS = 200, SLOTS = 100 };
	struct lane l, other;
	queue_two();
	open_lane(&l, "d.example");
	open_lane(&other, "d.example");
	char id[ID_SIZE];
	for (int i = 0; i < CLAIMS; i++) {
		assert_int_equal(id_new(id), 0);
		assert_int_equal(lane_claim(i % 2 == 0 ? &l : &other, id), 0);
	}
	assert_int_equal(lane_slot(&l, 1), 0);
	for (int i = 1; i < SLOTS; i++) {
		assert_int_equal(lane_slot(&other, i + 1), 0);
	}
	lane_close(&l);
	lane_close(&other);
}

/* M12: who died with what in hand stands in @lock, for whoever comes next. */
static void
test_held(void **state)
{
	(void)state;
	struct lane l, next;
	char id[ID_SIZE];
	queue_two();
	open_lane(&l, "d.example");
	open_lane(&next, "d.example");
	assert_false(lane_held(&next, id));
	lane_hold(&l, d.id);
	assert_true(lane_held(&next, id));
	assert_string_equal(id, d.id);
	lane_hold(&l, ID);
	assert_true(lane_held(&next, id));
	assert_string_equal(id, ID);
	lane_hold(&l, "");
	assert_false(lane_held(&next, id));
	assert_int_equal(pwrite(l.lock, "../../../etc/passwd.", ID_LEN, 0), ID_LEN); /* K14 */
	assert_false(lane_held(&next, id));
	lane_close(&l);
	lane_close(&next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slots),
		TEST(test_handshake),
		TEST(test_in_place_of_retry),
		TEST(test_down),
		TEST(test_removal),
		TEST(test_stray),
		TEST(test_second_name),
		TEST(test_down_without_words),
		TEST(test_claims_beside_slots),
		TEST(test_held),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}

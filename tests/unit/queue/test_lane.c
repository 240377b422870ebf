/*
 * lane: who is at it, new mail that is never missed, hosts that are down, lanes that go (I15, I16,
 * J12, K4).
 */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/limits.h"
#include "lib/lock.h"
#include "queue/lane.h"

/* What the system does: that no lane is removed, and that no time is written, have these errors. */
static int irremovable, timeless;

int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_utimensat(int dir, const char *name, const struct timespec t[2], int flags);
int __wrap_utimensat(int dir, const char *name, const struct timespec t[2], int flags);

int
__wrap_unlinkat(int dir, const char *name, int flags)
{
	if (irremovable == 0 || flags != AT_REMOVEDIR)
		return __real_unlinkat(dir, name, flags);
	errno = irremovable;
	return -1;
}

int
__wrap_utimensat(int dir, const char *name, const struct timespec t[2], int flags)
{
	if (timeless == 0)
		return __real_utimensat(dir, name, t, flags);
	errno = timeless;
	return -1;
}

/* I15, I16: one relay at a time, until it is killed or closes the lane. */
static void
test_one_relay(void **state)
{
	(void)state;
	struct lane a, b, other;
	queue_two();
	open_lane(&a, "d.example");
	open_lane(&b, "d.example");
	open_lane(&other, "e.example");
	assert_int_equal(lane_take(&a), 0);
	assert_int_equal(lane_take(&b), -EAGAIN);
	assert_int_equal(lane_take(&other), 0); /* of another lane */
	lane_close(&a);
	assert_int_equal(a.dir, -1);
	assert_int_equal(lane_take(&b), 0);
	lane_close(&b);

	pid_t pid = fork();
	if (pid == 0) {
		open_lane(&a, "d.example");
		int r = lane_take(&a);
		raise(r == 0 ? SIGKILL : SIGTERM);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	open_lane(&a, "d.example");
	assert_int_equal(lane_take(&a), 0);
	lane_close(&a);
	lane_close(&other);
}

/* For people: how many are at the lane, which is gone with the lock. It keeps others away as before. */
static void
test_shown(void **state)
{
	(void)state;
	struct lane a, b;
	queue_two();
	open_lane(&a, "d.example");
	open_lane(&b, "d.example");
	assert_int_equal(lane_shown(&b), -1);
	assert_int_equal(lane_take(&a), 0);
	assert_int_equal(lane_shown(&b), 0);
	lane_show(&a, 0, 1);
	assert_int_equal(lane_shown(&b), 1);
	lane_show(&a, 1, 3);
	assert_int_equal(lane_shown(&b), 3);
	assert_int_equal(lane_take(&b), -EAGAIN);
	lane_show(&a, 3, 2);
	assert_int_equal(lane_shown(&b), 2);
	lane_show(&a, 2, 0);
	assert_int_equal(lane_shown(&b), 0);
	assert_int_equal(lane_take(&b), -EAGAIN);
	lane_show(&a, 0, 1);
	lane_close(&a);
	assert_int_equal(lane_shown(&b), -1);
	assert_int_equal(lane_take(&b), 0);
	lane_close(&b);
}

/* What a former version wrote to @lock, the message that a relay had in hand, matters to nobody. */
static void
test_lock_of_old(void **state)
{
	(void)state;
	struct lane a, b;
	queue_two();
	spill(sp.lanes, "d.example/" LANE_LOCK, span_of(ID));
	open_lane(&a, "d.example");
	open_lane(&b, "d.example");
	assert_int_equal(lane_take(&a), 0);
	assert_int_equal(lane_take(&b), -EAGAIN);
	lane_close(&b);
	assert_int_equal(message_remove(&a, d.id), 0);
	assert_int_equal(lane_settle(&a), 0);
	assert_int_equal(lane_leave(&a, &sp, 0), 0);
	assert_int_equal(names("lane/d.example"), -1);
}

/* No mail waits for the timer: the three orders in which a writer and a relay can meet. */
static void
test_handshake(void **state)
{
	(void)state;
	struct lane l, other;
	struct lane_state st;
	int64_t next = clock_wall() + 1000;
	queue_two();
	open_lane(&l, "d.example");
	assert_int_equal(lane_take(&l), 0);
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

	assert_int_equal(lane_take(&l), 0); /* mail comes after the scan: it is seen */
	assert_int_equal(lane_settle(&l), 0);
	queue_two();
	assert_int_equal(lane_leave(&l, &sp, next), -EAGAIN);
	open_lane(&other, "d.example"); /* and the lane is free for whoever looks at it next */
	assert_int_equal(lane_take(&other), 0);
	lane_close(&other);

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
	open_lane(&b, "d.example"); /* opened before it goes */
	assert_int_equal(lane_take(&a), 0);
	assert_int_equal(lane_settle(&a), 0);
	assert_int_equal(lane_leave(&a, &sp, 0), 0);
	assert_int_equal(a.dir, -1);
	assert_int_equal(names("lane/d.example"), -1);
	assert_int_equal(lane_take(&b), -ESTALE);
	lane_close(&b);
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
		assert_int_equal(lane_take(&l), 0);
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

/* L18: an empty lane that does not go, for whatever reason, rests, or it would be removed for ever. */
static void
test_irremovable(void **state)
{
	(void)state;
	static const int errors[] = { EACCES, EPERM, EBUSY, EROFS, EIO };
	struct lane l;
	int64_t next;
	for (size_t i = 0; i < ROWS(errors); i++) {
		queue_two();
		open_lane(&l, "d.example");
		assert_int_equal(message_remove(&l, d.id), 0);
		assert_int_equal(lane_take(&l), 0);
		assert_int_equal(lane_settle(&l), 0);
		irremovable = errors[i];
		assert_int_equal(lane_leave(&l, &sp, 0), 0);
		irremovable = 0;
		assert_false(lane_looks_due(&sp, "d.example", clock_wall(), LIMIT_REST, &next));
		assert_true(next > clock_wall() + 60);
		queue_two(); /* new mail is due at once all the same */
		assert_true(lane_looks_due(&sp, "d.example", clock_wall(), LIMIT_REST, &next));
		open_lane(&l, "d.example");
		assert_int_equal(message_remove(&l, d.id), 0);
		lane_close(&l);
	}
	irremovable = ENOENT; /* somebody else removed it */
	open_lane(&l, "e.example");
	assert_int_equal(lane_leave(&l, &sp, 0), 0);
	irremovable = 0;
	assert_false(exists(sp.lanes, "e.example/" LANE_LOCK));
}

/* L18: that the time of a lane cannot be written down is no new mail. */
static void
test_timeless(void **state)
{
	(void)state;
	static const int errors[] = { EPERM, EROFS, ENOSYS, EIO };
	struct lane l, other;
	queue_two();
	for (size_t i = 0; i < ROWS(errors); i++) {
		open_lane(&l, "d.example");
		assert_int_equal(lane_take(&l), 0);
		assert_int_equal(lane_settle(&l), 0);
		timeless = errors[i];
		assert_int_equal(lane_leave(&l, &sp, clock_wall() + 60), -errors[i]);
		timeless = 0;
		open_lane(&other, "d.example"); /* it is given back */
		assert_int_equal(lane_take(&other), 0);
		lane_close(&other);
	}
}

/* L18: a link in the place of @lock is no lane that is gone. */
static void
test_link_for_lock(void **state)
{
	(void)state;
	struct lane l;
	queue_two();
	open_lane(&l, "d.example");
	assert_int_equal(unlinkat(l.dir, LANE_LOCK, 0), 0);
	assert_int_equal(symlinkat("elsewhere", l.dir, LANE_LOCK), 0);
	lane_close(&l);
	assert_int_equal(lane_open(&l, &sp, "d.example"), -EEXIST);
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
	assert_int_equal(lane_take(&l), -ESTALE);
	assert_int_equal(lane_prove(l.dir) < 0, false);
	assert_int_equal(lane_take(&l), -ESTALE);
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

/* The same as lane_is_due, told by the name; what cannot be told is looked at (J12). */
static void
test_looks_due(void **state)
{
	(void)state;
	static const struct {
		const char *text; /* of @retry; NULL: there is none */
		int64_t in;       /* s, from now */
		bool due;
	} rows[] = { { NULL, 0, true }, { "", -5, true }, { "", 60, false }, { "1 failed", 60, false },
		{ "1 failed", -5, true }, { "", 100000, true } };
	struct lane l;
	int64_t next;
	queue_two();
	open_lane(&l, "d.example");
	for (size_t i = 0; i < ROWS(rows); i++) {
		int64_t now = clock_wall(), want = rows[i].text != NULL ? now + rows[i].in : 0;
		unlinkat(l.dir, LANE_RETRY, 0);
		if (rows[i].text != NULL) {
			spill(l.dir, LANE_RETRY, span_of(rows[i].text));
			set_age(l.dir, LANE_RETRY, -rows[i].in);
		}
		next = 7;
		bool due = lane_looks_due(&sp, "d.example", now, 1000, &next);
		int64_t latest = rows[i].text != NULL ? clock_wall() + rows[i].in : 0;
		if (due != rows[i].due || next < want || next > latest)
			fail_msg("row %zu: %d, %lld", i, due, (long long)(next - now));
	}
	lane_close(&l);
	next = 7;
	assert_false(lane_looks_due(&sp, "gone.example", clock_wall(), 1000, &next));
	assert_int_equal(next, 0);
	spill(sp.lanes, "file.example", span_of(""));
	assert_false(lane_looks_due(&sp, "file.example", clock_wall(), 1000, &next));
	assert_int_equal(symlinkat("d.example", sp.lanes, "link.example"), 0); /* K4 */
	assert_false(lane_looks_due(&sp, "link.example", clock_wall(), 1000, &next));
	struct spool unreadable = SPOOL_CLOSED;
	assert_true(lane_looks_due(&unreadable, "d.example", clock_wall(), 1000, &next));
	assert_int_equal(next, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_relay),
		TEST(test_shown),
		TEST(test_lock_of_old),
		TEST(test_handshake),
		TEST(test_in_place_of_retry),
		TEST(test_down),
		TEST(test_removal),
		TEST(test_stray),
		TEST(test_irremovable),
		TEST(test_timeless),
		TEST(test_link_for_lock),
		TEST(test_second_name),
		TEST(test_down_without_words),
		TEST(test_looks_due),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}

/* bell: what is rung is heard, whole and in order; what is lost is told; nobody waits. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "queue/bell.h"

static char top[] = "/tmp/postern-bell-XXXXXX";
static struct spool spool;
static int dir;
static struct bell bell;
static char lane[LANE_NAME_SIZE];

static int
enter(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(top) == NULL || spool_open(&spool, top) < 0)
		return -1;
	dir = bell_open_dir(&spool, "host.example", "none");
	return dir < 0 || bell_ring(dir, "a.example") != -ENXIO || /* there is no bell, */
		bell_listen(&bell, dir) != -ENOENT || bell_make(dir) != 0;
}

static int
leave(void **state)
{
	(void)state;
	char command[64];
	close(dir);
	spool_close(&spool);
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	pid_t pid = fork();
	if (pid == 0)
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static void
hears(enum bell_heard what, const char *name)
{
	assert_int_equal(bell_hear(&bell, lane), what);
	if (what == BELL_LANE)
		assert_string_equal(lane, name);
}

static void
test_names(void **state)
{
	(void)state;
	assert_int_equal(bell_ring(dir, "a.example"), -ENXIO); /* nobody listens yet */
	assert_int_equal(bell_listen(&bell, dir), 0);
	hears(BELL_SILENT, NULL);
	assert_int_equal(bell_ring(dir, "a.example"), 0);
	assert_int_equal(bell_ring(dir, "route:x"), 0);
	hears(BELL_LANE, "a.example");
	assert_int_equal(bell_ring(dir, "[192.0.2.1]"), 0);
	hears(BELL_LANE, "route:x");
	hears(BELL_LANE, "[192.0.2.1]");
	hears(BELL_SILENT, NULL);
	assert_int_equal(bell_ring(dir, BELL_ANY), 0);
	hears(BELL_ALL, NULL);
	hears(BELL_SILENT, NULL);
	bell_close(&bell);
	assert_int_equal(bell_ring(dir, "a.example"), -ENXIO); /* nobody listens */
}

/* S12: what is no bell is heard by nobody, until whoever has the lock makes one of it. */
static void
test_made(void **state)
{
	(void)state;
	struct stat before, st;
	assert_int_equal(fstatat(dir, "bell", &before, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(before.st_mode, S_IFIFO | 0600); /* K3 */
	assert_int_equal(bell_listen(&bell, dir), 0);
	assert_int_equal(bell_make(dir), 0); /* one that is there stays, with who listens */
	assert_int_equal(fstatat(dir, "bell", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_ino, before.st_ino);
	assert_int_equal(bell_ring(dir, "a.example"), 0);
	hears(BELL_LANE, "a.example");
	bell_close(&bell);
	for (int kind = 0; kind < 4; kind++) {
		assert_int_equal(unlinkat(dir, "bell", 0), 0);
		int r = kind == 0 ? mknodat(dir, "bell", S_IFREG | 0600, 0)
			: kind == 1 ? mkdirat(dir, "bell", 0700)
			: kind == 2 ? symlinkat("/dev/null", dir, "bell") /* K4 */
				    : symlinkat("bell", dir, "bell");
		assert_int_equal(r, 0);
		assert_int_equal(bell_ring(dir, "a.example"), -ENXIO);
		assert_int_equal(bell_make(dir), 0);
		assert_int_equal(fstatat(dir, "bell", &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(st.st_mode, S_IFIFO | 0600);
		assert_int_equal(bell_listen(&bell, dir), 0);
		assert_int_equal(bell_ring(dir, "a.example"), 0);
		hears(BELL_LANE, "a.example");
		bell_close(&bell);
	}
}

/* K4: no part of the way to a bell is a link. */
static void
test_links(void **state)
{
	(void)state;
	static const char *const links[] = { "relay", "relay/host.example", "relay/host.example/none" };
	struct stat want, st;
	assert_int_equal(fstat(dir, &want), 0);
	for (size_t i = 0; i < ROWS(links); i++) {
		char target[64];
		snprintf(target, sizeof(target), "%s.moved", links[i]);
		assert_int_equal(renameat(spool.root, links[i], spool.root, target), 0);
		assert_int_equal(symlinkat(strrchr(target, '/') != NULL ? strrchr(target, '/') + 1
								      : target,
					 spool.root, links[i]), 0);
		assert_true(faccessat(spool.root, "relay/host.example/none", F_OK, 0) == 0);
		assert_true(bell_open_dir(&spool, "host.example", "none") < 0);
		assert_int_equal(unlinkat(spool.root, links[i], 0), 0);
		assert_int_equal(renameat(spool.root, target, spool.root, links[i]), 0);
		int again = bell_open_dir(&spool, "host.example", "none");
		assert_true(again >= 0);
		assert_int_equal(fstat(again, &st), 0);
		assert_int_equal(st.st_ino, want.st_ino);
		close(again);
	}
}

/* Two listeners of one bell never are: the lock says who may. Closing takes it from all of them. */
static void
test_lock(void **state)
{
	(void)state;
	int fd = bell_lock(dir);
	assert_true(fd >= 0);
	assert_int_equal(bell_lock(dir), -EAGAIN);
	int handed_on = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	close(fd);
	assert_int_equal(bell_lock(dir), -EAGAIN);
	close(handed_on);
	fd = bell_lock(dir);
	assert_true(fd >= 0);
	close(fd);
	int other = bell_open_dir(&spool, "host.example", "another");
	assert_true(other >= 0);
	close(other);
}

/* What was in the bell when it was closed is not heard by the next one. */
static void
test_closed_is_forgotten(void **state)
{
	(void)state;
	assert_int_equal(bell_listen(&bell, dir), 0);
	assert_int_equal(bell_ring(dir, "old.example"), 0);
	bell_close(&bell);
	assert_int_equal(bell_listen(&bell, dir), 0);
	hears(BELL_SILENT, NULL);
	bell_close(&bell);
}

/* Names of all lengths, until one is lost: the listener is told to look everywhere, once. */
static void
test_full(void **state)
{
	(void)state;
	for (size_t size = 20; size < LANE_NAME_SIZE; size += 25) {
		char name[LANE_NAME_SIZE] = "";
		memset(name, 'a', size);
		for (size_t i = 50; i < size; i += 50)
			name[i] = '.';
		assert_int_equal(bell_listen(&bell, dir), 0);
		int rung = 0, heard = 0;
		/* Fills it: the ring itself says nothing, so what the pipe holds does. */
		for (int before = -1, now = 0; before != now; rung++) {
			before = now;
			assert_int_equal(bell_ring(dir, name), 0);
			assert_int_equal(ioctl(bell.fd, FIONREAD, &now), 0);
		}
		enum bell_heard what;
		while ((what = bell_hear(&bell, lane)) == BELL_LANE)
			heard++;
		assert_int_equal(heard, rung - 1);
		assert_int_equal(what, BELL_ALL);
		hears(BELL_SILENT, NULL);
		bell_close(&bell);
	}
}

/* Half a bell of names is no reason to look everywhere, nor is one that is emptied time and again. */
static void
test_not_full(void **state)
{
	(void)state;
	assert_int_equal(bell_listen(&bell, dir), 0);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(bell_ring(dir, "a.example"), 0);
		for (int i = 0; i < 100; i++)
			hears(BELL_LANE, "a.example");
		hears(BELL_SILENT, NULL);
	}
	bell_close(&bell);
}

/* What is no lane's name leads nowhere else, and is no reason to miss something. */
static void
test_garbage(void **state)
{
	(void)state;
	static const char *const rows[] = { "\n", "../tmp\n", "UP.example\n", "a b\n", "\xff\n" };
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(bell_listen(&bell, dir), 0);
		assert_int_equal(write(bell.own, rows[i], strlen(rows[i])), strlen(rows[i]));
		assert_int_equal(bell_ring(dir, "a.example"), 0);
		hears(BELL_ALL, NULL);
		hears(BELL_LANE, "a.example");
		hears(BELL_SILENT, NULL);
		bell_close(&bell);
	}
	/* a line that never ends */
	assert_int_equal(bell_listen(&bell, dir), 0);
	for (int i = 0; i < 3 * BELL_BUFFER; i++)
		assert_int_equal(write(bell.own, "x", 1), 1);
	hears(BELL_SILENT, NULL);
	assert_int_equal(write(bell.own, "\n", 1), 1);
	assert_int_equal(bell_ring(dir, "a.example"), 0);
	hears(BELL_ALL, NULL);
	hears(BELL_LANE, "a.example");
	bell_close(&bell);
}

/* Counts what is heard until the bell is silent. True: some of it may be lost. */
static bool
count(int *heard)
{
	enum bell_heard what;
	bool lost = false;
	while ((what = bell_hear(&bell, lane)) != BELL_SILENT) {
		if (what == BELL_LANE)
			assert_string_equal(lane, "many.example");
		*heard += what == BELL_LANE;
		lost = lost || what == BELL_ALL;
	}
	return lost;
}

/* Many that ring at once: each name comes whole. */
static void
test_many_writers(void **state)
{
	(void)state;
	enum { WRITERS = 8, EACH = 200 };
	int heard = 0, status;
	bool lost = false;
	assert_int_equal(bell_listen(&bell, dir), 0);
	for (int w = 0; w < WRITERS; w++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < EACH; i++)
			if (bell_ring(dir, "many.example") < 0)
				_exit(EXIT_FAILURE);
		_exit(EXIT_SUCCESS);
	}
	for (int ended = 0; ended < WRITERS;) {
		lost = count(&heard) || lost;
		if (waitpid(-1, &status, WNOHANG) <= 0)
			continue;
		assert_int_equal(status, 0);
		ended++;
	}
	lost = count(&heard) || lost;
	assert_true(heard == WRITERS * EACH || lost);
	bell_close(&bell);
}

/* L66: a relay where there is none hears nothing, and finds the mark of who rang. */
static void
test_deaf(void **state)
{
	(void)state;
	static const struct {
		int err;
		bool impossible;
	} rows[] = { { -EPERM, true }, { -EOPNOTSUPP, true }, { -ENOSYS, true }, { -EINVAL, true },
		{ 0, false }, { -ENOSPC, false }, { -EACCES, false }, { -EROFS, false } };
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(bell_is_impossible(rows[i].err), rows[i].impossible);
	assert_int_equal(unlinkat(dir, "bell", 0), 0);
	assert_int_equal(bell_listen(&bell, dir), -ENOENT);
	bell_be_deaf(&bell);
	assert_int_equal(bell_ring(dir, "a.example"), -ENXIO);
	hears(BELL_SILENT, NULL);
	bell_close(&bell);
	assert_int_equal(bell_make(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_closed_is_forgotten),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_not_full),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_many_writers),
		cmocka_unit_test(test_deaf),
	};
	umask(0); /* K3: modes must not depend on it */
	return cmocka_run_group_tests(tests, enter, leave);
}

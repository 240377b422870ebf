/*
 * ticket: keys are made, kept, replaced when they are old, and not believed when they are odd
 * (K13).
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "secrets/ticket.h"

enum { HOUR = 3600 };

static struct place {
	char path[32];
	int fd;
} place;

static int
enter(void **state)
{
	(void)state;
	snprintf(place.path, sizeof(place.path), "/tmp/postern-ticket-XXXXXX");
	if (mkdtemp(place.path) == NULL)
		return -1;
	place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return place.fd < 0;
}

static int
leave(void **state)
{
	(void)state;
	unlinkat(place.fd, "ticket-key", 0);
	unlinkat(place.fd, "ticket-key.old", 0);
	close(place.fd);
	return rmdir(place.path); /* so nothing else was left there */
}

static void
age(const char *name, int hours)
{
	struct timespec then[2] = { { .tv_sec = time(NULL) - hours * HOUR } };
	then[1] = then[0];
	assert_int_equal(utimensat(place.fd, name, then, 0), 0);
}

static void
put(const char *name, size_t n)
{
	char text[200] = { 0 };
	memset(text, 'x', n);
	int fd = openat(place.fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n);
	close(fd);
}

static bool
equal(const struct ticket_key *a, const struct ticket_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
test_made_once(void **state)
{
	(void)state;
	struct ticket_key a[TICKET_KEYS], b[TICKET_KEYS];
	struct stat st;
	assert_int_equal(ticket_keys(place.path, a), 1);
	assert_int_equal(ticket_keys(place.path, b), 1);
	assert_true(equal(&a[0], &b[0]));
	assert_int_equal(fstatat(place.fd, "ticket-key", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* Several that find none: all of them have the same. */
static void
test_made_at_once(void **state)
{
	enum { PROCESSES = 8, TIMES = 20 };
	struct ticket_key have[TICKET_KEYS], k[TICKET_KEYS];
	int start[2], told[2];
	(void)state;
	for (int t = 0; t < TIMES; t++) {
		assert_true(pipe(start) == 0 && pipe(told) == 0);
		for (int i = 0; i < PROCESSES; i++) {
			if (fork() != 0)
				continue;
			char octet;
			close(start[1]);
			(void)!read(start[0], &octet, 1); /* until it closes */
			int n = ticket_keys(place.path, k);
			_exit(n != 1 || write(told[1], k, sizeof(k[0])) != (ssize_t)sizeof(k[0]));
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < PROCESSES; i++) {
			int64_t n = read(told[0], &have[i > 0], sizeof(have[0]));
			assert_int_equal(n, sizeof(have[0]));
			assert_true(i == 0 || equal(&have[0], &have[1]));
		}
		for (int i = 0, status; i < PROCESSES; i++)
			assert_true(wait(&status) > 0 && status == 0);
		close(told[0]);
		close(told[1]);
		assert_int_equal(unlinkat(place.fd, "ticket-key", 0), 0);
	}
}

/* The one before stays for as long again. */
static void
test_replaced(void **state)
{
	(void)state;
	struct ticket_key a[TICKET_KEYS], b[TICKET_KEYS];
	assert_int_equal(ticket_keys(place.path, a), 1);
	age("ticket-key", 11);
	assert_int_equal(ticket_keys(place.path, b), 1);
	assert_true(equal(&a[0], &b[0]));
	age("ticket-key", 13);
	assert_int_equal(ticket_keys(place.path, b), 2);
	assert_true(!equal(&a[0], &b[0]) && equal(&a[0], &b[1]));
	age("ticket-key.old", 23);
	assert_int_equal(ticket_keys(place.path, b), 2);
	age("ticket-key.old", 25);
	assert_int_equal(ticket_keys(place.path, b), 1);
}

/* The clock was set back: the key might live for ever. */
static void
test_from_the_future(void **state)
{
	(void)state;
	struct ticket_key a[TICKET_KEYS], b[TICKET_KEYS];
	assert_int_equal(ticket_keys(place.path, a), 1);
	age("ticket-key", -1000);
	assert_true(ticket_keys(place.path, b) > 0);
	assert_false(equal(&a[0], &b[0]));
}

static void
test_wrong_size(void **state)
{
	static const size_t sizes[] = { 0, 1, sizeof(struct ticket_key) - 1,
		sizeof(struct ticket_key) + 1, 200 };
	struct ticket_key k[TICKET_KEYS], none;
	(void)state;
	memset(&none, 'x', sizeof(none));
	for (size_t i = 0; i < ROWS(sizes); i++) {
		put("ticket-key", sizes[i]);
		put("ticket-key.old", sizes[i]);
		assert_int_equal(ticket_keys(place.path, k), 1);
		assert_false(equal(&k[0], &none));
	}
	if (geteuid() != 0) /* only root can make a file somebody else's */
		return;
	put("ticket-key", sizeof(struct ticket_key));
	char path[sizeof(place.path) + 20];
	snprintf(path, sizeof(path), "%s/ticket-key", place.path);
	assert_int_equal(chown(path, 1, 1), 0);
	assert_int_equal(ticket_keys(place.path, k), 1);
	assert_false(equal(&k[0], &none));
}

static void
test_link(void **state)
{
	(void)state;
	struct ticket_key k[TICKET_KEYS];
	struct stat st;
	put("ticket-key.old", sizeof(struct ticket_key));
	assert_int_equal(symlinkat("ticket-key.old", place.fd, "ticket-key"), 0);
	assert_int_equal(ticket_keys(place.path, k), 2);
	assert_false(equal(&k[0], &k[1]));
	assert_int_equal(fstatat(place.fd, "ticket-key", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void
test_no_place(void **state)
{
	(void)state;
	struct ticket_key k[TICKET_KEYS];
	assert_int_equal(ticket_keys("/nonexistent", k), -ENOENT);
	assert_int_equal(mkdirat(place.fd, "ticket-key", 0700), 0); /* cannot be replaced */
	assert_int_equal(ticket_keys(place.path, k), 0);
	assert_int_equal(unlinkat(place.fd, "ticket-key", AT_REMOVEDIR), 0);
}

#define PLACED(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACED(test_made_once),
		PLACED(test_made_at_once),
		PLACED(test_replaced),
		PLACED(test_from_the_future),
		PLACED(test_wrong_size),
		PLACED(test_link),
		PLACED(test_no_place),
	};
	return cmocka_run_group_tests_name("ticket", tests, NULL, NULL);
}

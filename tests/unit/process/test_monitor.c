/* monitor: starts what its session asks for, and ends as the session does. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "process/monitor.h"
#include "process/request.h"

static char dir[] = "/tmp/postern-monitor-XXXXXX";
static char tls_path[64], auth_path[64], check_path[64], deaf_path[64];

/* A program that says on descriptor `fd` who it is and what it was asked to do. */
static void
write_program(char path[static 64], const char *name, int fd)
{
	snprintf(path, 64, "%s/%s", dir, name);
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_true(file >= 0);
	dprintf(file, "#!/bin/sh\necho %s $1 >&%d\n", name, fd);
	close(file);
}

static int
enter(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	write_program(tls_path, "tls", 4);
	write_program(auth_path, "auth", 3);
	write_program(check_path, "check", 1);
	write_program(deaf_path, "deaf", 3);
	return chmod(deaf_path, 0600);
}

static int
leave(void **state)
{
	(void)state;
	unlink(tls_path);
	unlink(auth_path);
	unlink(check_path);
	unlink(deaf_path);
	return rmdir(dir);
}

/* What a session does with its end of the requests; its exit status. */
typedef int session_fn(int requests);

/* The exit status of a monitor of such a session. Standard descriptors of this process stay. */
static int
watch(const struct launcher *l, session_fn *session)
{
	int status;
	pid_t monitor = fork();
	assert_true(monitor >= 0);
	if (monitor == 0) {
		int fd[2];
		if (request_pair(fd) < 0)
			_exit(EX_OSERR);
		pid_t pid = fork();
		if (pid == 0) {
			close(fd[0]);
			_exit(session(fd[1]));
		}
		close(fd[1]);
		_exit(monitor_run(l, fd[0], pid));
	}
	assert_int_equal(waitpid(monitor, &status, 0), monitor);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/*
 * Asks with `n` descriptors, all of them the same end of a pair. What is said at the other end until
 * nobody has ours any more; "": nothing was started, or nothing that speaks.
 */
static const char *
ask(int requests, enum request_kind kind, int n)
{
	static char said[256];
	struct request r = { .kind = kind, .lane = "../up" };
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return "no pair";
	int theirs[REQUEST_FDS] = { ends[1], ends[1] };
	if (request_send(requests, &r, theirs, n) < 0)
		return "not sent";
	close(ends[1]);
	ssize_t got, at = 0;
	while ((got = read(ends[0], said + at, sizeof(said) - 1 - (size_t)at)) > 0)
		at += got;
	close(ends[0]);
	said[at] = '\0';
	return got < 0 ? "error" : said;
}

static int
ends_well(int requests)
{
	(void)requests;
	return EXIT_SUCCESS;
}

static int
ends_with_42(int requests)
{
	(void)requests;
	return 42;
}

static int
crashes(int requests)
{
	(void)requests;
	signal(SIGUSR1, SIG_DFL);
	raise(SIGUSR1);
	return EXIT_SUCCESS;
}

/* Closes its requests long before it ends: the monitor still knows how. */
static int
stops_asking(int requests)
{
	close(requests);
	return 43;
}

static void
test_ends_as_the_session(void **state)
{
	(void)state;
	static const struct {
		session_fn *session;
		int want;
	} rows[] = {
		{ ends_well, EXIT_SUCCESS },
		{ ends_with_42, 42 },
		{ stops_asking, 43 },
		{ crashes, EX_SOFTWARE },
	};
	struct conf c = { 0 };
	struct launcher l = { .conf = &c };
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_int_equal(watch(&l, rows[i].session), rows[i].want);
}

/* The place in the list of the first answer that is not the one wanted; 0: all are. */
static int
asks_for_each(int requests)
{
	static const struct {
		enum request_kind kind;
		int n;
		const char *want;
	} rows[] = {
		/* with one descriptor too few or too many nothing is started */
		{ REQUEST_TLS, 1, "" },
		{ REQUEST_AUTH, 2, "" },
		{ REQUEST_AUTH, 0, "" },
		{ REQUEST_CHECK_SENDER, 2, "" },
		{ REQUEST_TLS, 2, "tls --serve\n" },
		{ REQUEST_AUTH, 1, "auth --serve\n" },
		{ REQUEST_CHECK_SENDER, 1, "check\n" },
		{ REQUEST_CHECK_RECIPIENT, 1, "" }, /* none is configured */
		{ REQUEST_RELAY, 0, "" },           /* no lane has that name */
		{ REQUEST_KINDS, 1, "" },
		{ REQUEST_TLS, 2, "" },             /* a second time */
		{ REQUEST_AUTH, 1, "auth --serve\n" },
	};
	for (size_t i = 0; i < ROWS(rows); i++)
		if (strcmp(ask(requests, rows[i].kind, rows[i].n), rows[i].want) != 0)
			return (int)i + 1;
	return EXIT_SUCCESS;
}

static void
test_starts_what_is_asked_for(void **state)
{
	(void)state;
	struct conf_args args = { 0 };
	struct conf c = {
		.who = { .tls_path = tls_path, .auth_path = auth_path },
		.receive = { .sender_check = check_path, .timeout_check = 60, .max_errors = 3,
			.max_recipients = 1 },
	};
	struct launcher l = { .conf = &c, .args = &args };
	assert_int_equal(watch(&l, asks_for_each), EXIT_SUCCESS);
}

/* What cannot be executed leaves its session with a closed end, and the monitor goes on. */
static int
asks_for_what_cannot_run(int requests)
{
	if (ask(requests, REQUEST_TLS, 2)[0] != '\0')
		return 1;
	return strcmp(ask(requests, REQUEST_AUTH, 1), "auth --serve\n") == 0 ? EXIT_SUCCESS : 2;
}

static void
test_cannot_be_executed(void **state)
{
	(void)state;
	struct conf_args args = { 0 };
	struct conf c = { .who = { .tls_path = deaf_path, .auth_path = auth_path } };
	struct launcher l = { .conf = &c, .args = &args };
	assert_int_equal(watch(&l, asks_for_what_cannot_run), EXIT_SUCCESS);
}

/*
 * M8: what no honest session asks for is told from what fails, and neither goes on without end: who
 * serves many sessions counts it (pool.c).
 */
static void
test_nonsense(void **state)
{
	(void)state;
	static const struct {
		struct request r;
		int n;
		bool fine;
	} rows[] = {
		{ { .kind = REQUEST_TLS }, 1, false },
		{ { .kind = REQUEST_AUTH }, 0, false },
		{ { .kind = REQUEST_AUTH }, 2, false },
		{ { .kind = REQUEST_CHECK_SENDER }, 2, false },
		{ { .kind = REQUEST_CHECK_RECIPIENT }, 1, false }, /* none is configured */
		{ { .kind = REQUEST_RELAY, .lane = "../up" }, 0, false },
		{ { .kind = REQUEST_CLIENT }, 1, false },
		{ { .kind = REQUEST_AUTH }, 1, true },             /* cannot be executed */
		{ { .kind = REQUEST_RELAY, .lane = "d.example" }, 0, true }, /* relays are the timer's */
	};
	struct conf_args args = { 0 };
	struct conf c = { .who = { .tls_path = tls_path, .auth_path = deaf_path },
		.receive = { .sender_check = check_path, .timeout_check = 60, .max_recipients = 1 } };
	struct launcher l = { .conf = &c, .args = &args };
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct attended a = { 0 };
		int fds[REQUEST_FDS];
		budget_init(&a.budget, &c);
		for (int k = 0; k < rows[i].n; k++)
			fds[k] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (monitor_answer(&l, &a, &rows[i].r, fds, rows[i].n) != rows[i].fine)
			fail_msg("row %zu", i);
	}
}

/* How often one that fails is tried. */
static void
test_failures_end(void **state)
{
	(void)state;
	const struct request r = { .kind = REQUEST_RELAY, .lane = "d.example" };
	struct conf c = { .receive = { .max_recipients = 1 } }; /* no relays (max_connections) */
	struct launcher l = { .conf = &c };
	struct attended a = { .warned = true };
	int64_t n = 0;
	budget_init(&a.budget, &c);
	while (n <= LIMIT_RELAYS_RUNG && monitor_answer(&l, &a, &r, NULL, 0))
		n++;
	assert_int_equal(n, LIMIT_RELAYS_RUNG);
}

/* What is no request is passed over. */
static int
sends_garbage(int requests)
{
	return send(requests, "x", 1, 0) == 1 &&
		strcmp(ask(requests, REQUEST_AUTH, 1), "auth --serve\n") == 0 ? EXIT_SUCCESS : 1;
}

static void
test_garbage(void **state)
{
	(void)state;
	struct conf_args args = { 0 };
	struct conf c = { .who = { .auth_path = auth_path } };
	struct launcher l = { .conf = &c, .args = &args };
	assert_int_equal(watch(&l, sends_garbage), EXIT_SUCCESS);
}

/* How many children a process has, those that ended and were not waited for too; -1: it is not told. */
static int
children_of(pid_t pid)
{
	char path[64];
	int n = 0, child;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	auto_file f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (fscanf(f, "%d", &child) == 1)
		n++;
	return n;
}

/* Nothing that ended is left at the monitor once it has heard of something. */
static int
looks_for_remains(int requests)
{
	enum { LOOKS = 12000, PAUSE = 10 /* ms */, ASKED = 4 };
	if (children_of(getppid()) < 0)
		return EXIT_SUCCESS;
	for (int i = 0; i < ASKED; i++)
		if (strcmp(ask(requests, REQUEST_CHECK_SENDER, 1), "check\n") != 0)
			return 1;
	for (int i = 0; i < LOOKS && children_of(getppid()) > 1; i++) {
		(void)send(requests, "x", 1, 0);
		poll(NULL, 0, PAUSE);
	}
	return children_of(getppid()) == 1 ? EXIT_SUCCESS : 2;
}

static void
test_nothing_remains(void **state)
{
	(void)state;
	struct conf_args args = { 0 };
	struct conf c = { .receive = { .sender_check = check_path, .timeout_check = 60,
		.max_recipients = 1 } };
	struct launcher l = { .conf = &c, .args = &args };
	assert_int_equal(watch(&l, looks_for_remains), EXIT_SUCCESS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_as_the_session),
		cmocka_unit_test(test_starts_what_is_asked_for),
		cmocka_unit_test(test_cannot_be_executed),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_failures_end),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_nothing_remains),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

/*
 * standby: who waits is handed clients, as long as it may, and whoever lies or dies is known.
 *
 * tls is this program under another name: POSTERN_ROLE says how it behaves.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "process/await.h"
#include "process/standby.h"

enum { PATIENCE = 120 * 1000, PAUSE = 30 * 1000, REUSE = 3 };

/* ---- who waits ------------------------------------------------------------------------------ */

/* Says to the session that it is there, and has it until that closes. */
static void
serve(const int *fds)
{
	char octet;
	(void)!write(fds[1], "x", 1);
	while (read(fds[1], &octet, 1) > 0)
		;
	close(fds[0]);
	close(fds[1]);
}

static int
be_tls(void)
{
	const char *role = getenv("POSTERN_ROLE");
	int fds[REQUEST_FDS];
	if (role != NULL && strcmp(role, "unfit") == 0) {
		int log = open(getenv("POSTERN_STARTS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
		(void)!write(log, "x", 1);
		return EXIT_FAILURE;
	}
	await_begin();
	if (role != NULL && strcmp(role, "liar") == 0)
		(void)!write(LAUNCH_FIRST_FD, "x", 1);
	while (await_client(fds, REQUEST_FDS))
		serve(fds);
	return EXIT_SUCCESS;
}

/* ---- the monitor ---------------------------------------------------------------------------- */

static char here[64], path[128], file[128], log_of_starts[128];
static struct conf c;
static const struct conf_args args;
static const struct launcher l = { .conf = &c, .args = &args };
static struct standby *s;
static struct budget budget;

static void
write_file(const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int
prepare(void **state)
{
	(void)state;
	char self[128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	snprintf(here, sizeof(here), "/tmp/postern-standby-XXXXXX");
	if (n <= 0 || mkdtemp(here) == NULL)
		return -1;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/tls", here);
	snprintf(file, sizeof(file), "%s/certificate", here);
	snprintf(log_of_starts, sizeof(log_of_starts), "%s/starts", here);
	setenv("POSTERN_STARTS", log_of_starts, 1);
	c = (struct conf){ .who = { .tls_path = path, .auth_path = path, .runtime = here },
		.busy = { .sessions = 10, .reuse = REUSE, .idle = 60 },
		.receive = { .timeout_session = 60, .timeout_command = 60, .max_errors = 20 },
		.tls = { .certificate = file, .key = file } };
	write_file("one");
	unsetenv("POSTERN_ROLE");
	budget_init(&budget, &c);
	s = standby_open(&l);
	return s != NULL ? symlink(self, path) : -1;
}

static int
clean(void **state)
{
	(void)state;
	standby_close(s);
	unlink(path);
	unlink(file);
	unlink(log_of_starts);
	return rmdir(here);
}

/* Until there is something to attend to. */
static void
attend(void)
{
	struct pollfd p = { .fd = standby_fd(s), .events = POLLIN };
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	standby_attend(s);
}

/* A client with a session; what it has is handed over. */
struct client {
	pid_t pid;
	int session;
};

static struct client
hand(void)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int fds[] = { STDERR_FILENO, pair[1] };
	struct client x = { standby_hand(s, REQUEST_TLS, fds, 2, &budget), pair[0] };
	close(pair[1]);
	if (x.pid > 0)
		budget_spend(&budget, REQUEST_TLS, x.pid);
	return x;
}

/* It is served by who was named: that one alone has the other end. */
static void
assert_served(const struct client *x)
{
	char octet;
	assert_true(x->pid > 0);
	assert_int_equal(read(x->session, &octet, 1), 1);
}

static bool
is_in_budget(pid_t pid)
{
	for (int i = 0; i < LIMIT_HELPERS; i++)
		if (budget.running[i] == pid)
			return true;
	return false;
}

/* Until it is known that it has gone. */
static void
leave(const struct client *x)
{
	close(x->session);
	while (is_in_budget(x->pid))
		attend();
}

static int
end_of(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	standby_ended(s, pid, status);
	return status;
}

static struct client
serve_one(void)
{
	struct client x = hand();
	assert_served(&x);
	leave(&x);
	return x;
}

/* The same process, as often as it may; each goes out of the budget when its client has gone. */
static void
test_one_after_the_other(void **state)
{
	(void)state;
	pid_t first = serve_one().pid;
	for (int i = 1; i < REUSE; i++)
		assert_int_equal(serve_one().pid, first);
	assert_int_equal(end_of(first), 0);
	assert_int_not_equal(serve_one().pid, first);
}

static void
test_at_once(void **state)
{
	(void)state;
	struct client a = hand(), b = hand();
	assert_int_not_equal(a.pid, b.pid);
	assert_served(&a);
	assert_served(&b);
	leave(&a);
	leave(&b);
}

/* What it was made from has changed: it finishes with its client, and gets no other. */
static void
test_file_changes(void **state)
{
	(void)state;
	struct client a = serve_one(), b = hand();
	assert_int_equal(a.pid, b.pid);
	assert_served(&b);
	write_file("another");
	struct client other = hand();
	assert_int_not_equal(other.pid, b.pid);
	assert_served(&other);
	leave(&b);
	assert_int_equal(end_of(b.pid), 0);
	leave(&other);
	assert_int_equal(serve_one().pid, other.pid);
	write_file("a third one");
	assert_int_not_equal(serve_one().pid, other.pid);
	assert_int_equal(end_of(other.pid), 0);
}

/* M8: it says that it is ready once more than it was. */
static void
test_liar(void **state)
{
	(void)state;
	setenv("POSTERN_ROLE", "liar", 1);
	struct client x = hand();
	assert_served(&x);
	int64_t until = clock_ms() + PATIENCE;
	int status = 0;
	leave(&x); /* by its first lie */
	while (waitpid(x.pid, &status, WNOHANG) == 0 && clock_ms() < until)
		standby_attend(s);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	standby_ended(s, x.pid, status);
}

static int64_t
starts(void)
{
	struct stat st = { 0 };
	(void)stat(log_of_starts, &st);
	return st.st_size;
}

/* One that ends before it is ready takes its client along, and is not started again at once. */
static void
test_unfit(void **state)
{
	(void)state;
	char octet;
	int64_t now = clock_ms();
	setenv("POSTERN_ROLE", "unfit", 1);
	struct client x = hand();
	assert_true(x.pid > 0);
	assert_int_equal(read(x.session, &octet, 1), 0);
	close(x.session);
	(void)end_of(x.pid);
	assert_true(standby_adjust(s, now) > now);
	assert_int_equal(starts(), 1);
	(void)standby_adjust(s, now + PAUSE);
	for (int64_t until = now + PATIENCE; starts() < 2;)
		assert_true(clock_ms() < until);
}

static void
test_killed_while_it_waits(void **state)
{
	(void)state;
	struct client a = serve_one();
	kill(a.pid, SIGKILL);
	int status;
	assert_int_equal(waitpid(a.pid, &status, 0), a.pid); /* and nobody has told the stock */
	struct client b = serve_one();
	assert_int_not_equal(a.pid, b.pid);
	standby_ended(s, a.pid, status);
	assert_int_equal(serve_one().pid, b.pid);
}

/* Of these none wait, so one is started for its client; and what cannot be started is said. */
static void
test_none_wait(void **state)
{
	(void)state;
	int fds[] = { STDERR_FILENO, STDERR_FILENO };
	char other[] = "/nowhere";
	assert_int_equal(standby_hand(s, REQUEST_RELAY, NULL, 0, &budget), 0);
	assert_int_equal(standby_hand(s, REQUEST_TLS, fds, 1, &budget), 0);
	assert_int_equal(standby_adjust(s, clock_ms()), CLOCK_NEVER);
	standby_close(s);
	c.auth.dovecot = other;
	c.who.tls_path = other;
	s = standby_open(&l);
	assert_int_equal(standby_hand(s, REQUEST_AUTH, fds, 1, &budget), 0);
	assert_int_equal(standby_hand(s, REQUEST_TLS, fds, 2, &budget), -ENOENT);
}

#define STANDBY(f) cmocka_unit_test_setup_teardown(f, prepare, clean)

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--wait") == 0)
		return be_tls();
	const struct CMUnitTest tests[] = {
		STANDBY(test_one_after_the_other),
		STANDBY(test_at_once),
		STANDBY(test_file_changes),
		STANDBY(test_liar),
		STANDBY(test_unfit),
		STANDBY(test_killed_while_it_waits),
		STANDBY(test_none_wait),
	};
	return cmocka_run_group_tests_name("standby", tests, NULL, NULL);
}

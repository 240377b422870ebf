/* post: who starts what posts a report (R86). */
#include "tests/unit/openfds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/fetching.h"
#include "lib/handover.h"
#include "tlsreport/post.h"

enum { POSTS = 2 * POST_FETCHES, MAKER_STATUS = 7 };

/* The linker puts this in the place of the one that execs: a child that has ended already. */
pid_t __wrap_fetching_start(const struct launcher *l, const int fds[static 2]);

static int started;
static pid_t running[POSTS]; /* unless `lasts` none is */
static bool lasts;           /* it does not end by itself */

pid_t
__wrap_fetching_start(const struct launcher *l, const int fds[static 2])
{
	siginfo_t i;
	(void)l;
	(void)fds;
	pid_t pid = fork();
	if (pid == 0 && lasts)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0 && lasts)
		pause();
	if (pid == 0)
		_exit(0);
	if (lasts)
		running[started] = pid;
	else
		assert_int_equal(waitid(P_PID, (id_t)pid, &i, WEXITED | WNOWAIT), 0);
	started++;
	return pid;
}

/* One connection is handed over; does what comes back, if anybody waits for it, hold a socket? */
static bool
hand_over(int socket, int connection, bool wait)
{
	char octet;
	int fds[HANDOVER_FDS] = { -1 };
	if (handover_send(socket, "F", 1, &connection, 1) < 0)
		_exit(1);
	if (wait && handover_receive(socket, &octet, 1, 0, fds) != 1)
		_exit(1);
	if (fds[0] >= 0)
		close(fds[0]);
	return fds[0] >= 0;
}

/* However many are posted, no more than the last one of those that posted is left. */
static void
test_none_is_left(void **state)
{
	(void)state;
	int ends[2], status, left = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid_t maker = fork();
	if (maker == 0) {
		close(ends[0]);
		for (int i = 0; i < POSTS; i++)
			if (!hand_over(ends[1], ends[1], true))
				_exit(1);
		_exit(MAKER_STATUS);
	}
	close(ends[1]);
	post_start_all(ends[0], maker, NULL);
	close(ends[0]);
	/* the maker is the caller's */
	assert_int_equal(waitpid(maker, &status, 0), maker);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), MAKER_STATUS);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		left++;
	assert_true(left <= 1);
	assert_int_equal(started, POSTS);
}

/* One that was taken over asks for any number of them: so many run, and more there are none. */
static void
test_so_many_run(void **state)
{
	(void)state;
	int ends[2], status, got = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	started = 0;
	lasts = true;
	pid_t maker = fork();
	if (maker == 0) {
		close(ends[0]);
		for (int i = 0; i < POSTS; i++)
			got += hand_over(ends[1], STDERR_FILENO, true);
		_exit(got);
	}
	close(ends[1]);
	post_start_all(ends[0], maker, NULL);
	close(ends[0]);
	lasts = false;
	for (int i = 0; i < started; i++) {
		kill(running[i], SIGKILL);
		assert_int_equal(waitpid(running[i], NULL, 0), running[i]);
	}
	assert_int_equal(waitpid(maker, &status, 0), maker);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), POST_FETCHES);
	assert_int_equal(started, POST_FETCHES);
}

/* One that dies while it has something posted is the caller's, too, who tells what it died of. */
static void
test_maker_dies(void **state)
{
	(void)state;
	int ends[2], status;
	siginfo_t i;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid_t maker = fork();
	if (maker == 0) {
		(void)hand_over(ends[1], ends[1], false);
		_exit(MAKER_STATUS);
	}
	close(ends[1]);
	assert_int_equal(waitid(P_PID, (id_t)maker, &i, WEXITED | WNOWAIT), 0);
	post_start_all(ends[0], maker, NULL);
	close(ends[0]);
	assert_int_equal(waitpid(maker, &status, 0), maker);
	assert_int_equal(WEXITSTATUS(status), MAKER_STATUS);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* One that was taken over hands over more than a connection: the first process keeps none of them. */
static void
test_surplus(void **state)
{
	int ends[2], before;
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(handover_send(ends[1], "F", 1, (const int[]){ ends[1], ends[1] }, 2), 0);
	assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
	before = open_fds();
	post_start_all(ends[0], 0, NULL);
	assert_int_equal(open_fds(), before);
	close(ends[0]);
	close(ends[1]);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* ---- one report ------------------------------------------------------------------------------ */

/* What there is on the way to the web server, and what it says. */
static struct {
	bool inside;      /* an address that only allow_destinations lets be */
	bool nobody;      /* there is no connection, */
	bool late;        /* ... and no time left */
	enum fetch_trouble trouble;
	uint32_t status;
	int asked;
	uint16_t port;
	char path[LIMIT_DOMAIN + FETCH_PATH + 2];
} web;

int __wrap_fetching_connect(struct resolver *r, const struct conf *c, const char *host,
	uint16_t port, int64_t deadline, struct buf *why);
int __wrap_fetching_connect_outside(struct resolver *r, const struct conf *c, const char *host,
	uint16_t port, int64_t deadline, struct buf *why);
enum fetch_trouble __wrap_fetching_ask(int fd, const struct fetch_question *q, const char *post,
	int64_t deadline, struct fetch_reply *reply, struct buf *body, struct buf *why);

int
__wrap_fetching_connect(struct resolver *r, const struct conf *c, const char *host, uint16_t port,
	int64_t deadline, struct buf *why)
{
	(void)r;
	(void)c;
	(void)host;
	(void)deadline;
	(void)why;
	web.port = port;
	return web.nobody ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
}

int
__wrap_fetching_connect_outside(struct resolver *r, const struct conf *c, const char *host,
	uint16_t port, int64_t deadline, struct buf *why)
{
	return web.inside ? -1 : __wrap_fetching_connect(r, c, host, port, deadline, why);
}

enum fetch_trouble
__wrap_fetching_ask(int fd, const struct fetch_question *q, const char *post, int64_t deadline,
	struct fetch_reply *reply, struct buf *body, struct buf *why)
{
	(void)fd;
	(void)deadline;
	(void)body;
	(void)why;
	assert_true(q->post == 2 && post[0] == 'a' && q->ms <= FETCH_TIME * 1000);
	assert_string_equal(q->type, "application/tlsrpt+gzip");
	snprintf(web.path, sizeof(web.path), "%s%s", q->host, q->path);
	web.asked++;
	*reply = (struct fetch_reply){ .status = web.status };
	return web.trouble;
}

static struct conf conf;
static char program[] = "/fetch";

/* With a first process that starts what there is to start, or `gone`. */
static int
post(const char *url, int64_t seconds, bool gone)
{
	int ends[2], status;
	struct buf why = buf_new(1000);
	conf.who.fetch_path = program;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid_t first = fork();
	if (first == 0) {
		close(ends[1]);
		if (!gone)
			post_start_all(ends[0], 0, NULL);
		_exit(0);
	}
	close(ends[0]);
	const struct poster p = { .conf = &conf, .starter = ends[1], .domain = "d.example",
		.seconds = seconds };
	int r = post_report(&p, url, span_of("ab"), &why);
	close(ends[1]);
	assert_int_equal(waitpid(first, &status, 0), first);
	buf_free(&why);
	return r;
}

static void
test_outcomes(void **state)
{
	static const struct {
		enum fetch_trouble trouble;
		uint32_t status;
		int r;
	} rows[] = {
		{ FETCH_DONE, 200, 0 }, { FETCH_DONE, 201, 0 }, { FETCH_DONE, 299, 0 },
		{ FETCH_DONE, 302, -EAGAIN }, { FETCH_DONE, 100, -EAGAIN },
		{ FETCH_DONE, 400, -EPERM }, { FETCH_DONE, 404, -EPERM },
		{ FETCH_DONE, 408, -EAGAIN }, { FETCH_DONE, 425, -EAGAIN },
		{ FETCH_DONE, 429, -EAGAIN }, { FETCH_DONE, 500, -EAGAIN },
		{ FETCH_FAILED, 0, -EAGAIN }, { FETCH_CERTIFICATE, 0, -EAGAIN },
		{ FETCH_NONE, 0, -ECHILD }, /* no word about the web server */
	};
	(void)state;
	memset(&web, 0, sizeof(web));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		web.trouble = rows[i].trouble;
		web.status = rows[i].status;
		assert_int_equal(post("https://r.example/x?y#z", FETCH_TIME, false), rows[i].r);
		assert_string_equal(web.path, "r.example/x?y");
		assert_int_equal(web.port, 443);
	}
	web.asked = 0;
	assert_int_equal(post("https://r.example/", FETCH_TIME, true), -ECHILD);
	web.nobody = true;
	assert_int_equal(post("https://r.example/", FETCH_TIME, false), -EAGAIN);
	assert_int_equal(post("https://r.example/", 0, false), -ETIMEDOUT);
	assert_int_equal(web.asked, 0);
	web.nobody = false;
	web.trouble = FETCH_FAILED;
	assert_int_equal(post("https://r.example/", 0, false), -ETIMEDOUT);
}

static void
test_places(void **state)
{
	static const struct {
		const char *url;
		uint16_t port; /* 0: not posted to */
		bool inside;   /* it may be there */
	} rows[] = {
		{ "https://r.example", 443, false },
		{ "https://r.example:443/", 443, false },
		{ "https://r.example:1024?x", 1024, false },
		{ "https://r.example:65535/", 65535, false },
		{ "https://r.example:1023/", 0, false }, /* of other services */
		{ "https://r.example:25/", 0, false },
		{ "https://r.example:0/", 0, false },
		{ "https://r.example:65536/", 0, false },
		{ "https://r.example:/", 0, false },
		{ "https://[192.0.2.1]/", 0, false },
		{ "https://d.example/", 443, true },
		{ "https://D.Example/", 443, true },
		{ "https://r.d.example/", 443, true },
		{ "https://xd.example/", 443, false },
		{ "https://d.example.r.example/", 443, false },
		{ "https://example/", 443, false },
	};
	(void)state;
	memset(&web, 0, sizeof(web));
	web.status = 200;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		web.inside = false;
		web.port = 0;
		assert_int_equal(post(rows[i].url, FETCH_TIME, false),
			rows[i].port != 0 ? 0 : -EPERM);
		assert_int_equal(web.port, rows[i].port);
		web.inside = true;
		if (rows[i].port != 0)
			assert_int_equal(post(rows[i].url, FETCH_TIME, false),
				rows[i].inside ? 0 : -EAGAIN);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_none_is_left),
		cmocka_unit_test(test_so_many_run), cmocka_unit_test(test_maker_dies), cmocka_unit_test(test_surplus),
		cmocka_unit_test(test_outcomes), cmocka_unit_test(test_places) };
	return cmocka_run_group_tests_name("post", tests, NULL, NULL);
}

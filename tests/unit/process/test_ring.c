/*
 * ring: who queues mail is heard by the relay of its login, or starts one that has the lock from its
 * first moment on; and never a second one (I15, S18).
 */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "conf/way.h"
#include "lib/cleanup.h"
#include "process/ring.h"
#include "queue/bell.h"

#define HOST "relay.example"
#define LANE "d.example"

static char here[64]; /* where the relay is, what it was asked, and what it waits for to end */
static char relay_path[128], asked[128], gate_path[128];
static int gate;
static struct conf c;
static struct options o;
static struct launcher l = { .spool = &sp, .conf = &c, .args = &o.conf };
static struct bell bell;
static char lane[LANE_NAME_SIZE];

/* Three routes: two of them have the same login, of which the first is called "x". */
static void
make_conf(void)
{
	static const char text[] = "hostname = " HOST "\nmax_connections = 2\n"
		"[route x]\ndomains = x.example\nhosts = mail.example:587\n"
		"delivery_user = us\ndelivery_password_file = /password\n"
		"[route y]\ndomains = y.example\nhosts = other.example:587\n"
		"delivery_user = us\ndelivery_password_file = /password\n"
		"[route z]\ndomains = z.example\nhosts = mail.example:25\n";
	char path[128];
	struct conf_origins from;
	auto_buf why = buf_new(1000);
	snprintf(path, sizeof(path), "%s/conf", here);
	spill(AT_FDCWD, path, span_of(text));
	o = (struct options){ .conf.file = path };
	c = (struct conf){ 0 };
	if (conf_load(&c, &o.conf, &from, &why) < 0)
		fail_msg("%.*s", (int)why.n, why.p);
	o.conf.file = NULL; /* the relay of the test has no use for it */
	free(c.who.relay_path);
	c.who.relay_path = relay_path;
}

/* A relay that says what it was asked, and ends when `gate` is written to. */
static void
make_relay(void)
{
	char text[512];
	snprintf(relay_path, sizeof(relay_path), "%s/relay", here);
	snprintf(asked, sizeof(asked), "%s/asked", here);
	snprintf(gate_path, sizeof(gate_path), "%s/gate", here);
	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$@\" >>%s\nread x <%s\n", asked, gate_path);
	spill(AT_FDCWD, relay_path, span_of(text));
	assert_int_equal(chmod(relay_path, 0700), 0);
	assert_int_equal(mkfifo(gate_path, 0600), 0);
	gate = open(gate_path, O_RDWR | O_CLOEXEC);
	assert_true(gate >= 0);
}

static int
prepare(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	snprintf(here, sizeof(here), "/tmp/postern-ring-XXXXXX");
	assert_non_null(mkdtemp(here));
	make_relay();
	make_conf();
	int r = setup(state);
	if (r == 0)
		queue_two();
	return r;
}

static int
clean(void **state)
{
	c.who.relay_path = NULL;
	conf_free(&c);
	close(gate);
	assert_int_equal(nftw(here, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	return teardown(state);
}

#define RINGS(f) cmocka_unit_test_setup_teardown(f, prepare, clean)

/* ---- the relay ----------------------------------------------------------------------------- */

static int
dir_of(const char *login)
{
	int dir = bell_open_dir(&sp, HOST, login);
	assert_true(dir >= 0);
	return dir;
}

static bool
is_locked(const char *login)
{
	int dir = dir_of(login), lock = bell_lock(dir);
	assert_true(lock >= 0 || lock == -EAGAIN);
	close(lock);
	close(dir);
	return lock < 0;
}

/* Lets one that was started end; what it was asked. */
static const char *
let_end(pid_t pid)
{
	static char text[256];
	int status;
	assert_true(pid > 0);
	assert_int_equal(write(gate, "x\n", 2), 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	struct span s = slurp(AT_FDCWD, asked);
	snprintf(text, sizeof(text), "%.*s", (int)s.n, s.p);
	assert_int_equal(unlink(asked), 0);
	return text;
}

/* Nothing was started, and no child is left. */
static void
assert_nothing_started(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_false(exists(AT_FDCWD, asked));
}

/* Takes the place of a relay that is at work: its lock, and its ear if it `listens`. */
static int
be_relay(const char *login, bool listens)
{
	int dir = dir_of(login), lock = bell_lock(dir);
	assert_true(lock >= 0);
	assert_int_equal(bell_make(dir), 0);
	if (listens)
		assert_int_equal(bell_listen(&bell, dir), 0);
	close(dir);
	return lock;
}

static void
hears(enum bell_heard what, const char *name)
{
	assert_int_equal(bell_hear(&bell, lane), what);
	if (what == BELL_LANE)
		assert_string_equal(lane, name);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void
test_rings(void **state)
{
	(void)state;
	int lock = be_relay(LOGIN_NONE, true);
	pid_t r = ring_lane(&l, LANE);
	assert_int_equal(r, -EAGAIN);
	assert_false(ring_is_trouble(r));
	hears(BELL_LANE, LANE);
	hears(BELL_SILENT, NULL);
	assert_int_equal(ring_login(&l, LOGIN_NONE), -EAGAIN); /* any lane */
	hears(BELL_ALL, NULL);
	hears(BELL_SILENT, NULL);
	assert_nothing_started();
	bell_close(&bell);
	close(lock);
}

/* Where no relay ever was, and where one has ended. */
static void
test_starts(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		pid_t pid = ring_lane(&l, LANE);
		assert_true(pid > 0);
		assert_false(ring_is_trouble(pid));
		/* The lock is in its hands, and not in ours. */
		assert_true(is_locked(LOGIN_NONE));
		assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
		assert_int_equal(ring_lane(&l, "e.example"), -EAGAIN);
		assert_int_equal(ring_login(&l, LOGIN_NONE), -EAGAIN);
		assert_string_equal(let_end(pid), "--login none\n");
		assert_nothing_started();
		assert_false(is_locked(LOGIN_NONE));
		close(be_relay(LOGIN_NONE, true)); /* makes the bell */
		bell_close(&bell);
	}
	assert_string_equal(let_end(ring_login(&l, LOGIN_NONE)), "--login none\n");
}

/* A relay that does not listen yet, or no more: it looks at all lanes after this. */
static void
test_lock_alone(void **state)
{
	(void)state;
	int lock = be_relay(LOGIN_NONE, false);
	pid_t r = ring_lane(&l, LANE);
	assert_int_equal(r, -EAGAIN);
	assert_false(ring_is_trouble(r));
	assert_nothing_started();
	auto_fd dir = dir_of(LOGIN_NONE);
	assert_true(bell_take_mark(dir)); /* for it to see when it lets the lock go */
	assert_false(bell_take_mark(dir));
	close(lock);
	(void)let_end(ring_lane(&l, LANE));
	assert_false(bell_take_mark(dir));
}

/* Mail that needs a login is for the relay that has it, and that one alone. */
static void
test_login(void **state)
{
	(void)state;
	static const struct {
		const char *lane, *login;
	} rows[] = { { LANE, LOGIN_NONE }, { "route:x", "route:x" }, { "route:y", "route:x" },
		{ "route:z", LOGIN_NONE }, { "route:gone", LOGIN_NONE } };
	for (size_t i = 0; i < ROWS(rows); i++) {
		char want[64];
		(void)mkdirat(sp.lanes, rows[i].lane, 0700);
		int lock = be_relay(i % 2 == 0 ? "route:elsewhere" : "route:y", true);
		snprintf(want, sizeof(want), "--login %s\n", rows[i].login);
		pid_t pid = ring_lane(&l, rows[i].lane);
		assert_true(is_locked(rows[i].login));
		assert_string_equal(let_end(pid), want);
		hears(BELL_SILENT, NULL);
		bell_close(&bell);
		close(lock);
	}
	int lock = be_relay("route:x", true);
	assert_int_equal(ring_lane(&l, "route:y"), -EAGAIN);
	hears(BELL_LANE, "route:y");
	bell_close(&bell);
	close(lock);
}

/* J12: what waits for its host disturbs nobody, but for a time farther away than any wait. */
static void
test_not_due(void **state)
{
	(void)state;
	struct lane waiting;
	int lock = be_relay(LOGIN_NONE, true);
	open_lane(&waiting, LANE);
	assert_int_equal(lane_set_down(&waiting, 1, clock_wall() + 30, "down"), 0);
	lane_close(&waiting);
	assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
	hears(BELL_SILENT, NULL);
	assert_int_equal(ring_lane(&l, "e.example"), -EAGAIN);
	hears(BELL_LANE, "e.example");
	set_age(sp.lanes, LANE "/" LANE_RETRY, -2 * conf_longest_retry(&c));
	assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
	hears(BELL_LANE, LANE);
	bell_close(&bell);
	close(lock);
	set_age(sp.lanes, LANE "/" LANE_RETRY, -30); /* and nobody is started, either */
	assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
	assert_nothing_started();
}

/* Whoever asks for a lane that is none disturbs nobody. */
static void
test_no_lane(void **state)
{
	(void)state;
	assert_int_equal(ring_lane(&l, "gone.example"), -EAGAIN);
	spill(sp.lanes, "file.example", span_of(""));
	assert_int_equal(ring_lane(&l, "file.example"), -EAGAIN);
	assert_nothing_started();
}

/* Without connections there is nothing that a relay could do. */
static void
test_queue_only(void **state)
{
	(void)state;
	c.relay.max_connections = 0;
	assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
	assert_int_equal(ring_login(&l, LOGIN_NONE), -EAGAIN);
	int lock = be_relay(LOGIN_NONE, true);
	assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
	assert_int_equal(ring_login(&l, LOGIN_NONE), -EAGAIN);
	hears(BELL_SILENT, NULL);
	assert_nothing_started();
	bell_close(&bell);
	close(lock);
}

/* A bell that is full tells the relay to look everywhere: nobody waits, nobody is started. */
static void
test_full_bell(void **state)
{
	(void)state;
	int lock = be_relay(LOGIN_NONE, true), heard = 0, rung = 0;
	for (int before = -1, now = 0; before != now; rung++) {
		before = now;
		assert_int_equal(ring_lane(&l, LANE), -EAGAIN);
		assert_int_equal(ioctl(bell.fd, FIONREAD, &now), 0);
	}
	assert_nothing_started();
	enum bell_heard what;
	while ((what = bell_hear(&bell, lane)) == BELL_LANE)
		heard++;
	assert_int_equal(heard, rung - 1);
	assert_int_equal(what, BELL_ALL);
	bell_close(&bell);
	close(lock);
}

/* S18: what cannot be is told, and keeps nobody else away. */
static void
test_trouble(void **state)
{
	(void)state;
	static char nowhere[] = "/nowhere/relay";
	c.who.relay_path = nowhere;
	pid_t r = ring_lane(&l, LANE);
	assert_int_equal(r, -ENOENT);
	assert_true(ring_is_trouble(r));
	assert_false(is_locked(LOGIN_NONE));
	c.who.relay_path = relay_path;
	(void)let_end(ring_lane(&l, LANE));

	/* K4: no bell is looked for where a link leads */
	assert_int_equal(renameat(sp.root, "relay", sp.root, "elsewhere"), 0);
	assert_int_equal(symlinkat("/nowhere", sp.root, "relay"), 0);
	r = ring_lane(&l, LANE);
	assert_true(ring_is_trouble(r));
	assert_true(ring_is_trouble(ring_login(&l, LOGIN_NONE)));
	assert_nothing_started();
}

/* A host's relays are its own: another one that shares the spool is none of them. */
static void
test_other_host(void **state)
{
	(void)state;
	int lock = be_relay(LOGIN_NONE, true);
	memcpy(c.who.hostname, "other", strlen("other"));
	assert_string_equal(let_end(ring_lane(&l, LANE)), "--login none\n");
	hears(BELL_SILENT, NULL);
	bell_close(&bell);
	close(lock);
}

/* What of a login's directory is there: "d" itself, "l" its lock, "b" its bell, in this order. */
static const char *
made(const char *login)
{
	static const char *const names[] = { "", "/lock", "/bell" };
	static char found[4];
	char path[128];
	size_t n = 0;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "relay/" HOST "/%s%s", login, names[i]);
		if (faccessat(sp.root, path, F_OK, 0) == 0)
			found[n++] = "dlb"[i];
	}
	found[n] = '\0';
	return found;
}

/* S13: for each login, while there is room; and what was begun is made whole. */
static void
test_prepare(void **state)
{
	(void)state;
	c.relay.max_connections = 0;
	ring_prepare(&l);
	assert_string_equal(made(LOGIN_NONE), "");
	c.relay.max_connections = 2;
	ring_prepare(&l);
	assert_string_equal(made(LOGIN_NONE), "dlb");
	assert_string_equal(made("route:x"), "dlb");
	assert_string_equal(made("route:y"), ""); /* it has that of x */
	assert_string_equal(made("route:z"), ""); /* it needs none */
	int dir = dir_of("route:x");
	assert_int_equal(unlinkat(dir, "lock", 0), 0);
	assert_int_equal(unlinkat(dir, "bell", 0), 0);
	close(dir);
	ring_prepare(&l);
	assert_string_equal(made("route:x"), "dlb");
	assert_false(is_locked("route:x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RINGS(test_rings),
		RINGS(test_starts),
		RINGS(test_lock_alone),
		RINGS(test_login),
		RINGS(test_not_due),
		RINGS(test_no_lane),
		RINGS(test_queue_only),
		RINGS(test_full_bell),
		RINGS(test_trouble),
		RINGS(test_other_host),
		RINGS(test_prepare),
	};
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}

/*
 * launch: what a program that was started finds (K1, K2), and what is said of a program that cannot
 * be executed (S18).
 *
 * The programs are this one, under other names: as such it writes what it finds.
 */
#include "tests/unit/spooled.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "conf/credential.h"
#include "process/files.h"
#include "process/launch.h"
#include "queue/bell.h"

extern char **environ;

enum { SECONDS = 60, FOUND = 8192 };

/* ---- a program that was started --------------------------------------------------------- */

static void
put_descriptors(int out)
{
	DIR *dir = opendir("/proc/self/fd");
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		char path[64] = "";
		int64_t fd = span_number(span_of(e->d_name));
		if (e->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		ssize_t n = readlinkat(dirfd(dir), e->d_name, path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = '\0';
		dprintf(out, "fd %s %s\n", e->d_name, path);
	}
	closedir(dir);
}

static long
files_now(void)
{
	struct rlimit l;
	return getrlimit(RLIMIT_NOFILE, &l) == 0 ? (long)l.rlim_cur : -1;
}

/* Says what it finds, in lines, and waits until nobody listens any more. */
static int
tell(int argc, char **argv, int out)
{
	static const struct { const char *name; int signal; } signals[] = {
		{ "SIGPIPE", SIGPIPE }, { "SIGXFSZ", SIGXFSZ }, { "SIGALRM", SIGALRM },
		{ "SIGINT", SIGINT } };
	struct sigaction action;
	sigset_t blocked;
	put_descriptors(out);
	for (int i = 0; i < argc; i++)
		dprintf(out, "argument %s\n", argv[i]);
	for (char **e = environ; *e != NULL; e++)
		dprintf(out, "environment %s\n", *e);
	for (size_t i = 0; i < ROWS(signals); i++)
		if (sigaction(signals[i].signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			dprintf(out, "ignores %s\n", signals[i].name);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	if (sigismember(&blocked, SIGUSR1) == 1)
		dprintf(out, "blocks SIGUSR1\n");
	if (getsid(0) == getpid())
		dprintf(out, "leads\n");
	dprintf(out, "files %ld\n", files_now());
	dprintf(out, "alarm %d\nend\n", alarm(0) > 0);
	return EXIT_SUCCESS;
}

/* A relay writes to a file that its settings name: its descriptor is a lock. */
static int
tell_file(int argc, char **argv)
{
	int out = open(getenv("POSTERN_FOUND"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return tell(argc, argv, out);
}

/* ---- who starts it ------------------------------------------------------------------------ */

static char here[64]; /* where the programs are */
static char file[128]; /* that a relay writes */
static struct conf c;
static struct options o;
static int login; /* the directory of its bell */
static struct launcher l = { .spool = &sp, .conf = &c, .args = &o.conf };

/* A path of that name, at which this program is. */
static const char *
program(const char *name)
{
	static char path[128];
	char self[128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/%s", here, name);
	assert_int_equal(symlink(self, path), 0);
	return path;
}

/* No setting of Postern comes along but those of the test. */
static int
prepare(void **state)
{
	(void)state;
	clearenv();
	setenv("PATH", "/nowhere", 1);
	setenv("HOME", "/root", 1);
	setenv("LD_LIBRARY_PATH", "/nowhere", 1);
	setenv("POSTERNISH", "no", 1);
	setenv("POSTERN_LOG", "stderr", 1);
	setenv("POSTERN_" CREDENTIAL_VARIABLE "HOST", "a password", 1);
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1);
	snprintf(here, sizeof(here), "/tmp/postern-launch-XXXXXX");
	assert_non_null(mkdtemp(here));
	snprintf(file, sizeof(file), "%s/found", here);
	setenv("POSTERN_FOUND", file, 1);
	static char *argv[] = { (char *)"smtpd", (char *)"-c", (char *)"/a.conf", (char *)"-p",
		(char *)"lan", (char *)"-o", (char *)"a=b", (char *)"-o", (char *)"c=d", NULL };
	optind = 1;
	options_parse(&o, (int)ROWS(argv) - 1, argv);
	assert_null(o.wrong);
	c = (struct conf){ 0 };
	return setup(state);
}

static int
clean(void **state)
{
	assert_int_equal(nftw(here, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	return teardown(state);
}

#define LAUNCHED(f) cmocka_unit_test_setup_teardown(f, prepare, clean)

/* What is read of fd until nobody writes there. */
static const char *
read_all(int fd)
{
	static char text[FOUND];
	size_t at = 0;
	ssize_t n;
	while ((n = read(fd, text + at, sizeof(text) - 1 - at)) > 0)
		at += (size_t)n;
	assert_true(n == 0 && at < sizeof(text) - 1);
	text[at] = '\0';
	return text;
}

static void
wait_for_end(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool
has_line(const char *text, const char *line)
{
	char want[512];
	snprintf(want, sizeof(want), "\n%s\n", line);
	return strncmp(text, want + 1, strlen(want + 1)) == 0 || strstr(text, want) != NULL;
}

/* How many lines begin so. */
static int
lines(const char *text, const char *start)
{
	int n = 0;
	for (const char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n'), p += p != NULL)
		n += strncmp(p, start, strlen(start)) == 0;
	return n;
}

static void
assert_lines(const char *text, const char *const *want, int n, const char *start)
{
	for (int i = 0; i < n; i++)
		if (!has_line(text, want[i]))
			fail_msg("no \"%s\":\n%s", want[i], text);
	if (lines(text, start) != n)
		fail_msg("more of \"%s\":\n%s", start, text);
}

#define ASSERT_LINES(text, want, start) assert_lines(text, want, (int)ROWS(want), start)

/* What a server leaves its children: descriptors that are nobody's, and signals of its own. */
struct burden {
	int fd[3];
	void (*pipe)(int), (*files)(int), (*interrupt)(int);
	long most; /* descriptors, of which it has more now */
	sigset_t signals;
};

/* Not as many as there may be: then there could not be more. */
static void
fewer_files(void)
{
	struct rlimit most;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
	most.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &most), 0);
}

static struct burden
take_burden(void)
{
	struct burden b;
	sigset_t one;
	for (size_t i = 0; i < ROWS(b.fd); i++)
		assert_true((b.fd[i] = open("/etc/passwd", O_RDONLY)) > STDERR_FILENO);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	sigprocmask(SIG_BLOCK, &one, &b.signals);
	b.pipe = signal(SIGPIPE, SIG_IGN);
	b.files = signal(SIGXFSZ, SIG_IGN);
	b.interrupt = signal(SIGINT, SIG_IGN);
	fewer_files();
	b.most = files_now();
	files_reserve(10);
	files_reserve(1);
	files_reserve(0);
	assert_int_equal(files_now(), b.most + 11);
	files_restore();
	assert_int_equal(files_now(), b.most);
	files_again();
	assert_int_equal(files_now(), b.most + 11);
	return b;
}

static void
drop_burden(const struct burden *b)
{
	for (size_t i = 0; i < ROWS(b->fd); i++)
		close(b->fd[i]);
	sigprocmask(SIG_SETMASK, &b->signals, NULL);
	signal(SIGPIPE, b->pipe);
	signal(SIGXFSZ, b->files);
	signal(SIGINT, b->interrupt);
	files_restore();
}

/* As many descriptors as there were at first. */
static void
assert_files(const char *found)
{
	char line[32];
	snprintf(line, sizeof(line), "files %ld", files_now());
	assert_true(has_line(found, line));
}

/* ---- tls and auth -------------------------------------------------------------------------- */

/*
 * Started with n descriptors, of which the first is an end of a pair, and so many seconds to live,
 * if not 0. What it found.
 */
static const char *
help(int *fds, int n, unsigned seconds)
{
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	struct burden b = take_burden();
	fds[0] = ends[1];
	pid_t pid = seconds > 0 ? launch_brief(&l, "tls", program("tls"), fds, seconds)
				: launch_helper(&l, "tls", program("tls"), fds, n);
	drop_burden(&b);
	assert_true(pid > 0);
	close(ends[1]);
	const char *found = read_all(ends[0]);
	close(ends[0]);
	wait_for_end(pid);
	return found;
}

/* S22: its lines have the time of ours; but K2: what it would have to look up is no zone. */
static void
test_time_zone(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		bool known;
	} rows[] = {
		{ "Europe/Berlin", true },
		{ "Etc/GMT+5", true },
		{ "XYZ-05:30", true },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", true },
		{ "<+0330>-3:30", true },
		{ "", false },
		{ "/nonexistent/zone", false },
		{ ":Europe/Berlin", false },
		{ ".", false },
		{ "Europe/../../../etc/shadow", false },
		{ "UTC\n", false },
		{ "U\x80", false },
		{ "ABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGH", true },
		{ "ABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHABCDEFGHI", false },
	};
	for (size_t i = 0; i < ROWS(rows); i++) {
		char want[128];
		int fds[1], ends[2];
		char name[16];
		setenv("TZ", rows[i].zone, 1);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		fds[0] = ends[1];
		snprintf(name, sizeof(name), "tls%zu", i);
		pid_t pid = launch_helper(&l, "tls", program(name), fds, 1);
		assert_true(pid > 0);
		close(ends[1]);
		const char *found = read_all(ends[0]);
		close(ends[0]);
		wait_for_end(pid);
		snprintf(want, sizeof(want), "environment TZ=%s", rows[i].zone);
		if (has_line(found, want) != rows[i].known || lines(found, "environment TZ") != rows[i].known)
			fail_msg("row %zu:\n%s", i, found);
	}
}

static void
test_helper(void **state)
{
	(void)state;
	static const char *const arguments[] = { "argument tls", "argument --serve", "argument -c",
		"argument /a.conf", "argument -p", "argument lan", "argument a=b", "argument c=d" };
	static const char *const environment[] = { "environment POSTERN_LOG=stderr",
		"environment CREDENTIALS_DIRECTORY=/run/credentials/x" };
	int fds[2];
	int other = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	fds[1] = other;
	const char *found = help(fds, 2, 0);
	for (size_t i = 0; i < ROWS(arguments); i++)
		assert_true(has_line(found, arguments[i]));
	assert_int_equal(lines(found, "argument -o"), 2);
	assert_int_equal(lines(found, "argument "), 10);
	for (size_t i = 0; i < ROWS(environment); i++)
		assert_true(has_line(found, environment[i]));
	assert_int_equal(lines(found, "environment "), 3); /* with POSTERN_FOUND */
	assert_true(has_line(found, "fd 0 /dev/null") && has_line(found, "fd 1 /dev/null"));
	assert_int_equal(lines(found, "fd 3 socket:"), 1);
	assert_true(has_line(found, "fd 4 /etc/hostname"));
	assert_int_equal(lines(found, "fd "), 5);
	assert_int_equal(lines(found, "ignores") + lines(found, "blocks"), 0);
	assert_files(found);
	assert_true(has_line(found, "leads") && has_line(found, "alarm 0"));
	close(other);
}

/* One descriptor stands at both places. */
static void
test_helper_with_one(void **state)
{
	(void)state;
	int fd;
	const char *found = help(&fd, 1, 0);
	assert_int_equal(lines(found, "fd 3 socket:"), 1);
	assert_int_equal(lines(found, "fd 4 socket:"), 1);
	assert_int_equal(lines(found, "fd "), 5);
}

/* It finds what others do, and that its time is counted: who hangs before it says a word ends. */
static void
test_brief(void **state)
{
	(void)state;
	int fds[2];
	int other = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	void (*before)(int) = signal(SIGALRM, SIG_IGN);
	fds[1] = other;
	const char *found = help(fds, 2, SECONDS);
	signal(SIGALRM, before);
	assert_int_equal(lines(found, "fd 3 socket:"), 1);
	assert_true(has_line(found, "fd 4 /etc/hostname"));
	assert_int_equal(lines(found, "fd "), 5);
	assert_int_equal(lines(found, "ignores"), 0);
	assert_true(has_line(found, "argument --serve") && has_line(found, "alarm 1"));
	close(other);
}

/* The same open file, at a descriptor out of the way. */
static int
moved(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 2 * LAUNCH_SECOND_FD);
	close(fd);
	return high;
}

/* In a process of its own: two that stand at each other's place come to their own. */
static int
start_exchanged(const char *path, int first, int second)
{
	static const int fds[] = { LAUNCH_SECOND_FD, LAUNCH_FIRST_FD };
	int status;
	if (dup2(first, fds[0]) < 0 || dup2(second, fds[1]) < 0)
		return 1;
	pid_t pid = launch_helper(&l, "tls", path, fds, 2);
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : 1;
}

static void
test_helper_exchanged(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	int other = moved(open("/etc/hostname", O_RDONLY | O_CLOEXEC));
	int mine = moved(ends[0]), theirs = moved(ends[1]);
	const char *path = program("tls");
	pid_t pid = fork();
	if (pid == 0)
		_exit(start_exchanged(path, theirs, other));
	close(theirs);
	close(other);
	const char *found = read_all(mine);
	assert_int_equal(lines(found, "fd 3 socket:"), 1);
	assert_true(has_line(found, "fd 4 /etc/hostname"));
	wait_for_end(pid);
	close(mine);
}

/* ---- a program of the site's --------------------------------------------------------------- */

static void
test_check(void **state)
{
	(void)state;
	int ends[2];
	char argument[256];
	static const char *const environment[] = { "environment PATH=/usr/bin:/bin" };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	const char *path = program("check");
	struct burden b = take_burden();
	signal(SIGALRM, SIG_IGN);
	pid_t pid = launch_check(path, ends[1], SECONDS);
	signal(SIGALRM, SIG_DFL);
	drop_burden(&b);
	assert_true(pid > 0);
	close(ends[1]);
	const char *found = read_all(ends[0]);
	snprintf(argument, sizeof(argument), "argument %s", path);
	const char *const arguments[] = { argument };
	ASSERT_LINES(found, arguments, "argument ");
	ASSERT_LINES(found, environment, "environment ");
	assert_int_equal(lines(found, "fd 0 socket:"), 1);
	assert_int_equal(lines(found, "fd 1 socket:"), 1);
	assert_int_equal(lines(found, "fd "), 3);
	assert_int_equal(lines(found, "ignores") + lines(found, "blocks"), 0);
	assert_files(found);
	assert_true(has_line(found, "alarm 1"));
	wait_for_end(pid);
	close(ends[0]);
}

/* ---- what cannot be executed --------------------------------------------------------------- */

static void
test_cannot_be_executed(void **state)
{
	(void)state;
	char path[128];
	static const struct {
		const char *name, *text;
		mode_t mode;
		int want;
	} rows[] = {
		{ "missing", NULL, 0, -ENOENT },
		{ "deaf", "#!/bin/sh\n", 0600, -EACCES },
		{ "text", "hello\n", 0700, -ENOEXEC },
		{ "orphan", "#!/nowhere/sh\n", 0700, -ENOENT },
		{ "none/program", NULL, 0, -ENOENT },
	};
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (size_t i = 0; i < ROWS(rows); i++) {
		snprintf(path, sizeof(path), "%s/%s", here, rows[i].name);
		if (rows[i].text != NULL) {
			spill(AT_FDCWD, path, span_of(rows[i].text));
			assert_int_equal(chmod(path, rows[i].mode), 0);
		}
		assert_int_equal(launch_helper(&l, "tls", path, fds, 2), rows[i].want);
		assert_int_equal(launch_check(path, fds[0], SECONDS), rows[i].want);
	}
	assert_int_equal(launch_check(here, fds[0], SECONDS), -EACCES);
	/* nobody is left whom somebody would have to wait for */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	close(fds[0]);
	close(fds[1]);
}

/* ---- a relay ------------------------------------------------------------------------------- */

/* A login's lock, at a descriptor that is like any other; its directory is `login`. */
static int
take_lock(void)
{
	login = bell_open_dir(&sp, "h.example", "route:x");
	assert_true(login >= 0);
	int lock = bell_lock(login);
	assert_true(lock >= 0);
	return lock;
}

static bool
lock_is_free(void)
{
	int lock = bell_lock(login);
	close(lock);
	return lock >= 0;
}

static void
test_relay(void **state)
{
	(void)state;
	int fd = take_lock();
	c.who.relay_path = (char *)program("relay");
	struct burden b = take_burden();
	pid_t pid = launch_login(&l, "route:x", fd);
	drop_burden(&b);
	close(fd);
	assert_true(pid > 0);
	wait_for_end(pid);
	const char *found = slurp(AT_FDCWD, file).p;
	char lock[2][192];
	for (int i = 0; i < 2; i++)
		snprintf(lock[i], sizeof(lock[i]), "fd %d %s/relay/h.example/route:x/lock",
			i == 0 ? LAUNCH_FIRST_FD : LAUNCH_SECOND_FD, top);
	assert_true(has_line(found, "argument relay") && has_line(found, "argument --login"));
	assert_true(has_line(found, "argument route:x"));
	assert_true(has_line(found, "environment POSTERN_" CREDENTIAL_VARIABLE "HOST=a password"));
	assert_int_equal(lines(found, "environment "), 4);
	assert_true(has_line(found, lock[0]) && has_line(found, lock[1]));
	assert_int_equal(lines(found, "fd "), 5 + 1); /* the file */
	assert_int_equal(lines(found, "ignores") + lines(found, "blocks"), 0);
	assert_files(found);
	assert_true(has_line(found, "leads"));
	assert_true(lock_is_free());
	close(login);
}

/* It has the lock from the first moment on, though whoever started it closes it, until it ends. */
static void
test_relay_has_the_lock(void **state)
{
	(void)state;
	char path[128], text[256], gate[128];
	snprintf(path, sizeof(path), "%s/relay", here);
	snprintf(gate, sizeof(gate), "%s/gate", here);
	snprintf(text, sizeof(text), "#!/bin/sh\nread x <%s\n", gate);
	spill(AT_FDCWD, path, span_of(text));
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(mkfifo(gate, 0600), 0);
	int fd = open(gate, O_RDWR | O_CLOEXEC), lock = take_lock();
	c.who.relay_path = path;
	pid_t pid = launch_login(&l, "route:x", lock);
	close(lock);
	assert_true(pid > 0);
	assert_false(lock_is_free());
	assert_int_equal(write(fd, "x\n", 2), 2);
	wait_for_end(pid);
	close(fd);
	assert_true(lock_is_free());
	close(login);
}

/* Why a relay cannot be executed is told, and its lock is free again (S18). */
static void
test_relay_that_cannot_be_executed(void **state)
{
	(void)state;
	char path[] = "/nowhere/relay";
	c.who.relay_path = path;
	int lock = take_lock();
	assert_int_equal(launch_login(&l, "route:x", lock), -ENOENT);
	close(lock);
	assert_true(lock_is_free());
	close(login);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--serve") == 0)
		return tell(argc, argv, LAUNCH_FIRST_FD);
	if (argc > 1 && strcmp(argv[1], "--login") == 0)
		return tell_file(argc, argv);
	if (argc == 1 && strstr(argv[0], "/check") != NULL)
		return tell(argc, argv, STDOUT_FILENO);
	const struct CMUnitTest tests[] = {
		LAUNCHED(test_helper),
		LAUNCHED(test_time_zone),
		LAUNCHED(test_helper_with_one),
		LAUNCHED(test_brief),
		LAUNCHED(test_helper_exchanged),
		LAUNCHED(test_check),
		LAUNCHED(test_cannot_be_executed),
		LAUNCHED(test_relay),
		LAUNCHED(test_relay_has_the_lock),
		LAUNCHED(test_relay_that_cannot_be_executed),
	};
	return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}

/*
 * program: the beginning that all programs have in common (K6, K8), what of a configuration is told
 * and to whom, and what becomes of root. Each case is tried by a process of its own, whose standard
 * error is the log.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/cleanup.h"
#include "lib/limits.h"
#include "process/program.h"

#define SOMEBODY "nobody" /* a user that every system has */

enum { WORDS = 16, LOG = 4096 };

static char dir[] = "/tmp/postern-program-XXXXXX";
static char logged[LOG]; /* by the last process that was tried */

/* The exit status of a process that does this: 0 is what is wanted. */
static int
try(int (*does)(const void *context), const void *context)
{
	int status, fd = memfd_create("log", MFD_CLOEXEC);
	assert_true(fd >= 0);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* or cmocka goes on with the next test */
		dup2(fd, STDERR_FILENO);
		_exit(does(context));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ssize_t n = pread(fd, logged, sizeof(logged) - 1, 0);
	logged[n > 0 ? n : 0] = '\0';
	close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A command line, of a program that logs to standard error. */
static void
parse(struct options *o, const char *const *words)
{
	static char *argv[WORDS + 4];
	int n = 0;
	argv[n++] = (char *)"relay";
	argv[n++] = (char *)"-o";
	argv[n++] = (char *)"log=stderr";
	for (; *words != NULL; words++)
		argv[n++] = (char *)*words;
	argv[n] = NULL;
	optind = 1;
	options_parse(o, n, argv);
}

/* Why, as text. */
static const char *
text_of(struct buf *b)
{
	buf_add(b, (struct span){ "", 1 });
	return b->err == 0 ? b->p : "";
}

/* ---- the first step -------------------------------------------------------------------------- */

/* The number of what is not as it should be; 0: nothing. */
static int
begin_with_nothing(const void *context)
{
	static char *argv[] = { (char *)"relay", (char *)"--due", NULL };
	struct options o;
	struct sigaction pipe, files;
	(void)context;
	umask(0);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	optind = 1;
	if (!program_begin(&o, 2, argv) || !o.due || o.wrong != NULL)
		return 1;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (fd <= STDERR_FILENO)
		return 2;
	if (umask(0) != (S_IRWXG | S_IRWXO))
		return 3;
	sigaction(SIGPIPE, NULL, &pipe);
	sigaction(SIGXFSZ, NULL, &files);
	return pipe.sa_handler == SIG_IGN && files.sa_handler == SIG_IGN ? 0 : 4;
}

static int
begin_without_name(const void *context)
{
	struct options o;
	(void)context;
	return program_begin(&o, 0, (char *[]){ NULL });
}

static void
test_begin(void **state)
{
	(void)state;
	assert_int_equal(try(begin_with_nothing, NULL), 0);
	assert_int_equal(try(begin_without_name, NULL), false);
}

/* ---- the configuration ----------------------------------------------------------------------- */

#define TEN "/deeper/of"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static const struct configured {
	const char *words[WORDS];
	const char *unfit;
	const char *why; /* NULL: it can be used */
} rows[] = {
	{ { NULL }, NULL, NULL },
	{ { "-o", "max_connections=3", NULL }, NULL, NULL },
	{ { "--odd", NULL }, NULL, "unknown option; see --help" },
	{ { NULL }, "not for this program", "not for this program" },
	{ { "--odd", NULL }, "not for this program", "unknown option; see --help" },
	{ { "-c", "/nowhere/postern.conf", NULL }, NULL, "/nowhere/postern.conf" },
	{ { "-c", LONG, NULL }, NULL, LONG ": No such file or directory" },
	{ { "-c", LONG "/", NULL }, NULL, "-c: longer than 900 octets" },
	{ { "-c", LONG LONG LONG, NULL }, NULL, "-c: longer than 900 octets" },
	{ { "-o", "max_connections=many", NULL }, NULL, "max_connections" },
	{ { "-p", "nobody_wrote_it", NULL }, NULL, "no such profile" },
};

static int
configure(const void *context)
{
	const struct configured *row = context;
	struct options o;
	struct conf c = { 0 };
	auto_buf why = buf_new(LIMIT_COMMAND);
	parse(&o, row->words);
	int r = program_configure(&c, NULL, &o, row->unfit, "relay", &why);
	if (row->why == NULL)
		return r == 0 && why.n == 0 && c.log == LOG_TO_STDERR ? 0 : 1;
	return r == -EINVAL && strstr(text_of(&why), row->why) != NULL ? 0 : 2;
}

static void
test_configure(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		int r = try(configure, &rows[i]);
		if (r != 0)
			fail_msg("row %zu: %d", i, r);
		assert_string_equal(logged, ""); /* why is the caller's to say */
	}
}

/*
 * What is odd and no error is told by the program that was started from outside, and not once more
 * by each that it starts, nor where it is printed anyhow.
 */
static void
test_doubts(void **state)
{
	(void)state;
	static const struct {
		struct configured c;
		bool told;
	} cases[] = {
		{ { { NULL }, NULL, NULL }, true },
		{ { { "--due", NULL }, NULL, NULL }, true },
		{ { { "--check", NULL }, NULL, NULL }, false },
		{ { { "--serve", NULL }, NULL, NULL }, false },
		{ { { "--login", "none", NULL }, NULL, NULL }, false },
	};
	setenv("POSTERN_SERVICE_FLAVOUR", "no key", 1);
	for (size_t i = 0; i < ROWS(cases); i++) {
		assert_int_equal(try(configure, &cases[i].c), 0);
		assert_int_equal(strstr(logged, "POSTERN_SERVICE_FLAVOUR") != NULL, cases[i].told);
	}
	unsetenv("POSTERN_SERVICE_FLAVOUR");
	assert_int_equal(try(configure, &cases[0].c), 0);
	assert_string_equal(logged, "");
}

static int
refuse(const void *context)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	log_open(LOG_TO_STDERR, "relay");
	if (context != NULL)
		buf_puts(&why, context);
	return program_refuse(&why);
}

static void
test_refuse(void **state)
{
	(void)state;
	assert_int_equal(try(refuse, "spool: gone; 100%s of it"), EXIT_CONFIG);
	assert_non_null(strstr(logged, "relay"));
	assert_non_null(strstr(logged, "spool: gone; 100%s of it\n"));
	assert_int_equal(try(refuse, NULL), EXIT_CONFIG);
}

/* ---- root ------------------------------------------------------------------------------------- */

static void
write_conf(const char *path, mode_t mode)
{
	static const char text[] = "max_connections = 7\n";
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

struct dropped {
	const char *user;
	mode_t mode;     /* of the configuration */
	const char *why; /* NULL: it becomes the user */
};

static int
load(struct options *o, struct conf *c, const char *user, struct buf *why)
{
	char path[64], runtime[80], key[80];
	snprintf(path, sizeof(path), "%s/postern.conf", dir);
	snprintf(runtime, sizeof(runtime), "runtime=%s/run", dir);
	snprintf(key, sizeof(key), "user=%s", user);
	parse(o, (const char *[]){ "-c", strdup(path), "-o", strdup(runtime), "-o", strdup(key),
		NULL });
	return program_configure(c, NULL, o, NULL, "relay", why);
}

static int
drop(const void *context)
{
	const struct dropped *d = context;
	struct options o;
	struct conf c = { 0 };
	auto_buf why = buf_new(LIMIT_COMMAND);
	gid_t groups[] = { 0, 4, 5 };
	if (setgroups(ROWS(groups), groups) < 0 || load(&o, &c, d->user, &why) < 0)
		return 1;
	int r = program_drop_root(&c, NULL, &o, &why);
	if (d->why != NULL)
		return r < 0 && strstr(text_of(&why), d->why) != NULL ? 0 : 2;
	const struct passwd *p = getpwnam(d->user);
	uid_t uid[3];
	gid_t gid[3];
	if (r < 0 || p == NULL || getresuid(&uid[0], &uid[1], &uid[2]) < 0 ||
		getresgid(&gid[0], &gid[1], &gid[2]) < 0)
		return 3;
	for (int i = 0; i < 3; i++)
		if (uid[i] != p->pw_uid || gid[i] != p->pw_gid)
			return 4;
	if (getgroups(0, NULL) != 0 || setuid(0) == 0)
		return 5;
	return c.relay.max_connections == 7 && strcmp(c.who.user, d->user) == 0 ? 0 : 6;
}

bool __wrap_self_began_as_root(void);

/* Processes of this test are not started: they become somebody. */
bool
__wrap_self_began_as_root(void)
{
	return geteuid() == 0;
}

/* Nothing is done for whoever is not root, and nothing read again. */
static int
drop_nothing(const void *context)
{
	struct options o;
	struct conf c = { 0 };
	auto_buf why = buf_new(LIMIT_COMMAND);
	char gone[64];
	(void)context;
	if (load(&o, &c, "no-such-user", &why) < 0 || setresuid(1, 1, 1) < 0)
		return 1;
	snprintf(gone, sizeof(gone), "%s/gone.conf", dir);
	o.conf.file = gone;
	return program_drop_root(&c, NULL, &o, &why) == 0 && why.n == 0 ? 0 : 2;
}

static void
test_drop_root(void **state)
{
	(void)state;
	static const struct dropped cases[] = {
		{ SOMEBODY, 0644, NULL },
		{ SOMEBODY, 0600, "started as root, became user " SOMEBODY ": " },
		{ "root", 0644, "started as root, cannot become user root: Operation not permitted" },
		{ "no-such-user", 0644, "cannot become user no-such-user: /etc/passwd has none of this name" },
	};
	char path[64], runtime[64];
	struct stat st;
	if (geteuid() != 0)
		skip();
	snprintf(path, sizeof(path), "%s/postern.conf", dir);
	snprintf(runtime, sizeof(runtime), "%s/run", dir);
	assert_int_equal(chmod(dir, 0711), 0);
	for (size_t i = 0; i < ROWS(cases); i++) {
		write_conf(path, cases[i].mode);
		int r = try(drop, &cases[i]);
		if (r != 0)
			fail_msg("case %zu: %d", i, r);
		/* the runtime directory is the user's, where there is one */
		bool made = stat(runtime, &st) == 0;
		const struct passwd *p = getpwnam(cases[i].user);
		assert_int_equal(made, p != NULL);
		if (made)
			assert_true(st.st_uid == p->pw_uid && (st.st_mode & 07777) == 0700);
		rmdir(runtime);
	}
	assert_int_equal(try(drop_nothing, NULL), 0);
	assert_int_equal(stat(runtime, &st), -1);
	unlink(path);
}

static int
enter(void **state)
{
	(void)state;
	clearenv();
	setenv("POSTERN_HOSTNAME", "us.example", 1); /* that of this machine may be odd */
	return mkdtemp(dir) == NULL;
}

static int
leave(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_configure),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_drop_root),
	};
	return cmocka_run_group_tests_name("program", tests, enter, leave);
}

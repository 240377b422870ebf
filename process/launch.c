#include "process/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/credential.h"
#include "lib/cleanup.h"
#include "process/files.h"
#include "process/stdfds.h"

extern char **environ;

enum { ZONE_MOST = 64 }; /* octets of a time zone */

bool
launch_takes_zone(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		bool plain = ascii_digit(c) || (c >= 'a' && c <= 'z') || c == '_' || c == '<';
		if (!plain && (i == 0 || strchr("+-,.:/>", c) == NULL))
			return false;
	}
	return s.n > 0 && s.n <= ZONE_MOST && memmem(s.p, s.n, "..", 2) == NULL;
}

/* Passwords for other hosts are relay's alone. Lines of the log have one time zone. */
static bool
is_for(const char *setting, bool relay)
{
	static const char settings[] = "POSTERN_", secrets[] = "POSTERN_" CREDENTIAL_VARIABLE;
	static const char zone[] = "TZ=";
	if (strncmp(setting, zone, sizeof(zone) - 1) == 0)
		return launch_takes_zone(span_of(setting + sizeof(zone) - 1));
	return strncmp(setting, settings, sizeof(settings) - 1) == 0 &&
		(relay || strncmp(setting, secrets, sizeof(secrets) - 1) != 0);
}

/*
 * Our settings from the environment, where credentials are, the time zone, and nothing else of it
 * (K2). The list is the caller's to free; NULL: there is no memory for it.
 */
static char **
build_environment(bool relay)
{
	const char *credentials = credential_environment(environ);
	size_t n = 0, most = 2; /* credentials, NULL */
	for (char **e = environ; *e != NULL; e++)
		most++;
	char **env = calloc(most, sizeof(*env));
	if (env == NULL)
		return NULL;
	if (credentials != NULL)
		env[n++] = (char *)credentials;
	for (char **e = environ; *e != NULL; e++)
		if (is_for(*e, relay))
			env[n++] = *e;
	return env;
}

void
launch_arguments(const struct conf_args *settings, const char *program, const char *what,
	const char *argument, const char *arg[static LAUNCH_ARGUMENTS])
{
	int n = 0;
	arg[n++] = program;
	arg[n++] = what;
	if (argument != NULL)
		arg[n++] = argument;
	if (settings->file != NULL) {
		arg[n++] = "-c";
		arg[n++] = settings->file;
	}
	if (settings->profile != NULL) {
		arg[n++] = "-p";
		arg[n++] = settings->profile;
	}
	for (int i = 0; i < settings->n; i++) {
		arg[n++] = "-o";
		arg[n++] = settings->options[i];
	}
	arg[n] = NULL;
}

/*
 * What a child that cannot become the program writes, and its parent reads: an errno. The pipe
 * closes on exec, so its end says that the program runs.
 */
struct report {
	int read, write;
};

static int
report_open(struct report *r)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*r = (struct report){ ends[0], ends[1] };
	return 0;
}

/* In the child, at the end of it. */
static _Noreturn void
report_failure(int fd)
{
	int err = errno;
	(void)!write(fd, &err, sizeof(err));
	_exit(EXIT_FAILURE);
}

/* In the parent, with what fork said: the pid of the program that runs, or -errno. */
static pid_t
report_hear(struct report *r, pid_t pid)
{
	int err = 0;
	close(r->write);
	ssize_t n = -1;
	if (pid > 0)
		do
			n = read(r->read, &err, sizeof(err));
		while (n < 0 && errno == EINTR);
	close(r->read);
	if (pid > 0 && n != (ssize_t)sizeof(err))
		return pid;
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return pid < 0 || err == EAGAIN ? -ENOMEM : -err; /* -EAGAIN says "one runs" (ring.h) */
}

/* Signals as a program expects to find them. */
static void
reset_signals(void)
{
	sigset_t none;
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL); /* which a shell has its background ignore */
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A program of ours that is to be started. */
struct program {
	const char *path;
	const char *const *arg;
	int first_fd, second_fd;
	unsigned seconds; /* to live (SIGALRM, which outlives exec); 0: as long as it likes */
};

/*
 * Never returns. All other fds are closed, those too that we inherited (K1); standard error is not
 * the client (stdfds.h), and a session of its own keeps the program alive when we end.
 */
static _Noreturn void
become(const struct program *p, char *const *env, int report_fd)
{
	enum { REPORT_FD = LAUNCH_SECOND_FD + 1, OTHERS };
	setsid();
	/* Out of the way first: each may stand at another's place. */
	int report = fcntl(report_fd, F_DUPFD_CLOEXEC, OTHERS);
	int first = fcntl(p->first_fd, F_DUPFD_CLOEXEC, OTHERS);
	int second = fcntl(p->second_fd, F_DUPFD_CLOEXEC, OTHERS);
	int null = stdfds_nothing();
	if (report < 0 || first < 0 || second < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(null, STDOUT_FILENO) < 0 || dup2(first, LAUNCH_FIRST_FD) < 0 ||
		dup2(second, LAUNCH_SECOND_FD) < 0 || dup3(report, REPORT_FD, O_CLOEXEC) < 0)
		report_failure(report >= 0 ? report : report_fd);
	files_restore();
	stdfds_close_from(OTHERS);
	reset_signals();
	if (p->seconds > 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(p->seconds);
	}
	/* execve takes char *const[] for historical reasons and changes nothing. */
	execve(p->path, (char *const *)p->arg, env);
	report_failure(REPORT_FD);
}

/* `relay`: passwords for other hosts are for it. Its pid or -errno. */
static pid_t
start(const struct program *p, bool relay)
{
	struct report report;
	int r = report_open(&report);
	if (r < 0)
		return r;
	char **env = build_environment(relay);
	pid_t pid = env != NULL ? fork() : -1;
	if (pid == 0)
		become(p, env, report.write);
	free(env);
	return report_hear(&report, pid);
}

pid_t
launch_login(const struct launcher *l, const char *login, int lock)
{
	const char *arg[LAUNCH_ARGUMENTS];
	launch_arguments(l->args, "relay", "--login", login, arg);
	return start(&(struct program){ l->conf->who.relay_path, arg, lock, lock, 0 }, true);
}

pid_t
launch_helper(const struct launcher *l, const char *name, const char *path, const int *fds, int n)
{
	const char *arg[LAUNCH_ARGUMENTS];
	int second = n > 1 ? fds[1] : fds[0];
	launch_arguments(l->args, name, "--serve", NULL, arg);
	return start(&(struct program){ path, arg, fds[0], second, 0 }, false);
}

pid_t
launch_brief(const struct launcher *l, const char *name, const char *path,
	const int fds[static 2], unsigned seconds)
{
	const char *arg[LAUNCH_ARGUMENTS];
	launch_arguments(l->args, name, "--serve", NULL, arg);
	return start(&(struct program){ path, arg, fds[0], fds[1], seconds }, false);
}

pid_t
launch_waiting(const struct launcher *l, const char *name, const char *path, int fd)
{
	const char *arg[LAUNCH_ARGUMENTS];
	launch_arguments(l->args, name, "--wait", NULL, arg);
	return start(&(struct program){ path, arg, fd, fd, 0 }, false);
}

/* Never returns. As become, for a program that is not ours. */
static _Noreturn void
become_check(const char *path, int fd, int64_t seconds, int report_fd)
{
	enum { REPORT_FD = STDERR_FILENO + 1, OTHERS };
	static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	const char *const arg[] = { path, NULL };
	reset_signals();
	files_restore();
	signal(SIGALRM, SIG_DFL);
	alarm((unsigned)seconds);
	int report = fcntl(report_fd, F_DUPFD_CLOEXEC, OTHERS);
	if (report < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
		dup3(report, REPORT_FD, O_CLOEXEC) < 0)
		report_failure(report >= 0 ? report : report_fd);
	stdfds_close_from(OTHERS);
	execve(path, (char *const *)arg, (char *const *)env);
	report_failure(REPORT_FD);
}

pid_t
launch_check(const char *path, int fd, int64_t seconds)
{
	struct report report;
	int r = report_open(&report);
	if (r < 0)
		return r;
	pid_t pid = fork();
	if (pid == 0)
		become_check(path, fd, seconds, report.write);
	return report_hear(&report, pid);
}

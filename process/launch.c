#include "process/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/options.h"
#include "queue/lane.h"

extern char **environ;

enum {
	ARGUMENTS_MAX = 2 * OPTIONS_MAX + 10,
	STALE_TRIES = 3,
	SLOT_TRIES = 5,
};

/* Passwords for other hosts are relay's alone. */
static bool
is_for(const char *setting, bool relay)
{
	static const char settings[] = "POSTERN_", secrets[] = "POSTERN_" CREDENTIAL_VARIABLE;
	return strncmp(setting, settings, sizeof(settings) - 1) == 0 &&
		(relay || strncmp(setting, secrets, sizeof(secrets) - 1) != 0);
}

/*
 * Our settings from the environment, where credentials are, and nothing else of it (K2). The list
 * is the caller's to free; NULL: there is no memory for it.
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

/* `what` and its argument, and the settings we were given. */
static void
build_arguments(const struct launcher *l, const char *program, const char *what,
	const char *argument, const char **arg)
{
	int n = 0;
	arg[n++] = program;
	arg[n++] = what;
	if (argument != NULL)
		arg[n++] = argument;
	if (l->args->file != NULL) {
		arg[n++] = "-c";
		arg[n++] = l->args->file;
	}
	if (l->args->profile != NULL) {
		arg[n++] = "-p";
		arg[n++] = l->args->profile;
	}
	for (int i = 0; i < l->args->n; i++) {
		arg[n++] = "-o";
		arg[n++] = l->args->options[i];
	}
	arg[n] = NULL;
}

/*
 * Never returns. All other fds are closed, those too that we inherited (K1); standard error is not
 * the client (stdfds.h), and a session of its own keeps the program alive when we end.
 */
static void
become(const char *path, const char *const *arg, char *const *env, int first_fd, int second_fd)
{
	setsid();
	/* Out of the way first: either may stand at the other's place. */
	int first = fcntl(first_fd, F_DUPFD_CLOEXEC, LAUNCH_SECOND_FD + 1);
	int second = fcntl(second_fd, F_DUPFD_CLOEXEC, LAUNCH_SECOND_FD + 1);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (first < 0 || second < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		dup2(null, STDOUT_FILENO) < 0 || dup2(first, LAUNCH_FIRST_FD) < 0 ||
		dup2(second, LAUNCH_SECOND_FD) < 0)
		_exit(EXIT_FAILURE);
	(void)close_range(LAUNCH_SECOND_FD + 1, ~0U, 0);
	signal(SIGPIPE, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* execve takes char *const[] for historical reasons and changes nothing. */
	execve(path, (char *const *)arg, env);
	_exit(EXIT_FAILURE);
}

static int
take_lane(struct lane *lane, const struct launcher *l, const char *name)
{
	int r = -ESTALE;
	for (int i = 0; i < STALE_TRIES && r == -ESTALE; i++) {
		r = lane_open(lane, l->spool, name);
		if (r < 0)
			return r;
		r = lane_slot(lane, 1); /* if one is there, it knows itself whether it needs help */
		if (r < 0)
			lane_close(lane);
	}
	return r;
}

static int
launch_once(const struct launcher *l, const char *name)
{
	struct lane lane = LANE_CLOSED;
	int r = take_lane(&lane, l, name);
	if (r < 0)
		return r;
	struct lane_state state;
	lane_state(&lane, &state);
	auto_fd slot = -1;
	if (!lane_is_due(&state, clock_wall(), conf_longest_retry(l->conf)))
		r = -EAGAIN;
	else
		r = slot = spool_slot(l->spool, (int)l->conf->relay.max_relays);
	if (r == -EAGAIN && slot == -EAGAIN) {
		spool_crowd(l->spool);
		r = -EBUSY;
	}
	if (r >= 0) {
		const char *arg[ARGUMENTS_MAX];
		build_arguments(l, "relay", "--lane", name, arg);
		char **env = build_environment(true);
		pid_t pid = env != NULL ? fork() : -1;
		if (pid == 0)
			become(l->conf->who.relay_path, arg, env, lane.lock, slot);
		free(env);
		r = pid < 0 ? -ENOMEM : 0; /* fork's EAGAIN is no lane that is taken */
	}
	lane_close(&lane);
	return r;
}

/*
 * While we held the lane and found no global slot, a relay may have given its slot back and passed
 * this lane by, because we held it. So look once more now that we do not.
 */
int
launch_relay(const struct launcher *l, const char *name)
{
	int r = -EAGAIN;
	for (int i = 0; i < SLOT_TRIES && l->conf->relay.max_relays > 0; i++) {
		r = launch_once(l, name);
		if (r != -EBUSY)
			return r;
		auto_fd slot = spool_slot(l->spool, (int)l->conf->relay.max_relays);
		if (slot < 0)
			return -EAGAIN; /* whoever has it looks at all lanes before it ends */
	}
	return r;
}

pid_t
launch_helper(const struct launcher *l, const char *name, const char *path, const int *fds, int n)
{
	const char *arg[ARGUMENTS_MAX];
	build_arguments(l, name, "--serve", NULL, arg);
	char **env = build_environment(false);
	pid_t pid = env != NULL ? fork() : -1;
	if (pid == 0)
		become(path, arg, env, fds[0], n > 1 ? fds[1] : fds[0]);
	free(env);
	return pid < 0 ? -ENOMEM : pid;
}

pid_t
launch_check(const char *path, int fd, int64_t seconds)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	const char *const arg[] = { path, NULL };
	pid_t pid = fork();
	if (pid != 0)
		return pid < 0 ? -errno : pid;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	alarm((unsigned)seconds);
	bool connected = dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0;
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	if (connected)
		execve(path, (char *const *)arg, (char *const *)env);
	_exit(EXIT_FAILURE);
}

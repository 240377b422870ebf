#include "sending/login.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/wait.h"

extern char **environ;

enum {
	SECRET_MAX = 8192, WORDS_MAX = 32,
	LOOK = 20, /* ms between two looks at a program whose end the kernel does not tell */
};

/* A copy without the end of its line; NULL: empty, or it holds what no secret may. */
static char *
take_line(struct span text)
{
	text = span_chomp(span_without_mark(text));
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return NULL;
	return text.n > 0 ? strndup(text.p, text.n) : NULL;
}

/* Reads an fd to its end. The number of octets, or -errno. */
static ssize_t
read_all(int fd, char *p, size_t size, int64_t deadline)
{
	size_t n = 0;
	for (;;) {
		int r = wait_for(fd, POLLIN, deadline, NULL);
		if (r < 0)
			return r;
		ssize_t got = read(fd, p + n, size - n);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return (ssize_t)n;
		n += got > 0 ? (size_t)got : 0;
		if (n == size)
			return -E2BIG;
	}
}

/* One line from an fd into *out, which the caller owns. 0 or -errno. */
static int
read_secret(int fd, int64_t deadline, char **out)
{
	char text[SECRET_MAX];
	ssize_t n = read_all(fd, text, sizeof(text), deadline);
	if (n >= 0)
		*out = take_line((struct span){ text, (size_t)n });
	explicit_bzero(text, sizeof(text));
	return n < 0 ? (int)n : *out == NULL ? -EINVAL : 0;
}

/* Starts a program whose output is read from *out. Its process id, or -errno. */
static pid_t
start(char *const *word, int *out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t usual;
	pid_t pid = -1;
	int end[2];
	if (pipe2(end, O_CLOEXEC) < 0)
		return -errno;
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	sigaddset(&usual, SIGXFSZ);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, end[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	int err = posix_spawn(&pid, word[0], &actions, &attr, word, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close(end[1]);
	if (err == 0) {
		*out = end[0];
		return pid;
	}
	close(end[0]);
	return -err;
}

/* It is not reaped. */
static bool
has_ended(pid_t pid)
{
	siginfo_t info = { 0 };
	int r = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	return r < 0 || info.si_pid == pid;
}

/*
 * Waits for the end of a program, which may go on after its last word. False: the time is up. An
 * old kernel has no pidfd_open, and the filter of a container may not let us have it (L66).
 */
static bool
wait_for_end(pid_t pid, int64_t deadline)
{
	auto_fd process = pidfd_open(pid, 0);
	if (process >= 0)
		return wait_for(process, POLLIN, deadline, NULL) == 0;
	while (!has_ended(pid)) {
		if (clock_left(deadline) == 0)
			return false;
		(void)wait_for(-1, 0, clock_earlier(deadline, clock_ms() + LOOK), NULL);
	}
	return true;
}

/* The line that a program prints, into *out. 0 or -errno; -ECHILD: it failed. */
static int
run(const char *command, int64_t deadline, char **out)
{
	char line[SECRET_MAX], *word[WORDS_MAX + 1] = { NULL }, *rest = line, *next;
	int n = 0, status = 0, fd = -1;
	if (snprintf(line, sizeof(line), "%s", command) >= (int)sizeof(line))
		return -E2BIG;
	while (n <= WORDS_MAX && (next = strsep(&rest, " \t")) != NULL)
		if (next[0] != '\0')
			word[n++] = next;
	if (n > WORDS_MAX)
		return -E2BIG;
	word[n] = NULL;
	pid_t pid = start(word, &fd);
	if (pid < 0)
		return (int)pid;
	int r = read_secret(fd, deadline, out);
	close(fd);
	if (r == 0 && !wait_for_end(pid, deadline))
		r = -ETIMEDOUT;
	if (r < 0)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : status != 0 ? -ECHILD : 0;
}

/* From a file or the environment. */
static int
read_password(const char *where, int64_t deadline, char **out)
{
	if (!credential_variable_named(span_of(where))) {
		auto_fd fd = file_open(where);
		return fd < 0 ? -errno : read_secret(fd, deadline, out);
	}
	const char *text = credential_variable(where);
	*out = text != NULL ? take_line(span_of(text)) : NULL;
	return text == NULL ? -ENOENT : *out == NULL ? -EINVAL : 0;
}

static const char *
reason(int err)
{
	switch (err) {
	case -EINVAL:
		return "not one line of text";
	case -ECHILD:
		return "it failed";
	case -ETIMEDOUT:
		return "timed out";
	case -E2BIG:
		return "too long";
	default:
		return strerror(-err);
	}
}

static int
load(const struct conf_delivery *c, int64_t timeout, struct login *out, struct buf *why)
{
	int64_t deadline = clock_deadline(timeout);
	int r = 0;
	if (c->user == NULL)
		return 0;
	if (c->token_command != NULL) {
		r = run(c->token_command, deadline, &out->token);
	} else if (c->password_file != NULL) {
		r = read_password(c->password_file, deadline, &out->password);
		out->library = r == 0 ? sasl_library_open() : NULL;
	} else {
		r = -ENOENT;
	}
	out->user = c->user;
	if (r < 0)
		buf_printf(why, "%s: %s", c->token_command != NULL
			? "delivery_token_command" : "delivery_password_file", reason(r));
	else if (out->password != NULL && out->library == NULL)
		buf_puts(why, "delivery_password_file: libgsasl cannot be loaded");
	return why->n > 0 ? -EINVAL : 0;
}

static void
wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void
login_free(struct login *login)
{
	wipe(login->password);
	wipe(login->token);
	*login = (struct login){ 0 };
}

int
login_load(const struct conf_delivery *c, int64_t timeout, struct login *out, struct buf *why)
{
	struct conf_delivery own = *c;
	int err = 0;
	if (own.password_file != NULL) {
		own.password_file = strdup(own.password_file);
		err = credential_path(&own.password_file, why);
	}
	if (err == 0)
		err = load(&own, timeout, out, why);
	if (own.password_file != c->password_file)
		free(own.password_file);
	return err;
}

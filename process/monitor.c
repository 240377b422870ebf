#include "process/monitor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "mail/lane_name.h"
#include "process/log.h"
#include "process/ring.h"
#include "process/standby.h"

#define HELPER_MISSED "the client hears 454, or nothing where TLS comes first"

/*
 * What starts something returns the pid of a helper, 0 for a relay, -errno, or NONSENSE: no honest
 * session asks for that.
 */
enum { NONSENSE = -EBADMSG };

static pid_t
start_relay(const struct launcher *l, const char *lane)
{
	struct log_fields f = { .event = "launch", .lane = lane };
	if (!lane_name_valid(span_of(lane)))
		return NONSENSE;
	pid_t r = ring_lane(l, lane);
	if (ring_is_trouble(r))
		log_event(LOG_ERR, &f, "lane %s: cannot start relay: %s: %s; the timer will", lane,
			l->conf->who.relay_path, strerror(-r));
	return r < 0 ? r : 0;
}

/* Logs a program that could not be started; `pid` is what came of it. */
static pid_t
heard(pid_t pid, const char *path, const char *consequence)
{
	struct log_fields f = { .event = "launch" };
	if (pid < 0)
		log_event(
			LOG_ERR, &f, "cannot start %s: %s; %s", path, strerror(-pid), consequence);
	return pid;
}

static pid_t
start_check(const struct launcher *l, const char *path, const int *fds, int n)
{
	if (path == NULL || n != 1)
		return NONSENSE;
	return heard(launch_check(path, fds[0], l->conf->receive.timeout_check), path,
		"what it is asked about is put off");
}

static pid_t
start_helper(const struct launcher *l, const char *name, const char *path, const int *fds, int n,
	int needed)
{
	return n == needed ? heard(launch_helper(l, name, path, fds, n), path, HELPER_MISSED)
			   : NONSENSE;
}

/* Has one take it that waits. 0: there are none like that for this request. */
static pid_t
hand_over(const struct launcher *l, const struct request *r, const int *fds, int n,
	struct budget *b)
{
	if (l->standby == NULL)
		return 0;
	const char *path = r->kind == REQUEST_TLS ? l->conf->who.tls_path : l->conf->who.auth_path;
	return heard(standby_hand(l->standby, r->kind, fds, n, b), path, HELPER_MISSED);
}

/* Starts the program that a request is for, with the fds that came along. */
static pid_t
start_requested(const struct launcher *l, const struct request *r, const int *fds, int n)
{
	switch (r->kind) {
	case REQUEST_RELAY:
		return start_relay(l, r->lane);
	case REQUEST_TLS:
		return start_helper(l, "tls", l->conf->who.tls_path, fds, n, 2);
	case REQUEST_AUTH:
		return start_helper(l, "auth", l->conf->who.auth_path, fds, n, 1);
	case REQUEST_CHECK_SENDER:
		return start_check(l, l->conf->receive.sender_check, fds, n);
	case REQUEST_CHECK_RECIPIENT:
		return start_check(l, l->conf->receive.recipient_check, fds, n);
	case REQUEST_LOG: /* our socket is the session's too; if it is a stream, of later ones */
		return log_reconnect(0);
	default:
		return NONSENSE;
	}
}

static void
warn_once(struct attended *a)
{
	struct log_fields f = { .event = "launch" };
	if (!a->warned)
		log_event(LOG_WARNING, &f, "the session asks for more programs than one may have");
	a->warned = true;
}

bool
monitor_answer(const struct launcher *l, struct attended *a, const struct request *r,
	const int *fds, int n)
{
	bool fine = budget_allows(&a->budget, r->kind);
	if (fine) {
		pid_t pid = hand_over(l, r, fds, n, &a->budget);
		if (pid == 0)
			pid = start_requested(l, r, fds, n);
		if (pid >= 0)
			budget_spend(&a->budget, r->kind, pid);
		else
			budget_spend_in_vain(&a->budget, r->kind);
		a->started = a->started || pid >= 0;
		fine = pid != NONSENSE;
	} else {
		warn_once(a);
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return fine;
}

/* Waits for a process that ended. Its pid, or one below 1. */
static pid_t
reap(pid_t which, int *status, int flags)
{
	pid_t pid;
	do
		pid = waitpid(which, status, flags);
	while (pid < 0 && errno == EINTR);
	return pid;
}

/*
 * Signals may end a monitor, which its session notices; and the connection is closed to it: in its
 * place is what standard error is, which is not the client (stdfds.h).
 */
static void
let_go(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++)
		if (dup2(STDERR_FILENO, fd) < 0)
			close(fd);
}

int
monitor_run(const struct launcher *l, int requests, pid_t session)
{
	struct attended a = { 0 };
	int status = -1, ended, n, got, fds[REQUEST_FDS];
	struct request r;
	let_go();
	budget_init(&a.budget, l->conf);
	while ((got = request_receive(requests, &r, fds, &n)) != 0) {
		for (pid_t pid; a.started && (pid = reap(-1, &ended, WNOHANG)) > 0;) {
			if (pid == session)
				status = ended;
			budget_ended(&a.budget, pid);
		}
		if (got > 0)
			monitor_answer(l, &a, &r, fds, n);
		else if (got != -EBADMSG)
			break;
	}
	if (got < 0)
		close(requests); /* a session that still asks must not wait for an answer */
	if (status < 0)
		reap(session, &status, 0);
	if (WIFSIGNALED(status)) {
		struct log_fields f = { .event = "crashed" };
		log_event(LOG_ERR, &f, "session ended by signal %d", WTERMSIG(status));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

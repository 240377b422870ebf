/*
 * smtpd: speaks SMTP with one client on standard input and output, and queues what it sends.
 *
 * systemd, inetd, xinetd or a shell starts it for each connection. It becomes two processes:
 *
 *	monitor   the process that was started. It lets go of the connection before the first byte
 *	          is read, and waits for requests (request.h): "lane L has new mail", for which it
 *	          starts a relay if a slot is free; "speak TLS". It never sees a byte of the client.
 *	session   its child. Locked in (sandbox.h), it talks to the client and writes the spool.
 *
 * "250 queued" is sent only after draft_commit said that the message is on disk. Everything else
 * may fail at any moment: a message is in the spool whole, or not at all. The protocol is one table
 * (session/session.c), its texts another (session/reply.h).
 *
 * Exit status: 0; 75 the spool cannot be used; 78 the configuration is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "process/budget.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/launch.h"
#include "process/log.h"
#include "process/options.h"
#include "process/request.h"
#include "process/sandbox.h"
#include "process/stdfds.h"
#include "session/session.h"
#include "mail/lane_name.h"

static volatile int stop_requested;

static struct session session = { .stop = &stop_requested, .end = CLOCK_NEVER };

static void
on_stop(int sig)
{
	(void)sig;
	stop_requested = 1;
}

/* ---- monitor ---------------------------------------------------------------------------- */

struct monitor {
	const struct launcher *launcher;
	struct budget budget;
	bool warned; /* that it is spent */
};

/* These return the pid of a helper, 0 for a relay, or -errno. */

static pid_t
start_relay(const struct launcher *l, const char *lane)
{
	struct log_fields f = { .event = "launch", .lane = lane };
	if (!lane_name_valid(span_of(lane)))
		return -EINVAL; /* not made by a session of ours */
	int r = launch_relay(l, lane);
	if (r < 0 && r != -EAGAIN && r != -ENOENT && r != -EBUSY)
		log_event(LOG_WARNING, &f, "lane %s: cannot start relay: %s; the timer will", lane,
			strerror(-r));
	return r;
}

static pid_t
start_check(const struct launcher *l, const char *path, const int *fds, int n)
{
	return path != NULL && n == 1 ? launch_check(path, fds[0], l->conf->timeout_check) : -EINVAL;
}

static pid_t
start_helper(const struct launcher *l, const char *name, const char *path, const int *fds, int n,
	int needed)
{
	return n == needed ? launch_helper(l, name, path, fds, n) : -EINVAL;
}

/* Starts what a request is about, with the fds that came along. */
static pid_t
start(const struct launcher *l, const struct request *r, const int *fds, int n)
{
	switch (r->kind) {
	case REQUEST_RELAY:
		return start_relay(l, r->lane);
	case REQUEST_TLS:
		return start_helper(l, "tls", l->conf->tls_path, fds, n, 2);
	case REQUEST_AUTH:
		return start_helper(l, "auth", l->conf->auth_path, fds, n, 1);
	case REQUEST_CHECK_SENDER:
		return start_check(l, l->conf->sender_check, fds, n);
	case REQUEST_CHECK_RECIPIENT:
		return start_check(l, l->conf->recipient_check, fds, n);
	default:
		return -EINVAL;
	}
}

static void
warn_once(struct monitor *m)
{
	struct log_fields f = { .event = "launch" };
	if (!m->warned)
		log_event(LOG_WARNING, &f, "the session asks for more programs than one may have");
	m->warned = true;
}

/* Does what the session asks for, if it may. If not, or if it fails, it sees that nobody answers. */
static void
serve_request(struct monitor *m, const struct request *r, const int *fds, int n)
{
	if (budget_allows(&m->budget, r->kind)) {
		pid_t pid = start(m->launcher, r, fds, n);
		if (pid >= 0)
			budget_spend(&m->budget, r->kind, pid);
	} else {
		warn_once(m);
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
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

/* Serves requests until the session ends. Returns the session's exit status. */
static int
monitor_main(const struct launcher *l, int requests, pid_t session_pid)
{
	struct monitor m = { .launcher = l };
	int status = -1, ended, n, got, fds[REQUEST_FDS];
	struct request r;
	budget_init(&m.budget, l->conf);
	while ((got = request_receive(requests, &r, fds, &n)) != 0) {
		for (pid_t pid; (pid = reap(-1, &ended, WNOHANG)) > 0;) {
			if (pid == session_pid)
				status = ended;
			budget_ended(&m.budget, pid);
		}
		if (got > 0)
			serve_request(&m, &r, fds, n);
		else if (got != -EBADMSG)
			break;
	}
	close(requests); /* a session that still asks must not wait for us */
	if (status < 0)
		reap(session_pid, &status, 0);
	if (WIFSIGNALED(status)) {
		struct log_fields f = { .event = "crashed" };
		log_event(LOG_ERR, &f, "session ended by signal %d", WTERMSIG(status));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

/* The connection is not the monitor's business, and a signal may end it: the session notices. */
static void
become_monitor(void)
{
	sigset_t none;
	sigemptyset(&none);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}

/* ---- start ------------------------------------------------------------------------------ */

static int
give_up(struct session *s, enum reply r, int status, const char *why)
{
	struct log_fields f = { .event = "failed" };
	log_event(LOG_ERR, &f, "%s", why);
	say_reply(s, r);
	(void)stream_flush(&s->stream, session_deadline(s, s->conf.timeout_command));
	return status;
}

static int
configure(struct session *s, const struct options *o)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	int r = -EINVAL;
	if (o->wrong != NULL)
		buf_puts(&why, o->wrong);
	else
		r = conf_load(&s->conf, &o->conf, &why);
	buf_add(&why, (struct span){ "", 1 });
	log_open(r == 0 ? s->conf.log : LOG_TO_AUTO, "smtpd", journal_send);
	if (r == 0)
		return 0;
	if (o->check || o->hash != NULL) {
		fprintf(stderr, "smtpd: %s\n", why.p);
		return EXIT_CONFIG;
	}
	return give_up(s, R_NO_CONFIG, EXIT_CONFIG, why.p);
}

/* A session reads none, so it holds none: not our settings, nor what is whose ever. */
static void
forget_environment(void)
{
	for (char **e = environ; *e != NULL; e++)
		explicit_bzero(*e, strlen(*e));
	clearenv();
}

static void
catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop };
	sigset_t blocked; /* let in only while waiting, by stream.c */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write error like any other (K8) */
	signal(SIGCHLD, SIG_DFL);
}

/* This host is not; but a proxy on it may speak for others. */
static bool
is_counted(const struct session *s)
{
	return !s->peer.local && (!netaddr_is_loopback(&s->peer.addr) ||
		netlist_contains(&s->conf.proxy_nets, &s->peer.addr));
}

static int
serve(struct session *s, const struct options *o)
{
	char why[256];
	int pair[2];
	int r = spool_open(&s->spool, s->conf.spool);
	if (r < 0) {
		snprintf(why, sizeof(why), "spool %s: %s", s->conf.spool, strerror(-r));
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, why);
	}
	if (is_counted(s) && quota_open(&s->quota, s->conf.runtime) < 0)
		s->quota = (struct quota){ 0 }; /* without counts, as where there is no directory */
	if (request_pair(pair) < 0)
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, "cannot make a socket pair");
	s->monitor = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return give_up(s, R_NO_QUEUE, EX_TEMPFAIL, "cannot fork");
	if (pid == 0) {
		close(pair[0]);
		forget_environment();
		return session_main(s);
	}
	close(pair[1]);
	become_monitor();
	struct launcher l = { .spool = &s->spool, .conf = &s->conf, .args = &o->conf };
	return monitor_main(&l, pair[0], pid);
}

int
main(int argc, char **argv)
{
	struct session *s = &session;
	struct options o;
	char why[256];

	stdfds_fill();
	stdfds_close_others();
	if (argc < 1)
		return EX_USAGE;
	catch_signals();
	stream_init(&s->stream, STDIN_FILENO, STDOUT_FILENO, true, s->stop);
	s->conf.timeout_command = 1; /* for give_up, until the configuration is read */
	options_parse(&o, argc, argv);
	if (!o.check && o.hash == NULL)
		stdfds_hide_client();
	int r = configure(s, &o);
	if (r != 0)
		return r;
	if (o.check) {
		conf_print(&s->conf, stdout);
		return EXIT_SUCCESS;
	}
	if (o.hash != NULL) {
		execl(s->conf.auth_path, "auth", "--hash", o.hash, (char *)NULL);
		return EX_UNAVAILABLE;
	}
	r = sandbox_drop_root(s->conf.user);
	if (r < 0) {
		snprintf(why, sizeof(why), "started as root, cannot become user %s: %s",
			s->conf.user, strerror(-r));
		return give_up(s, R_NO_CONFIG, EXIT_CONFIG, why);
	}
	if (peer_of(STDIN_FILENO, &s->peer) < 0)
		return EXIT_SUCCESS; /* gone before we began */
	umask(S_IRWXG | S_IRWXO);
	return serve(s, &o);
}

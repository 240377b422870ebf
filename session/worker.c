#include "session/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/forget.h"
#include "lib/wait.h"
#include "process/listen.h"
#include "process/program.h"
#include "process/request.h"
#include "process/stdfds.h"
#include "session/loop.h"

enum {
	/* Descriptors: of the process, DRAFT_LANES of a message, those of helpers. A worker that
	 * was taken over can hold no more clients than that. */
	DESCRIPTORS = DRAFT_LANES + 60,
	BREATH = 100, /* ms, when the kernel has no room for a connection */
};

struct self {
	const struct worker_terms *terms;
	struct session *s;
	int epoll;
	int null;
	uint32_t ended; /* stands for the monitor among the listeners */
};

static int
watch(const struct self *w, int fd, uint32_t events, uint32_t what)
{
	struct epoll_event e = { .events = events, .data.u32 = what };
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* A connection wakes one of all that wait. 0 or -errno. */
static int
prepare(struct self *w)
{
	static const struct rlimit descriptors = { DESCRIPTORS, DESCRIPTORS };
	int r = 0;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->null = stdfds_nothing();
	if (w->epoll < 0 || w->null < 0)
		return -errno;
	w->ended = (uint32_t)w->terms->listeners;
	for (int i = 0; i < w->terms->listeners && r == 0; i++)
		r = watch(w, LISTEN_FIRST + i, EPOLLIN | EPOLLEXCLUSIVE, (uint32_t)i);
	if (r == 0)
		r = watch(w, w->s->monitor, EPOLLIN, w->ended);
	if (w->s->monitor < DESCRIPTORS)
		(void)setrlimit(RLIMIT_NOFILE, &descriptors);
	return r;
}

static void
tell(const struct self *w, enum request_kind kind)
{
	struct request r = { .kind = kind };
	(void)request_send(w->s->monitor, &r, NULL, 0);
}

/* Is the error one of this connection, or of another worker that was quicker? */
static bool
is_of_connection(int err)
{
	static const int errors[] = { EAGAIN, EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT,
		EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM, ETIMEDOUT };
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i] == err)
			return true;
	return false;
}

/* Waits until somebody is there; where. w->ended: until this one is to end. */
static uint32_t
await_client(const struct self *w)
{
	struct epoll_event e;
	sigset_t none;
	sigemptyset(&none);
	while (!*w->s->stop) {
		int n = epoll_pwait(w->epoll, &e, 1, -1, &none);
		if (n == 1)
			return e.data.u32;
		if (n < 0 && errno != EINTR)
			break;
	}
	return w->ended;
}

/* The next client's connection; -1: there will be none. */
static int
take_client(const struct self *w)
{
	for (;;) {
		uint32_t at = await_client(w);
		if (at == w->ended || wait_is_ready(w->s->monitor, POLLIN) || *w->s->stop)
			return -1;
		if (stamp_changed(w->terms->stamps) != NULL) {
			tell(w, REQUEST_CHANGED);
			return -1;
		}
		int fd = accept4(LISTEN_FIRST + (int)at, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		int err = errno;
		if (listen_is_over(w->terms->listeners)) /* of which the errors are several */
			return -1;
		if (!is_of_connection(err))
			(void)wait_for(w->s->monitor, POLLIN, clock_ms() + BREATH, w->s->stop);
	}
}

/* The connection becomes standard input and output, as it is for a session of its own. */
static void
put(int fd)
{
	(void)dup2(fd, STDIN_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
}

static void
serve(const struct self *w, enum pool_role role)
{
	struct peer peer;
	if (peer_of(STDIN_FILENO, STDOUT_FILENO, &peer) < 0)
		return; /* it has gone */
	session_begin(w->s, &peer);
	if (role == POOL_REFUSER)
		loop_turn_away(w->s);
	else
		loop_converse(w->s);
	session_end(w->s);
}

static void
serve_all(const struct self *w, enum pool_role role)
{
	int64_t left = role == POOL_REFUSER ? INT64_MAX : w->s->conf.busy.reuse;
	for (int fd; left > 0 && (fd = take_client(w)) >= 0; left--) {
		if (role == POOL_WORKER)
			tell(w, REQUEST_CLIENT);
		put(fd);
		close(fd);
		serve(w, role);
		put(w->null);
		forget_stack();
		if (role == POOL_WORKER && left > 1)
			tell(w, REQUEST_FREE);
	}
}

int
worker_main(const struct worker_terms *t, enum pool_role role)
{
	struct self w = { .terms = t, .s = t->session };
	struct log_fields f = { .event = "sandbox" };
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* there is no session without its monitor */
	if (getppid() != t->parent)
		return EXIT_SUCCESS;
	loop_forget_environment();
	forget_what_is_freed();
	int r = prepare(&w);
	if (r < 0) {
		log_event(LOG_ERR, &f, "cannot wait for clients: %s", strerror(-r));
		return EX_TEMPFAIL;
	}
	put(w.null);
	log_reconnect_by(helper_log, w.s->monitor);
	if (!program_lock_in(SANDBOX_WORKER, &w.s->spool, w.s->monitor, &f))
		return EX_TEMPFAIL;
	loop_begin_to_count(w.s);
	serve_all(&w, role);
	return EXIT_SUCCESS;
}

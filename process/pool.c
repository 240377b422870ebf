#include "process/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/listen.h"
#include "process/log.h"
#include "process/monitor.h"
#include "process/notify.h"
#include "process/plan.h"
#include "process/request.h"
#include "process/ring.h"
#include "process/stdfds.h"

#define HEIRLOOM "SMTPD_WORKERS" /* "pid:fd ..." of those that an smtpd hands over to the next */

enum {
	/* Requests that are looked at before the clock is. */
	EVENTS = 64,
	/* Descriptors of this process beside one for each worker: sockets, spool, log, and those
	 * that programs are started with. */
	OTHERS = 128,
	/* Above all that a worker has of ours: sockets, spool, log. Those of others lie above. */
	SLOT = 100,
	/* ms; one that waits is replaced after so long: what was taken over does not stay. */
	LIFE = 3600 * 1000,
	/* ms; beyond the time of a session, for its end. */
	GRACE = 60 * 1000,
	/* ms; how often those that are too long at it are looked for. */
	ROUNDS = 60 * 1000,
};

enum state { NOBODY, WAITING, BUSY, LEAVING, REFUSING, STATES };

struct worker {
	enum state state;
	pid_t pid;
	int fd;         /* its requests; -1: it has closed them and will end */
	int64_t since;  /* in this state (clock.h) */
	int64_t born;
	int64_t begun;  /* clients */
	bool inherited; /* from the smtpd before, and it ends with its client */
	struct attended attended;
};

struct pool {
	const struct pool_terms *terms;
	const struct conf *conf;
	struct worker *workers;
	int places;          /* in that table */
	int count[STATES];
	int epoll;
	int slot;            /* the number that a worker's own end has in it */
	struct plan_pace pace;
	bool left;           /* one ended without a client: it may have been woken for one */
	int failures;        /* workers in a row that ended before their first client */
	int64_t pause;       /* nobody is started before (clock.h) */
	int64_t last;        /* when the last client was there */
	int64_t rounds;
	int64_t watchdog;    /* ms between signs of life; 0: none */
	int64_t sign;        /* when the next one is due */
	enum { GOING_ON, IDLE, STOPPING } end;
};

static volatile int child_ended;

static void
on_child(int sig)
{
	(void)sig;
	child_ended = 1;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void
become(struct pool *p, struct worker *w, enum state state)
{
	p->count[w->state]--;
	p->count[state]++;
	w->state = state;
	w->since = clock_ms();
}

/* How many there are. */
static int
alive(const struct pool *p)
{
	return p->places - p->count[NOBODY];
}

static struct worker *
find_pid(struct pool *p, pid_t pid)
{
	for (int i = 0; i < p->places; i++)
		if (p->workers[i].state != NOBODY && p->workers[i].pid == pid)
			return &p->workers[i];
	return NULL;
}

static struct worker *
find_free(struct pool *p)
{
	for (int i = 0; i < p->places; i++)
		if (p->workers[i].state == NOBODY)
			return &p->workers[i];
	return NULL;
}

/* ---- their beginning and end ---------------------------------------------------------------- */

/* One that cannot even begin is not started again and again without a pause. */
static void
note_failure(struct pool *p)
{
	p->failures++;
	p->pause = clock_ms() + plan_pause(p->failures);
}

/*
 * In the child. What the pool has open is closed to it: with our end of another's socket it could
 * take what that one asks for.
 */
static _Noreturn void
be_worker(struct pool *p, int requests, enum pool_role role)
{
	signal(SIGCHLD, SIG_DFL);
	close(p->epoll);
	dup3(requests, p->slot, O_CLOEXEC);
	stdfds_close_from(p->slot + 1);
	_exit(p->terms->work(p->terms->ctx, p->slot, role));
}

/* Two ends, above what a worker keeps. 0 or -errno. */
static int
make_pair(const struct pool *p, int pair[2])
{
	int low[2];
	int r = request_pair(low);
	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		pair[i] = fcntl(low[i], F_DUPFD_CLOEXEC, p->slot + 1);
		r = pair[i] < 0 ? -errno : r;
		close(low[i]);
	}
	for (int i = 0; i < 2 && r < 0; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	return r;
}

static int
listen_to(struct pool *p, struct worker *w)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)(w - p->workers) };
	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, w->fd, &e) < 0 ? -errno : 0;
}

static void
enter(struct pool *p, struct worker *w, pid_t pid, int fd, enum state state)
{
	*w = (struct worker){ .pid = pid, .fd = fd, .born = clock_ms() };
	budget_init(&w->attended.budget, p->conf);
	become(p, w, state);
	if (listen_to(p, w) < 0)
		kill(pid, SIGTERM);
}

/* False: it cannot be done now. */
static bool
start(struct pool *p, enum pool_role role)
{
	struct log_fields f = { .event = "launch" };
	struct worker *w = find_free(p);
	int pair[2];
	int r = w == NULL ? -ENOSPC : make_pair(p, pair);
	if (r == 0) {
		pid_t pid = fork();
		if (pid == 0)
			be_worker(p, pair[1], role);
		close(pair[1]);
		if (pid > 0) {
			enter(p, w, pid, pair[0], role == POOL_REFUSER ? REFUSING : WAITING);
			return true;
		}
		r = -errno;
		close(pair[0]);
	}
	if (p->failures == 0)
		log_event(LOG_ERR, &f, "cannot start a session: %s; trying again", strerror(-r));
	note_failure(p);
	return false;
}

/* It is to end when it has no client. That something comes is all that it looks for. */
static void
retire(struct pool *p, struct worker *w)
{
	(void)send(w->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (w->state != BUSY)
		become(p, w, LEAVING);
}

static void
retire_all(struct pool *p)
{
	for (int i = 0; i < p->places; i++) {
		struct worker *w = &p->workers[i];
		if (w->fd >= 0 && w->state != NOBODY && w->state != LEAVING)
			retire(p, w);
	}
}

static void
retire_some(struct pool *p, int n, enum state state)
{
	for (int i = p->places - 1; i >= 0 && n > 0; i--)
		if (p->workers[i].state == state && p->workers[i].fd >= 0) {
			retire(p, &p->workers[i]);
			n--;
		}
}

static void
hang_up(struct pool *p, struct worker *w)
{
	if (w->fd >= 0) {
		/* A child that was just forked may have it too, and it would stay in the set. */
		(void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, w->fd, NULL);
		close(w->fd);
	}
	w->fd = -1;
}

static void
bury(struct pool *p, struct worker *w, int status)
{
	struct log_fields f = { .event = "crashed" };
	static const char *const doing[] = { [WAITING] = "waited", [BUSY] = "had a client",
		[LEAVING] = "was to end", [REFUSING] = "turned clients away" };
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSIGNALED(status))
		log_event(LOG_ERR, &f, "session %ld ended by signal %d; it %s", (long)w->pid,
			WTERMSIG(status), doing[w->state]);
	if (!well && w->begun == 0 && w->state == WAITING)
		note_failure(p);
	if (w->state == BUSY)
		p->last = clock_ms();
	else
		p->left = true;
	hang_up(p, w);
	become(p, w, NOBODY);
}

/* Children that ended: workers, and what was started for them. */
static void
reap(struct pool *p)
{
	int status;
	child_ended = 0;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		struct worker *w = find_pid(p, pid);
		if (w != NULL) {
			bury(p, w, status);
			continue;
		}
		for (int i = 0; i < p->places; i++)
			if (p->workers[i].state != NOBODY)
				budget_ended(&p->workers[i].attended.budget, pid);
	}
}

static void
kill_liar(struct worker *w, const char *why)
{
	struct log_fields f = { .event = "killed" };
	log_event(LOG_ERR, &f, "session %ld is killed: %s", (long)w->pid, why);
	kill(w->pid, SIGKILL);
}

/* Those that are at it for longer than there can be a reason for. */
static void
make_rounds(struct pool *p, int64_t now)
{
	int64_t session = p->conf->receive.timeout_session * 1000 + GRACE;
	if (now < p->rounds)
		return;
	p->rounds = now + ROUNDS;
	for (int i = 0; i < p->places; i++) {
		struct worker *w = &p->workers[i];
		if ((w->state == BUSY || w->state == LEAVING) && now - w->since > session)
			kill_liar(w, "it has one client for longer than a session may last");
		else if (w->state == WAITING && now - w->born > LIFE)
			retire(p, w);
	}
}

/* ---- the next smtpd in this process --------------------------------------------------------- */

/* Is what is on disk now a configuration? If not, the operator hears of it. */
static bool
can_load(const struct pool *p)
{
	struct log_fields f = { .event = "configuration" };
	struct conf c = { 0 };
	auto_buf why = buf_new(LIMIT_COMMAND);
	int r = conf_load(&c, p->terms->launcher->args, NULL, &why);
	conf_free(&c);
	if (r < 0)
		log_event(LOG_ERR, &f, "%.*s; what was in force stays so", (int)why.n,
			why.n > 0 ? why.p : "");
	return r == 0;
}

/* Who can be handed over, in words for the environment. */
static void
list_workers(struct pool *p, struct buf *b)
{
	for (int i = 0; i < p->places; i++) {
		struct worker *w = &p->workers[i];
		if (w->state == NOBODY || w->fd < 0)
			continue;
		(void)fcntl(w->fd, F_SETFD, 0);
		buf_printf(b, "%ld:%d ", (long)w->pid, w->fd);
	}
	buf_add(b, (struct span){ "", 1 });
}

/* Comes back only if that is impossible; then all goes on. */
static void
hand_over(struct pool *p, const char *changed)
{
	enum { WORD = 32 };
	struct log_fields f = { .event = "renewed" };
	const char *program = stamp_program(p->terms->stamps);
	auto_buf list = buf_new((size_t)p->places * WORD + 1);
	if (program == NULL)
		return;
	log_event(LOG_INFO, &f, "%s has changed: a new smtpd takes over", changed);
	retire_all(p);
	list_workers(p, &list);
	sigset_t none;
	sigemptyset(&none);
	if (list.err == 0 && setenv(HEIRLOOM, list.p, 1) == 0 &&
		listen_hand_over(p->terms->listeners) == 0) {
		signal(SIGPIPE, SIG_DFL);
		signal(SIGXFSZ, SIG_DFL);
		execve(program, p->terms->argv, environ);
	}
	log_event(LOG_ERR, &f, "%s: %s; what was in force stays so", program, strerror(errno));
	unsetenv(HEIRLOOM);
	listen_ready(p->terms->listeners);
}

/* A worker says that something changed. It may be known by now. */
static void
look_for_changes(struct pool *p)
{
	const char *changed = p->end == GOING_ON ? stamp_changed(p->terms->stamps) : NULL;
	if (changed == NULL)
		return;
	if (can_load(p))
		hand_over(p, changed);
	stamp_renew(p->terms->stamps);
	retire_all(p); /* which know it as it was */
}

bool
pool_takes_over(void)
{
	return getenv(HEIRLOOM) != NULL;
}

/* Those of the smtpd before: each ends behind its client. */
static void
inherit(struct pool *p)
{
	struct span list = span_of(getenv(HEIRLOOM) != NULL ? getenv(HEIRLOOM) : "");
	for (struct span word; (word = span_word(&list, " ")).n > 0;) {
		struct span pid = span_cut(&word, ':');
		struct worker *w = find_free(p);
		int64_t number = span_number(pid), fd = span_number(word);
		if (w == NULL || number <= 0 || fd < 0 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			continue;
		enter(p, w, (pid_t)number, (int)fd, BUSY);
		w->inherited = true;
	}
	unsetenv(HEIRLOOM);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void
begin_client(struct pool *p, struct worker *w)
{
	if (++w->begun > p->conf->busy.reuse && !w->inherited) {
		kill_liar(w, "it takes more connections than one may");
		return;
	}
	budget_renew(&w->attended.budget, p->conf);
	w->attended.warned = false;
	p->failures = 0;
	if (w->state == WAITING || w->state == LEAVING)
		become(p, w, BUSY);
	if (p->end == IDLE)
		p->end = GOING_ON;
}

static void
end_client(struct pool *p, struct worker *w)
{
	p->last = clock_ms();
	if (w->state == BUSY)
		become(p, w, w->inherited ? LEAVING : WAITING);
}

/* Takes one request of a worker. */
static void
serve(struct pool *p, struct worker *w)
{
	struct request r;
	int fds[REQUEST_FDS], n;
	int got = w->fd >= 0 ? request_receive(w->fd, &r, fds, &n) : -EBADMSG;
	if (got == -EBADMSG)
		return;
	if (got <= 0) {
		hang_up(p, w);
		return;
	}
	bool ours = r.kind == REQUEST_CLIENT || r.kind == REQUEST_FREE || r.kind == REQUEST_CHANGED;
	if (!ours) {
		monitor_answer(p->terms->launcher, &w->attended, &r, fds, n);
		return;
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
	if (r.kind == REQUEST_CLIENT)
		begin_client(p, w);
	else if (r.kind == REQUEST_FREE)
		end_client(p, w);
	else
		look_for_changes(p);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Does a connection wait to be accepted? */
static bool
somebody_waits(const struct pool *p)
{
	struct pollfd at[OPTIONS_LISTEN];
	for (int i = 0; i < p->terms->listeners; i++)
		at[i] = (struct pollfd){ .fd = LISTEN_FIRST + i, .events = POLLIN };
	return poll(at, (nfds_t)p->terms->listeners, 0) > 0;
}

/*
 * Of all that wait one alone is woken for a connection. If it ended instead of accepting, the
 * others sleep on; but one that begins to wait finds what is there.
 */
static void
wake_another(struct pool *p, int started)
{
	if (p->left && started == 0 && somebody_waits(p)) {
		if (p->count[REFUSING] > 0)
			retire_some(p, 1, REFUSING); /* and there will be another one */
		else
			(void)start(p, POOL_WORKER);
	}
	p->left = false;
}

/* As many workers as there should be. When to look again (clock.h). */
static int64_t
adjust(struct pool *p, int64_t now)
{
	struct plan_counts counts = { p->count[WAITING], p->count[BUSY] };
	if (p->end != GOING_ON)
		return CLOCK_NEVER;
	struct plan plan = plan_make(&p->pace, (int)p->conf->busy.sessions,
		(int)p->conf->busy.spare, counts, now);
	if (now < p->pause)
		return clock_earlier(plan.next, p->pause);
	for (int i = 0; i < plan.start; i++)
		if (!start(p, POOL_WORKER))
			return p->pause;
	wake_another(p, plan.start);
	retire_some(p, plan.retire, WAITING);
	if (plan.refuser && p->count[REFUSING] == 0 && !start(p, POOL_REFUSER))
		return p->pause;
	if (!plan.refuser)
		retire_some(p, p->count[REFUSING], REFUSING);
	return plan.next;
}

/* Nobody came for a while: then there is no reason to be here. When to look again (clock.h). */
static int64_t
rest(struct pool *p, int64_t now)
{
	int64_t over = p->last + p->conf->busy.idle * 1000;
	if (p->terms->stays || p->end != GOING_ON || p->count[BUSY] > 0)
		return CLOCK_NEVER;
	if (now < over)
		return over;
	p->end = IDLE;
	retire_all(p);
	return CLOCK_NEVER;
}

/* Sessions say 421 to their clients; those that wait end at once. */
static void
stop(struct pool *p)
{
	if (!*p->terms->stop || p->end == STOPPING)
		return;
	p->end = STOPPING;
	notify_say("STOPPING=1\nSTATUS=%d sessions finish their commands", p->count[BUSY]);
	for (int i = 0; i < p->places; i++)
		if (p->workers[i].state != NOBODY)
			kill(p->workers[i].pid, SIGTERM);
}

/* Tells systemd that it lives. When it is due again (clock.h). */
static int64_t
give_sign(struct pool *p, int64_t now)
{
	if (p->watchdog == 0)
		return CLOCK_NEVER;
	if (now >= p->sign) {
		p->sign = now + p->watchdog;
		notify_say("WATCHDOG=1\nSTATUS=%d sessions, %d wait for clients", p->count[BUSY],
			p->count[WAITING]);
	}
	return p->sign;
}

static void
wait_for_requests(struct pool *p, int64_t until)
{
	struct epoll_event events[EVENTS];
	sigset_t none;
	sigemptyset(&none);
	int n = epoll_pwait(p->epoll, events, EVENTS, clock_left(until), &none);
	for (int i = 0; i < n; i++)
		serve(p, &p->workers[events[i].data.u32]);
	if (child_ended)
		reap(p);
}

static void
catch_children(void)
{
	struct sigaction child = { .sa_handler = on_child };
	sigset_t blocked; /* let in only while waiting */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGCHLD, &child, NULL);
	child_ended = 1; /* it may be that one of the smtpd before has ended meanwhile */
}

/* As many descriptors as it takes. */
static void
raise_limit(int places)
{
	struct rlimit l;
	rlim_t need = (rlim_t)places + OTHERS;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= need)
		return;
	l.rlim_cur = l.rlim_max < need ? l.rlim_max : need;
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

static int
prepare(struct pool *p)
{
	/* Besides those at once: they may be on their way out, and those before us too. */
	p->places = 2 * (int)p->conf->busy.sessions + PLAN_BATCH;
	p->workers = calloc((size_t)p->places, sizeof(p->workers[0]));
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->slot = fcntl(p->epoll, F_DUPFD_CLOEXEC, SLOT);
	if (p->workers == NULL || p->epoll < 0 || p->slot < 0)
		return -ENOMEM;
	p->count[NOBODY] = p->places;
	raise_limit(p->places);
	return 0;
}

int
pool_run(const struct pool_terms *t)
{
	struct pool pool = { .terms = t, .conf = t->launcher->conf, .last = clock_ms() };
	struct pool *p = &pool;
	struct log_fields f = { .event = "failed" };
	if (prepare(p) < 0) {
		log_event(LOG_ERR, &f, "no memory for %d sessions", p->places);
		return EX_TEMPFAIL;
	}
	catch_children();
	inherit(p);
	p->watchdog = notify_watchdog();
	p->rounds = clock_ms() + ROUNDS;
	(void)adjust(p, clock_ms());
	notify_say("READY=1\nSTATUS=%d sessions wait for clients", p->count[WAITING]);
	while (p->end == GOING_ON || alive(p) > 0) {
		int64_t now = clock_ms();
		stop(p);
		int64_t until = adjust(p, now);
		until = clock_earlier(until, rest(p, now));
		until = clock_earlier(until, give_sign(p, now));
		until = clock_earlier(until, p->rounds);
		wait_for_requests(p, until);
		make_rounds(p, clock_ms());
	}
	return EXIT_SUCCESS;
}

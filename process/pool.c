#include "process/pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "conf/recipient_map.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/files.h"
#include "process/listen.h"
#include "process/log.h"
#include "process/monitor.h"
#include "process/notify.h"
#include "process/plan.h"
#include "process/standby.h"

/* Those that an smtpd hands over to the next: "pid:fd:high:low ...", halves of their networks. */
#define HEIRLOOM "SMTPD_WORKERS"

enum {
	ODD = 100,   /* requests that no honest worker makes, before it is killed for them */
	EVENTS = 64, /* requests that are looked at before the clock is */
	STOP = 15,   /* s; sessions finish their commands in it, or else they are killed */
	CRASHES = 8, /* until there is another layout of memory (renew_layout) */
	LAYOUT = 2000, /* ms; one is kept for as long */
	STANDBY = INT_MAX, /* stands for tls and auth that wait, among the workers */
};

struct pool {
	const struct pool_terms *terms;
	const struct conf *conf;
	struct crew crew;
	struct plan_pace pace;
	int64_t laid_out; /* when this process, or the last try of another one, began (clock.h) */
	unsigned streams; /* that our log has had (log.h) */
	int64_t watchdog; /* ms between signs of life; 0: none */
	int64_t sign;     /* when the next one is due */
	enum { GOING_ON, IDLE, STOPPING } end;
	int64_t stopped;  /* when that is over */
	bool deaf;        /* nobody can connect any more: another process is to be started */
};

static volatile int child_ended;

static void
on_child(int sig)
{
	(void)sig;
	child_ended = 1;
}

/* Children that ended: workers, and what was started for them. */
static void
reap(struct pool *p)
{
	int status;
	child_ended = 0;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (crew_bury(&p->crew, pid, status))
			continue;
		standby_ended(p->terms->launcher->standby, pid, status);
		for (int i = 0; i < p->crew.places; i++)
			if (p->crew.workers[i].state != NOBODY)
				budget_ended(&p->crew.workers[i].attended.budget, pid);
	}
}

/*
 * A worker ends at once when a listening socket was shut down, by whatever it was: then there is
 * nothing to wait for here, and who started us hears of it instead of clients alone.
 */
static void
look_at_listeners(struct pool *p)
{
	struct log_fields f = { .event = "failed" };
	if (p->deaf || !listen_is_over(p->terms->listeners))
		return;
	log_event(LOG_ERR, &f, "a listening socket was shut down, and nobody can connect to it any "
		"more; smtpd ends, to be started anew");
	p->deaf = true;
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
	if (r == 0 && c.submission.recipient_map != NULL)
		r = recipient_map_load(c.submission.recipient_map, &c.submission.map, &why);
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
	for (int i = 0; i < p->crew.places; i++) {
		struct worker *w = &p->crew.workers[i];
		if (w->state == NOBODY)
			continue;
		if (w->fd < 0) { /* nobody would know it; one that is ending does not notice */
			kill(w->pid, SIGKILL);
			continue;
		}
		uint64_t network = crew_network(&p->crew, w);
		buf_printf(b, "%ld:%d:%u:%u ", (long)w->pid, w->fd, (unsigned)(network >> 32),
			(unsigned)network);
	}
	buf_add(b, (struct span){ "", 1 });
}

/* The signals that we ignore are ignored by it, too. */
static void
become_next(struct pool *p, const char *program)
{
	files_restore();
	execve(program, p->terms->argv, environ);
	int err = errno;
	files_again();
	errno = err;
}

/* Comes back only if that is impossible; then all goes on. */
static void
hand_over(struct pool *p, const char *why)
{
	enum { WORD = 48 };
	struct log_fields f = { .event = "renewed" };
	const char *program = stamp_program(p->terms->stamps);
	auto_buf list = buf_new((size_t)p->crew.places * WORD + 1);
	if (program == NULL) {
		log_event(LOG_ERR, &f, "%s, and without /proc no smtpd can take over; "
			"what was in force stays so until a restart", why);
		return;
	}
	log_event(LOG_INFO, &f, "%s: a new smtpd takes over", why);
	crew_retire_all(&p->crew);
	list_workers(p, &list);
	crew_share(&p->crew, true);
	if (list.err == 0 && setenv(HEIRLOOM, list.p, 1) == 0 &&
		listen_hand_over(p->terms->listeners) == 0)
		become_next(p, program);
	log_event(LOG_ERR, &f, "%s: %s; what was in force stays so", program, strerror(errno));
	unsetenv(HEIRLOOM);
	listen_ready(p->terms->listeners);
	crew_share(&p->crew, false);
}

/* A worker says that something changed. It may be known by now. */
static void
look_for_changes(struct pool *p)
{
	const char *changed = p->end == GOING_ON ? stamp_changed(p->terms->stamps) : NULL;
	if (changed == NULL)
		return;
	auto_buf why = buf_new(LIMIT_COMMAND);
	buf_printf(&why, "%s has changed", changed);
	buf_add(&why, (struct span){ "", 1 });
	stamp_renew(p->terms->stamps); /* before it is read: what changes meanwhile is seen again */
	if (can_load(p))
		hand_over(p, why.err == 0 ? why.p : "something has changed");
	crew_retire_all(&p->crew); /* which know it as it was */
}

/*
 * Workers are forks of this process and have its canary and its layout of memory, so that a client
 * who makes one crash may guess on at the next. After a crash an smtpd takes over whose are others.
 * Crashes come as often as a client likes, so that happens once in a while only; before it, there
 * are no workers from this layout any more when too many of them have crashed. When to look again
 * (clock.h).
 */
static int64_t
renew_layout(struct pool *p, int64_t now)
{
	int64_t soonest = p->laid_out + LAYOUT;
	if (p->crew.crashes == 0 || p->end != GOING_ON)
		return CLOCK_NEVER;
	if (now < soonest) {
		if (p->crew.crashes >= CRASHES && p->crew.pause < soonest) {
			p->crew.pause = soonest;
			crew_retire_all(&p->crew);
		}
		return soonest;
	}
	p->crew.crashes = 0;
	p->laid_out = now;
	if (can_load(p))
		hand_over(p, "a session has crashed");
	return CLOCK_NEVER;
}

bool
pool_takes_over(void)
{
	return getenv(HEIRLOOM) != NULL;
}

static struct span
heirlooms(void)
{
	return span_of(getenv(HEIRLOOM) != NULL ? getenv(HEIRLOOM) : "");
}

/* Those of the smtpd before: each ends behind its client. */
static void
inherit(struct pool *p)
{
	struct span list = heirlooms();
	for (struct span word; (word = span_word(&list, " ")).n > 0;) {
		int64_t pid = span_number(span_cut(&word, ':'));
		int64_t fd = span_number(span_cut(&word, ':'));
		int64_t high = span_number(span_cut(&word, ':')), low = span_number(word);
		if (pid > 0 && fd >= 0 && high >= 0 && low >= 0)
			crew_adopt(&p->crew, (pid_t)pid, (int)fd,
				(uint64_t)high << 32 | (uint64_t)low);
	}
	unsetenv(HEIRLOOM);
}

/* Workers that are forked now have the stream to a syslogd that was restarted; others end. */
static void
follow_log(struct pool *p)
{
	unsigned now = log_streams();
	if (now != p->streams)
		crew_retire_all(&p->crew);
	p->streams = now;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void
begin_client(struct pool *p, struct worker *w)
{
	/* What one of the smtpd before said in the meantime was not heard yet. */
	if (++w->begun > p->conf->busy.reuse + (w->inherited ? ODD : 0)) {
		crew_kill(w, "it takes more connections than one may");
		return;
	}
	budget_renew(&w->attended.budget, p->conf);
	w->attended.warned = false;
	p->crew.failures = 0;
	if (w->state == WAITING || w->state == LEAVING)
		crew_become(&p->crew, w, BUSY);
	if (p->end == IDLE)
		p->end = GOING_ON;
}

static void
end_client(struct pool *p, struct worker *w)
{
	p->crew.last = clock_ms();
	crew_become(&p->crew, w, w->inherited ? LEAVING : WAITING);
}

/* One that was taken over may not keep the monitor from others by nonsense. */
static void
bear(struct worker *w)
{
	if (++w->odd == ODD)
		crew_kill(w, "it asks for what it may not");
}

/* What a worker says of itself. False: that is odd. */
static bool
hear(struct pool *p, struct worker *w, enum request_kind kind)
{
	if (kind == REQUEST_CHANGED) {
		look_for_changes(p);
		return false; /* it ends, and says it once */
	}
	if ((kind == REQUEST_FREE) != (w->state == BUSY))
		return false; /* one of the smtpd before may do so once (ODD) */
	if (kind == REQUEST_CLIENT)
		begin_client(p, w);
	else
		end_client(p, w);
	return true;
}

/* Takes one request of a worker. */
static void
serve(struct pool *p, struct worker *w)
{
	struct request r;
	int fds[REQUEST_FDS], n;
	if (w->fd < 0)
		return;
	int got = request_receive(w->fd, &r, fds, &n);
	if (got <= 0 && got != -EBADMSG) {
		crew_hang_up(&p->crew, w);
		return;
	}
	bool own = got > 0 && n == 0 && (r.kind == REQUEST_CLIENT || r.kind == REQUEST_FREE ||
		r.kind == REQUEST_CHANGED);
	bool fine = got > 0 && (own ? hear(p, w, r.kind)
				    : monitor_answer(p->terms->launcher, &w->attended, &r, fds, n));
	if (!fine)
		bear(w);
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
	struct crew *c = &p->crew;
	bool woken = c->left && started == 0 && somebody_waits(p);
	c->left = false;
	if (!woken)
		return;
	if (c->count[REFUSING] > 0)
		crew_retire_some(c, 1, REFUSING); /* and there will be another one */
	else if (c->count[BUSY] + c->count[WAITING] < p->conf->busy.sessions)
		(void)crew_start(c, POOL_WORKER);
	else
		crew_retire_some(c, 1, WAITING); /* the same */
}

/* As many workers as there should be. When to look again (clock.h). */
static int64_t
adjust(struct pool *p, int64_t now)
{
	struct plan_counts counts = { p->crew.count[WAITING], p->crew.count[BUSY] };
	if (p->end != GOING_ON)
		return CLOCK_NEVER;
	struct plan plan = plan_make(&p->pace, (int)p->conf->busy.sessions,
		(int)p->conf->busy.spare, counts, now);
	if (now < p->crew.pause)
		return clock_earlier(plan.next, p->crew.pause);
	for (int i = 0; i < plan.start; i++)
		if (!crew_start(&p->crew, POOL_WORKER))
			return p->crew.pause;
	wake_another(p, plan.start);
	crew_retire_some(&p->crew, plan.retire, WAITING);
	if (plan.refuser && p->crew.count[REFUSING] == 0 && !crew_start(&p->crew, POOL_REFUSER))
		return p->crew.pause;
	if (!plan.refuser)
		crew_retire_some(&p->crew, p->crew.count[REFUSING], REFUSING);
	return plan.next;
}

/* Nobody came for a while: then there is no reason to be here. When to look again (clock.h). */
static int64_t
rest(struct pool *p, int64_t now)
{
	int64_t over = p->crew.last + p->conf->busy.idle * 1000;
	if (p->terms->stays || p->end != GOING_ON || p->crew.count[BUSY] > 0)
		return CLOCK_NEVER;
	if (now < over)
		return over;
	p->end = IDLE;
	crew_retire_all(&p->crew);
	return CLOCK_NEVER;
}

/*
 * Sessions say 421 to their clients; those that wait end at once. When to look again, for those
 * that do neither (clock.h).
 */
static int64_t
stop(struct pool *p, int64_t now)
{
	if (!*p->terms->stop && !p->deaf)
		return CLOCK_NEVER;
	if (p->end == STOPPING) {
		if (now < p->stopped)
			return p->stopped;
		crew_kill_all(&p->crew);
		return clock_deadline(STOP);
	}
	p->end = STOPPING;
	p->stopped = clock_deadline(STOP);
	notify_say("STOPPING=1\nSTATUS=%d sessions finish their commands", p->crew.count[BUSY]);
	crew_retire_all(&p->crew); /* which they look for before each client; signals may wait */
	for (int i = 0; i < p->crew.places; i++)
		if (p->crew.workers[i].state != NOBODY)
			kill(p->crew.workers[i].pid, SIGTERM);
	return p->stopped;
}

/* Tells systemd that it lives. When it is due again (clock.h). */
static int64_t
give_sign(struct pool *p, int64_t now)
{
	if (p->watchdog == 0)
		return CLOCK_NEVER;
	if (now >= p->sign) {
		p->sign = now + p->watchdog;
		notify_say("WATCHDOG=1\nSTATUS=%d sessions, %d wait for clients",
			p->crew.count[BUSY], p->crew.count[WAITING]);
	}
	return p->sign;
}

/*
 * A wait that finds something to do at once lets no signal in, and while workers are busy there
 * always is something.
 */
static void
let_signals_in(void)
{
	sigset_t none, before;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void
wait_for_requests(struct pool *p, int64_t until)
{
	struct epoll_event events[EVENTS];
	sigset_t none;
	sigemptyset(&none);
	int n = epoll_pwait(p->crew.epoll, events, EVENTS, clock_left(until), &none);
	for (int i = 0; i < n; i++)
		if (events[i].data.u32 == STANDBY)
			standby_attend(p->terms->launcher->standby);
		else
			serve(p, &p->crew.workers[events[i].data.u32]);
	if (n > 0)
		let_signals_in();
	if (child_ended) {
		reap(p);
		look_at_listeners(p);
	}
	follow_log(p);
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

/* 0 or -errno. */
static int
prepare(struct pool *p)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = STANDBY };
	int standby = standby_fd(p->terms->launcher->standby);
	int r = crew_open(&p->crew, (int)span_words(heirlooms()));
	if (r == 0 && epoll_ctl(p->crew.epoll, EPOLL_CTL_ADD, standby, &e) < 0)
		r = -errno;
	return r;
}

int
pool_run(const struct pool_terms *t)
{
	struct pool pool = { .terms = t, .conf = t->launcher->conf,
		.crew = { .conf = t->launcher->conf, .work = t->work, .ctx = t->ctx } };
	struct pool *p = &pool;
	struct log_fields f = { .event = "failed" };
	if (prepare(p) < 0) {
		log_event(LOG_ERR, &f, "no memory for %d sessions", p->crew.places);
		return EX_TEMPFAIL;
	}
	p->laid_out = clock_ms();
	catch_children();
	inherit(p);
	p->watchdog = notify_watchdog();
	(void)adjust(p, clock_ms());
	notify_say("READY=1\nSTATUS=%d sessions wait for clients", p->crew.count[WAITING]);
	while (p->end == GOING_ON || crew_alive(&p->crew) > 0) {
		int64_t now = clock_ms();
		int64_t until = stop(p, now);
		until = clock_earlier(until, renew_layout(p, now));
		until = clock_earlier(until, adjust(p, now));
		if (p->end == GOING_ON)
			until = clock_earlier(until, standby_adjust(t->launcher->standby, now));
		until = clock_earlier(until, rest(p, now));
		until = clock_earlier(until, give_sign(p, now));
		until = clock_earlier(until, p->crew.rounds);
		wait_for_requests(p, until);
		crew_make_rounds(&p->crew, clock_ms());
	}
	crew_close(&p->crew);
	return p->deaf ? EX_TEMPFAIL : EXIT_SUCCESS;
}

#include "process/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "process/files.h"
#include "process/log.h"
#include "process/plan.h"
#include "process/stdfds.h"

enum {
	/* Above all that a worker has of ours: sockets, spool, log. Those of others lie above. */
	SLOT = 100,
	/* ms; one that waits is replaced after so long: what was taken over does not stay. */
	LIFE = 3600 * 1000,
	/* ms; beyond the time of a session, for its end. */
	GRACE = 60 * 1000,
	/* ms; for one that was told to end and has no client. One that was taken over may stay, and
	 * then nobody would take clients when all are to end. */
	FAREWELL = 5 * 1000,
	/* ms; how often those that are too long at it are looked for. */
	ROUNDS = 60 * 1000,
};

/* ---- the table ------------------------------------------------------------------------------ */

void
crew_become(struct crew *c, struct worker *w, enum worker_state state)
{
	c->count[w->state]--;
	c->count[state]++;
	w->state = state;
	w->since = clock_ms();
}

static struct worker *
find_pid(struct crew *c, pid_t pid)
{
	for (int i = 0; i < c->places; i++)
		if (c->workers[i].state != NOBODY && c->workers[i].pid == pid)
			return &c->workers[i];
	return NULL;
}

static struct worker *
find_free(struct crew *c)
{
	for (int i = 0; i < c->places; i++)
		if (c->workers[i].state == NOBODY)
			return &c->workers[i];
	return NULL;
}

/* ---- their beginning and end ---------------------------------------------------------------- */

/* One that cannot even begin is not started again and again without a pause. */
static void
note_failure(struct crew *c)
{
	c->failures++;
	c->pause = clock_ms() + plan_pause(c->failures);
}

/*
 * In the child. What the pool has open is closed to it: with our end of another's socket it could
 * take what that one asks for.
 */
static _Noreturn void
be_worker(struct crew *c, int place, int requests, enum pool_role role)
{
	const struct source own = { .all = c->sources, .place = place };
	signal(SIGCHLD, SIG_DFL);
	close(c->epoll);
	dup3(requests, c->slot, O_CLOEXEC);
	stdfds_close_from(c->slot + 1);
	_exit(c->work(c->ctx, c->slot, role, &own));
}

/* Two ends, above what a worker keeps. 0 or -errno. */
static int
make_pair(const struct crew *c, int pair[2])
{
	int low[2];
	int r = request_pair(low);
	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		pair[i] = fcntl(low[i], F_DUPFD_CLOEXEC, c->slot + 1);
		r = pair[i] < 0 ? -errno : r;
		close(low[i]);
	}
	for (int i = 0; i < 2 && r < 0; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	return r;
}

static int
listen_to(struct crew *c, struct worker *w)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)(w - c->workers) };
	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, w->fd, &e) < 0 ? -errno : 0;
}

static void
enter(struct crew *c, struct worker *w, pid_t pid, int fd, enum worker_state state)
{
	*w = (struct worker){ .pid = pid, .fd = fd, .born = clock_ms() };
	budget_init(&w->attended.budget, c->conf);
	crew_become(c, w, state);
	if (listen_to(c, w) < 0)
		kill(pid, SIGTERM);
}

/* False: it cannot be done now. */
bool
crew_start(struct crew *c, enum pool_role role)
{
	struct log_fields f = { .event = "launch" };
	struct worker *w = find_free(c);
	int pair[2];
	int r = w == NULL ? -ENOSPC : make_pair(c, pair);
	if (r == 0) {
		int place = (int)(w - c->workers);
		sources_set(&c->sources, place, SOURCES_NOBODY);
		pid_t pid = fork();
		if (pid == 0)
			be_worker(c, place, pair[1], role);
		close(pair[1]);
		if (pid > 0) {
			enter(c, w, pid, pair[0], role == POOL_REFUSER ? REFUSING : WAITING);
			return true;
		}
		r = -errno;
		close(pair[0]);
	}
	if (c->failures == 0)
		log_event(LOG_ERR, &f, "cannot start a session: %s; trying again", strerror(-r));
	note_failure(c);
	return false;
}

void
crew_adopt(struct crew *c, pid_t pid, int fd, uint64_t network)
{
	struct worker *w = find_free(c);
	if (w == NULL || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		close(fd); /* which it takes for the end of its monitor */
		return;
	}
	sources_set(&c->sources, (int)(w - c->workers), network);
	enter(c, w, pid, fd, BUSY);
	w->inherited = true;
}

uint64_t
crew_network(const struct crew *c, const struct worker *w)
{
	return sources_get(&c->sources, (int)(w - c->workers));
}

void
crew_share(struct crew *c, bool next)
{
	for (int i = 0; i < c->places; i++)
		if (c->workers[i].state != NOBODY && c->workers[i].fd >= 0)
			(void)fcntl(c->workers[i].fd, F_SETFD, next ? 0 : FD_CLOEXEC);
}

/* That something comes is all that it looks for. */
static void
retire(struct crew *c, struct worker *w)
{
	(void)send(w->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (w->state != BUSY)
		crew_become(c, w, LEAVING);
	c->rounds = clock_earlier(c->rounds, clock_ms() + FAREWELL);
}

void
crew_retire_all(struct crew *c)
{
	for (int i = 0; i < c->places; i++) {
		struct worker *w = &c->workers[i];
		if (w->fd >= 0 && w->state != NOBODY && w->state != LEAVING)
			retire(c, w);
	}
}

void
crew_retire_some(struct crew *c, int n, enum worker_state state)
{
	for (int i = c->places - 1; i >= 0 && n > 0; i--)
		if (c->workers[i].state == state && c->workers[i].fd >= 0) {
			retire(c, &c->workers[i]);
			n--;
		}
}

void
crew_hang_up(struct crew *c, struct worker *w)
{
	if (w->fd >= 0) {
		/* A child that was just forked may have it too, and it would stay in the set. */
		(void)epoll_ctl(c->epoll, EPOLL_CTL_DEL, w->fd, NULL);
		close(w->fd);
	}
	w->fd = -1;
	w->silent = clock_ms();
	c->rounds = clock_earlier(c->rounds, w->silent + FAREWELL);
}

/* Was it the process that did wrong? Others kill too, when memory is short. */
static bool
is_fault(int sig)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS };
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (faults[i] == sig)
			return true;
	return false;
}

bool
crew_bury(struct crew *c, pid_t pid, int status)
{
	struct log_fields f = { .event = "crashed" };
	static const char *const doing[] = { [WAITING] = "waited", [BUSY] = "had a client",
		[LEAVING] = "was to end", [REFUSING] = "turned clients away" };
	struct worker *w = find_pid(c, pid);
	if (w == NULL)
		return false;
	if (WIFSIGNALED(status))
		log_event(LOG_ERR, &f, "session %ld ended by signal %d; it %s", (long)w->pid,
			WTERMSIG(status), doing[w->state]);
	if (WIFSIGNALED(status) && is_fault(WTERMSIG(status)))
		c->crashes++;
	/* Nobody told it to. */
	if (w->begun == 0 && (w->state == WAITING || w->state == REFUSING))
		note_failure(c);
	if (w->state == BUSY)
		c->last = clock_ms();
	else
		c->left = true;
	crew_hang_up(c, w);
	sources_set(&c->sources, (int)(w - c->workers), SOURCES_NOBODY);
	crew_become(c, w, NOBODY);
	return true;
}

void
crew_kill(struct worker *w, const char *why)
{
	struct log_fields f = { .event = "killed" };
	log_event(LOG_ERR, &f, "session %ld is killed: %s", (long)w->pid, why);
	kill(w->pid, SIGKILL);
}

void
crew_kill_all(struct crew *c)
{
	for (int i = 0; i < c->places; i++)
		if (c->workers[i].state != NOBODY)
			crew_kill(&c->workers[i], "it was told to stop and did not");
}

/* Those that are at it for longer than there can be a reason for. */
void
crew_make_rounds(struct crew *c, int64_t now)
{
	int64_t session = c->conf->receive.timeout_session * 1000 + GRACE;
	if (now < c->rounds)
		return;
	c->rounds = now + ROUNDS;
	for (int i = 0; i < c->places; i++) {
		struct worker *w = &c->workers[i];
		if (w->state == NOBODY)
			continue;
		if (w->fd < 0 && now - w->silent >= FAREWELL)
			crew_kill(w, "it let go of its monitor and did not end");
		else if (w->state == BUSY && now - w->since > session)
			crew_kill(w, "it has one client for longer than a session may last");
		else if (w->state == LEAVING && now - w->since >= FAREWELL)
			crew_kill(w, "it was told to end and did not");
		else if (w->state == WAITING && now - w->born > LIFE)
			retire(c, w);
	}
}

int
crew_open(struct crew *c, int heirs)
{
	/* Besides those at once: they may be on their way out, and those before us too. */
	c->places = 2 * (int)c->conf->busy.sessions + PLAN_BATCH + heirs;
	c->workers = calloc((size_t)c->places, sizeof(c->workers[0]));
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->slot = fcntl(c->epoll, F_DUPFD_CLOEXEC, SLOT);
	if (c->workers == NULL || c->epoll < 0 || c->slot < 0 ||
		sources_open(&c->sources, c->places) < 0)
		return -ENOMEM;
	c->count[NOBODY] = c->places;
	c->last = clock_ms();
	c->rounds = c->last + ROUNDS;
	files_reserve(c->places);
	return 0;
}

void
crew_close(struct crew *c)
{
	sources_close(&c->sources);
	close(c->slot);
	close(c->epoll);
	free(c->workers);
}

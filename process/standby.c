#include "process/standby.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/tlsinfo.h"
#include "process/files.h"
#include "process/log.h"
#include "process/plan.h"
#include "process/stamp.h"
#include "process/stock.h"

enum {
	/* Descriptors stand above those that a session keeps (crew.c). */
	ABOVE = 128,
	EVENTS = 64,
	/* ms; after so long one gets no more clients: what was taken over does not stay, and who
	 * follows finds a key of tickets that is too old (ticket.h). */
	LIFE = 3600 * 1000,
	/* ms; for its beginning and its end. */
	GRACE = 60 * 1000,
	ROUNDS = 60 * 1000,
};

enum state {
	NOBODY,
	COMING,  /* it reads its files; it may have been handed a client, and is SERVING then */
	WAITING,
	SERVING,
	LEAVING, /* it gets no more, and ends */
	STATES,
};

/* The two kinds. */
enum { TLS, AUTH, KINDS };

static const struct {
	enum request_kind request;
	const char *name;
	int descriptors;
} kinds[KINDS] = { [TLS] = { REQUEST_TLS, "tls", 2 }, [AUTH] = { REQUEST_AUTH, "auth", 1 } };

struct helper {
	enum state state;
	int kind;
	pid_t pid;
	int fd;                /* -1: closed */
	int64_t since;         /* in this state (clock.h) */
	int64_t born;
	int64_t begun;         /* clients */
	bool early;            /* SERVING, and did not say yet that it has begun */
	bool stale;            /* made from what has changed since */
	struct budget *budget; /* of the session that it serves, or NULL */
};

struct side {
	const char *path;
	bool usable; /* all files can be looked at */
	struct stamps stamps;
	struct stock stock;
	int count[STATES];
	int failures;  /* that ended, one after the other, before they were ready */
	int64_t pause; /* none is started beforehand until then (clock.h) */
};

struct standby {
	const struct launcher *launcher;
	int epoll;
	int places, high; /* in the table, and how many of them were ever in use */
	struct helper *helpers;
	struct side side[KINDS];
	int64_t rounds; /* when those that are too long at it are looked for */
};

/* ---- files ---------------------------------------------------------------------------------- */

/* A path, which may be a credential. */
static bool
stamp_path(struct stamps *s, struct span value)
{
	auto_buf why = buf_new(LIMIT_COMMAND);
	char *path = strndup(value.p, value.n);
	bool fine = path != NULL && credential_path(&path, &why) == 0 &&
		stamp_add(s, path, STAMP_FILE);
	free(path);
	return fine;
}

/* Each of a list. */
static bool
stamp_list(struct stamps *s, const char *list)
{
	bool all = true;
	struct span words = span_of(list != NULL ? list : "");
	for (struct span word; all && (word = span_word(&words, " \t,")).n > 0;)
		all = stamp_path(s, word);
	return all;
}

static bool
stamp_tls(struct stamps *s, const struct conf *c)
{
	char ticket[PATH_MAX];
	int n = snprintf(ticket, sizeof(ticket), "%s/" TLS_TICKET_FILE, c->who.runtime);
	return n > 0 && (size_t)n < sizeof(ticket) && stamp_add(s, c->who.tls_path, STAMP_FILE) &&
		stamp_list(s, c->tls.certificate) && stamp_list(s, c->tls.key) &&
		stamp_add(s, c->tls.client_ca, STAMP_FILE) && stamp_add(s, ticket, STAMP_FILE);
}

static bool
stamp_auth(struct stamps *s, const struct conf *c)
{
	return c->auth.saslauthd == NULL && c->auth.dovecot == NULL &&
		stamp_add(s, c->who.auth_path, STAMP_FILE) &&
		(c->auth.users == NULL || stamp_path(s, span_of(c->auth.users)));
}

/* ---- the table ------------------------------------------------------------------------------ */

static struct side *
side_of(struct standby *s, const struct helper *h)
{
	return &s->side[h->kind];
}

static void
become(struct standby *s, struct helper *h, enum state state)
{
	struct side *side = side_of(s, h);
	if (h->state != NOBODY)
		side->count[h->state]--;
	if (state != NOBODY)
		side->count[state]++;
	h->state = state;
	h->since = clock_ms();
}

static struct helper *
find(struct standby *s, int kind, enum state state)
{
	for (int i = 0; i < s->high; i++)
		if (s->helpers[i].state == state && s->helpers[i].kind == kind)
			return &s->helpers[i];
	return NULL;
}

static struct helper *
find_free(struct standby *s)
{
	for (int i = 0; i < s->high; i++)
		if (s->helpers[i].state == NOBODY)
			return &s->helpers[i];
	return s->high < s->places ? &s->helpers[s->high++] : NULL;
}

static struct helper *
find_pid(struct standby *s, pid_t pid)
{
	for (int i = 0; i < s->high; i++)
		if (s->helpers[i].state != NOBODY && s->helpers[i].pid == pid)
			return &s->helpers[i];
	return NULL;
}

/* ---- their beginning and end ---------------------------------------------------------------- */

/* It gets no more clients, and ends: at once, or behind the one that it has. */
static void
dismiss(struct standby *s, struct helper *h)
{
	if (h->fd >= 0) {
		(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, h->fd, NULL);
		close(h->fd);
	}
	h->fd = -1;
	h->early = false;
	become(s, h, LEAVING);
}

/* One that cannot even begin is not started beforehand again and again without a pause. */
static void
note_failure(struct side *side)
{
	side->failures++;
	side->pause = clock_ms() + plan_pause(side->failures);
}

static void
dismiss_some(struct standby *s, int kind, int n, enum state state)
{
	for (int i = s->high - 1; i >= 0 && n > 0; i--) {
		struct helper *h = &s->helpers[i];
		if (h->state == state && h->kind == kind) {
			dismiss(s, h);
			n--;
		}
	}
}

/* Two ends of a packet socket; the first, ours, stands above what a session keeps. */
static int
make_pair(int pair[2])
{
	int low[2];
	int r = request_pair(low);
	if (r < 0)
		return r;
	pair[1] = low[1];
	pair[0] = fcntl(low[0], F_DUPFD_CLOEXEC, ABOVE);
	close(low[0]);
	if (pair[0] >= 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0)
		return 0;
	r = -errno;
	if (pair[0] >= 0)
		close(pair[0]);
	close(pair[1]);
	return r;
}

static int
listen_to(const struct standby *s, const struct helper *h)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)(h - s->helpers) };
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, h->fd, &e) < 0 ? -errno : 0;
}

static int
begin(struct standby *s, int kind, struct helper **out)
{
	struct helper *h = find_free(s);
	int pair[2];
	int r = h != NULL ? make_pair(pair) : -ENOSPC;
	if (r < 0)
		return r;
	pid_t pid = launch_waiting(s->launcher, kinds[kind].name, s->side[kind].path, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return pid;
	}
	*h = (struct helper){ .kind = kind, .pid = pid, .fd = pair[0], .born = clock_ms() };
	become(s, h, COMING);
	*out = h;
	if (listen_to(s, h) == 0)
		return 0;
	dismiss(s, h);
	return -ENOMEM;
}

/* 0, and *out has begun; or -errno. */
static int
start(struct standby *s, int kind, struct helper **out)
{
	int r = begin(s, kind, out);
	if (r < 0)
		note_failure(&s->side[kind]);
	return r;
}

/* ---- what they say -------------------------------------------------------------------------- */

static bool
gets_more(const struct standby *s, const struct helper *h)
{
	return !h->stale && h->begun < s->launcher->conf->busy.reuse &&
		clock_ms() - h->born < LIFE;
}

/* Its client has gone. */
static void
end_client(struct standby *s, struct helper *h)
{
	if (h->budget != NULL)
		budget_ended(h->budget, h->pid);
	h->budget = NULL;
	if (gets_more(s, h))
		become(s, h, WAITING);
	else
		dismiss(s, h);
}

static void
kill_liar(struct standby *s, struct helper *h, const char *why)
{
	struct log_fields f = { .event = "killed" };
	log_event(LOG_ERR, &f, "%s %ld is killed: %s", kinds[h->kind].name, (long)h->pid, why);
	kill(h->pid, SIGKILL);
	dismiss(s, h);
}

/* It says that it is ready. */
static void
take_word(struct standby *s, struct helper *h)
{
	if (h->state == COMING || h->early)
		side_of(s, h)->failures = 0;
	if (h->state == COMING)
		become(s, h, WAITING);
	else if (h->early)
		h->early = false;
	else if (h->state == SERVING)
		end_client(s, h);
	else
		kill_liar(s, h, "it says that it is ready, and had no client");
}

static void
hear(struct standby *s, struct helper *h)
{
	char word;
	ssize_t n = h->fd >= 0 ? recv(h->fd, &word, 1, 0) : -1;
	if (n == 1) {
		take_word(s, h);
	} else if (n == 0) {
		if (h->state == COMING || h->early)
			note_failure(side_of(s, h));
		dismiss(s, h); /* it ends */
	}
}

void
standby_attend(struct standby *s)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll, events, EVENTS, 0);
	for (int i = 0; i < n; i++)
		hear(s, &s->helpers[events[i].data.u32]);
}

void
standby_ended(struct standby *s, pid_t pid, int status)
{
	struct log_fields f = { .event = "crashed" };
	struct helper *h = find_pid(s, pid);
	if (h == NULL)
		return;
	if (WIFSIGNALED(status))
		log_event(LOG_ERR, &f, "%s %ld ended by signal %d", kinds[h->kind].name, (long)pid,
			WTERMSIG(status));
	if (h->state == COMING || h->early)
		note_failure(side_of(s, h));
	dismiss(s, h);
	become(s, h, NOBODY);
}

/* ---- clients -------------------------------------------------------------------------------- */

/* What they were made from has changed: they finish, and others come. */
static void
look_for_changes(struct standby *s, int kind)
{
	struct side *side = &s->side[kind];
	if (stamp_changed(&side->stamps) == NULL)
		return;
	stamp_renew(&side->stamps); /* before any of those that come reads them */
	dismiss_some(s, kind, s->high, WAITING);
	dismiss_some(s, kind, s->high, COMING);
	for (int i = 0; i < s->high; i++)
		if (s->helpers[i].kind == kind)
			s->helpers[i].stale = true;
}

/* One that waits, or soon does; or NULL. */
static struct helper *
find_ready(struct standby *s, int kind)
{
	struct helper *h = find(s, kind, WAITING);
	return h != NULL ? h : find(s, kind, COMING);
}

/* False: it has ended, unnoticed yet. */
static bool
pass_on(struct standby *s, struct helper *h, const int *fds, int n, struct budget *budget)
{
	const struct request r = { .kind = kinds[h->kind].request };
	if (request_send(h->fd, &r, fds, n) < 0) {
		if (h->state == COMING)
			note_failure(side_of(s, h));
		dismiss(s, h);
		return false;
	}
	h->early = h->state == COMING;
	h->begun++;
	h->budget = budget;
	become(s, h, SERVING);
	return true;
}

/* -1: of this kind none wait. */
static int
kind_of(const struct standby *s, enum request_kind request, int n)
{
	for (int i = 0; i < KINDS; i++)
		if (kinds[i].request == request && kinds[i].descriptors == n && s->side[i].usable)
			return i;
	return -1;
}

pid_t
standby_hand(struct standby *s, enum request_kind kind, const int *fds, int n,
	struct budget *budget)
{
	int k = kind_of(s, kind, n);
	if (k < 0)
		return 0;
	look_for_changes(s, k);
	stock_taken(&s->side[k].stock, s->side[k].count[SERVING] + 1, clock_ms());
	struct helper *h;
	while ((h = find_ready(s, k)) != NULL)
		if (pass_on(s, h, fds, n, budget))
			return h->pid;
	int r = start(s, k, &h);
	if (r == -ENOSPC || r == -EMFILE || r == -ENFILE)
		return 0;
	if (r < 0)
		return r;
	(void)pass_on(s, h, fds, n, budget); /* it may have ended: then there is none */
	return h->pid;
}

/* ---- how many ------------------------------------------------------------------------------- */

/* Those that are at it for longer than there can be a reason for. */
static void
make_rounds(struct standby *s, int64_t now)
{
	const struct conf_receive *c = &s->launcher->conf->receive;
	int64_t most = (c->timeout_session + c->timeout_command) * 1000 + GRACE;
	if (now < s->rounds)
		return;
	s->rounds = now + ROUNDS;
	for (int i = 0; i < s->high; i++) {
		struct helper *h = &s->helpers[i];
		if (h->state == WAITING && !gets_more(s, h))
			dismiss(s, h);
		else if (h->state == SERVING && now - h->since > most)
			kill_liar(s, h, "it has one client for longer than a session may last");
		else if ((h->state == COMING || h->state == LEAVING) && now - h->since > most)
			kill_liar(s, h, "it does not get on");
	}
}

static int64_t
adjust(struct standby *s, int kind, int64_t now)
{
	struct side *side = &s->side[kind];
	struct helper *h;
	struct stock_counts counts = { side->count[WAITING] + side->count[COMING],
		side->count[SERVING] };
	struct stock_plan plan = stock_plan(&side->stock, counts,
		s->launcher->conf->busy.idle * 1000, now);
	dismiss_some(s, kind, plan.retire, WAITING);
	if (plan.start == 0)
		return plan.next;
	if (now < side->pause)
		return clock_earlier(plan.next > now ? plan.next : CLOCK_NEVER, side->pause);
	return start(s, kind, &h) == 0 ? plan.next : side->pause;
}

int64_t
standby_adjust(struct standby *s, int64_t now)
{
	int64_t next = CLOCK_NEVER;
	bool any = false;
	make_rounds(s, now);
	for (int k = 0; k < KINDS; k++) {
		next = clock_earlier(next, adjust(s, k, now));
		for (int i = NOBODY + 1; i < STATES; i++)
			any = any || s->side[k].count[i] > 0;
	}
	return any ? clock_earlier(next, s->rounds) : next;
}

/* ---- beginning ------------------------------------------------------------------------------ */

struct standby *
standby_open(const struct launcher *l)
{
	struct standby *s = calloc(1, sizeof(*s));
	int low = epoll_create1(EPOLL_CLOEXEC);
	if (s == NULL || low < 0) {
		free(s);
		return NULL;
	}
	const struct conf *c = l->conf;
	/* One of each kind for a session, and besides those that come and go. */
	s->launcher = l;
	s->places = KINDS * (int)c->busy.sessions + PLAN_BATCH;
	s->helpers = calloc((size_t)s->places, sizeof(s->helpers[0]));
	files_reserve(s->places);
	s->epoll = fcntl(low, F_DUPFD_CLOEXEC, ABOVE);
	close(low);
	s->side[TLS].path = c->who.tls_path;
	s->side[AUTH].path = c->who.auth_path;
	s->side[TLS].usable = stamp_tls(&s->side[TLS].stamps, c);
	s->side[AUTH].usable = stamp_auth(&s->side[AUTH].stamps, c);
	if (s->helpers != NULL && s->epoll >= 0)
		return s;
	s->places = 0;
	standby_close(s);
	return NULL;
}

void
standby_close(struct standby *s)
{
	for (int i = 0; i < s->places; i++) {
		if (s->helpers[i].state != NOBODY && s->helpers[i].fd >= 0)
			close(s->helpers[i].fd);
	}
	close(s->epoll);
	free(s->helpers);
	free(s);
}

int
standby_fd(const struct standby *s)
{
	return s->epoll;
}

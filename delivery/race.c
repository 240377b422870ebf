/*
 * A greeting is only looked at (MSG_PEEK), so that begin_link reads it as if there had been no
 * race; a refusal is a greeting too. A host that has not greeted when the race ends gets no QUIT.
 */
#include "delivery/race.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delivery/outage.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/wait.h"
#include "sending/dial.h"

enum {
	STAGGER = 250,          /* ms between two of equal preference (RFC 8305 section 5) */
	PATIENCE = 15000,       /* ms until a worse preference starts if better ones are silent */
	RUNNERS = 20,           /* started in one race, so that it ends (G5) */
	EXPLORE = 32,           /* one race in so many begins with another than the quickest */
	GREETING = 3,           /* octets that tell whether it is one */
};

struct runner {
	struct exchanger to;
	int64_t order;   /* among equals: the lowest first */
	bool doubtful;   /* it failed lately */
	bool slow;       /* it kept silent for so long that others were tried */
	bool lost;       /* its connection ended with nothing done */
	bool vain;       /* there was no talking to it */
	int fd;          /* -1: not running */
	void *place;     /* of the gate; NULL: none */
	bool connected;
	int64_t since;   /* ms, when it started */
	int64_t until;   /* ms, when it fails */
};

/* Hosts that failed lately come last; then by preference; then the quickest first. */
static int
compare(const void *pa, const void *pb)
{
	const struct runner *a = pa, *b = pb;
	if (a->doubtful != b->doubtful)
		return a->doubtful ? 1 : -1;
	if (a->to.preference != b->to.preference)
		return a->to.preference < b->to.preference ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/*
 * Now and then the second of the best starts first, or a host that has become quicker would never
 * be found.
 */
static void
explore(struct race *r)
{
	if (r->n < 2 || r->v[1].to.preference != r->v[0].to.preference || r->v[1].doubtful ||
		arc4random_uniform(EXPLORE) != 0)
		return;
	struct runner first = r->v[0];
	r->v[0] = r->v[1];
	r->v[1] = first;
}

/* The runners, in the order of starting but for those that are tried now and then. 0 or -ENOMEM. */
static int
line_up(struct race *r, const struct exchangers *x)
{
	r->v = calloc(x->n > 0 ? x->n : 1, sizeof(*r->v));
	if (r->v == NULL)
		return -ENOMEM;
	bool by_latency = r->conf->mx_order == MX_LATENCY;
	for (size_t i = 0; i < x->n; i++) {
		struct host_record h;
		hosts_recall(r->hosts, &x->v[i], &h);
		r->v[i] = (struct runner){ .to = x->v[i], .fd = -1,
			.order = by_latency ? h.latency : (int64_t)i, /* unknown, 0, is quick */
			.doubtful = h.failed != 0, .slow = h.latency >= PATIENCE };
	}
	r->n = x->n;
	qsort(r->v, r->n, sizeof(r->v[0]), compare);
	return 0;
}

int
race_begin(struct race *r, const struct conf_delivery *conf, const struct hosts *hosts,
	const struct race_gate *gate, const struct exchangers *x)
{
	*r = (struct race){ .conf = conf, .hosts = hosts, .gate = gate };
	if (line_up(r, x) < 0)
		return -ENOMEM;
	if (conf->mx_order == MX_LATENCY)
		explore(r);
	return 0;
}

int
race_order(const struct conf_delivery *conf, const struct hosts *hosts, struct exchangers *x)
{
	struct race r = { .conf = conf, .hosts = hosts };
	if (line_up(&r, x) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < x->n; i++)
		x->v[i] = r.v[i].to;
	free(r.v);
	return 0;
}

static void
stop(const struct race *r, struct runner *u, bool refused)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	if (u->place != NULL)
		r->gate->leave(r->gate->context, u->place, refused);
	u->place = NULL;
}

/* Is this error about our own network or process, and so about no host? */
static bool
is_ours(int err)
{
	static const int ours[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EINVAL, EACCES, EPERM,
		EAFNOSUPPORT, EADDRNOTAVAIL, ENETUNREACH, ENETDOWN };
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (ours[i] == err)
			return true;
	return false;
}

static void
give_up(const struct race *r, struct runner *u, const char *reason, bool refused, struct buf *why)
{
	char name[DIAL_NAME];
	dial_name(&u->to, name);
	buf_reset(why);
	buf_printf(why, "%s: %s: %s", name, u->connected ? "greeting" : "connect", reason);
	u->vain = true;
	stop(r, u, refused);
}

/* It is the host that has failed. */
static void
fail(const struct race *r, struct runner *u, const char *reason, bool refused, struct buf *why)
{
	give_up(r, u, reason, refused, why);
	if (!r->extra)
		hosts_mark(r->hosts, &u->to, HOST_FAILED);
}

static void
fail_by(const struct race *r, struct runner *u, int err, struct buf *why)
{
	if (is_ours(err))
		give_up(r, u, strerror(err), false, why);
	else
		fail(r, u, strerror(err), err == ECONNREFUSED, why);
}

static void
start(struct race *r, struct buf *why)
{
	struct runner *u = &r->v[r->started++];
	u->since = clock_ms();
	u->until = clock_deadline(r->conf->timeout_connect);
	if (r->gate != NULL && !u->to.socket &&
		(u->place = r->gate->enter(r->gate->context, &u->to)) == NULL) {
		r->full = u;
		return;
	}
	u->fd = dial_begin(&u->to, r->conf->source);
	if (u->fd < 0) {
		r->no_route += outage_is_error(u->fd);
		fail_by(r, u, -u->fd, why);
	}
}

/* The one that started last and is still running; NULL: none is. */
static const struct runner *
last_running(const struct race *r)
{
	for (size_t i = r->started; i > 0; i--)
		if (r->v[i - 1].fd >= 0)
			return &r->v[i - 1];
	return NULL;
}

/* Is this one worse than that one, if there is one? */
static bool
is_worse(const struct runner *u, const struct runner *than)
{
	return than != NULL && (u->to.preference > than->to.preference || u->doubtful);
}

/* When the next one starts, ms. */
static int64_t
next_start(const struct race *r)
{
	const struct runner *last = last_running(r);
	if (r->started == r->n || r->started >= RUNNERS || r->hurried)
		return CLOCK_NEVER;
	const struct runner *next = &r->v[r->started];
	if (is_worse(next, r->full))
		return CLOCK_NEVER;
	if (last == NULL)
		return 0;
	bool equal = last->to.preference == next->to.preference && last->doubtful == next->doubtful;
	return last->since + (equal || last->slow ? STAGGER : PATIENCE);
}

/* Is its greeting there, unread? */
static bool
has_greeted(const struct runner *u)
{
	char greeting[GREETING];
	return recv(u->fd, greeting, GREETING, MSG_PEEK) == GREETING; /* or it has not connected */
}

/* Looks at a runner for which poll has news. True: it greets. */
static bool
look(struct race *r, struct runner *u, struct buf *why)
{
	char greeting[GREETING];
	int err = 0;
	socklen_t len = sizeof(err);
	if (!u->connected) {
		if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0) {
			fail_by(r, u, err != 0 ? err : errno, why);
			return false;
		}
		const int enough = GREETING; /* octets for poll to wake us */
		(void)setsockopt(u->fd, SOL_SOCKET, SO_RCVLOWAT, &enough, sizeof(enough));
		u->connected = true;
		if (u->to.tls_first)
			return true;
		u->until = clock_deadline(r->conf->timeout_greeting);
		return false;
	}
	ssize_t n = recv(u->fd, greeting, GREETING, MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == GREETING)
		return true;
	fail(r, u, n < 0 ? strerror(errno) : "connection closed by the host", true, why);
	return false;
}

/* When the first runner fails, if nothing is heard of it, ms. */
static int64_t
next_end(const struct race *r)
{
	int64_t next = CLOCK_NEVER;
	for (size_t i = 0; i < r->started; i++)
		if (r->v[i].fd >= 0)
			next = clock_earlier(next, r->v[i].until);
	return next;
}

/* Runners that are late fail. */
static void
expire(struct race *r, struct buf *why)
{
	int64_t now = clock_ms();
	for (size_t i = 0; i < r->started; i++)
		if (r->v[i].fd >= 0 && r->v[i].until <= now)
			fail(r, &r->v[i], "timed out", false, why);
}

/* Nobody has any time left. */
static void
hurry(struct race *r)
{
	for (size_t i = 0; i < r->started; i++)
		r->v[i].until = 0;
	r->hurried = true;
}

/*
 * Waits for news of a runner until `deadline`, but looks once even if that has passed. The one that
 * greets, or NULL.
 */
static struct runner *
wait_for_one(struct race *r, int64_t deadline, struct buf *why)
{
	struct pollfd p[RUNNERS + 1] = { { .fd = wait_told_by(), .events = POLLIN } };
	struct runner *who[RUNNERS + 1];
	nfds_t n = 1;
	for (size_t i = 0; i < r->started; i++) {
		if (r->v[i].fd < 0)
			continue;
		short events = r->v[i].connected ? POLLIN : POLLOUT;
		p[n] = (struct pollfd){ .fd = r->v[i].fd, .events = events };
		who[n++] = &r->v[i];
	}
	if (poll(p, n, clock_left(deadline)) <= 0)
		return NULL;
	if (p[0].revents != 0) {
		hurry(r);
		return NULL;
	}
	for (nfds_t i = 1; i < n; i++)
		if (p[i].revents != 0 && look(r, who[i], why))
			return who[i];
	return NULL;
}

/* Did it run already when another one won, and was talked to for who knows how long? */
static bool
was_left(const struct race *r, const struct runner *u)
{
	return u->since < r->left;
}

/*
 * What the race told of the hosts that were overtaken: each takes at least so long to greet; unless
 * it may have been connected while nobody looked, and its greeting be there.
 */
static void
remember_overtaken(const struct race *r)
{
	int64_t now = clock_ms();
	for (size_t i = 0; i < r->started; i++) {
		const struct runner *u = &r->v[i];
		bool unseen = was_left(r, u) && !u->connected;
		if (u->fd >= 0 && u != r->winner && !unseen && !has_greeted(u))
			hosts_silent(r->hosts, &u->to, now - u->since);
	}
}

/*
 * How long it took to greet, ms. If it was kept waiting, nobody looked for minutes perhaps: that it
 * took no longer than this tells something, and no more.
 */
static int64_t
latency_of(const struct race *r, const struct runner *u)
{
	struct host_record h;
	int64_t took = clock_ms() - u->since;
	if (!r->kept_waiting)
		return took;
	hosts_recall(r->hosts, &u->to, &h);
	return clock_earlier(took, h.latency > 0 ? h.latency : r->left - u->since);
}

/* This one greets. Its fd, which is the caller's from now on. */
static int
let_win(struct race *r, struct runner *u)
{
	const int any = 1;
	int fd = u->fd;
	r->winner = u;
	r->kept_waiting = was_left(r, u);
	remember_overtaken(r);
	hosts_greeted(r->hosts, &u->to, latency_of(r, u));
	r->left = clock_ms();
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &any, sizeof(any));
	u->fd = -1;
	return fd;
}

int
race_next(struct race *r, struct exchanger *winner, struct buf *why)
{
	while (race_goes_on(r)) {
		if (next_start(r) <= clock_ms()) {
			start(r, why);
			continue;
		}
		int64_t deadline = clock_earlier(next_end(r), next_start(r));
		struct runner *u = wait_for_one(r, deadline, why);
		if (u != NULL) {
			*winner = u->to;
			return let_win(r, u);
		}
		expire(r, why);
	}
	return -1;
}

void *
race_take_place(struct race *r)
{
	void *place = r->winner->place;
	r->winner->place = NULL;
	return place;
}

const struct exchanger *
race_full(const struct race *r)
{
	return r->full != NULL ? &r->full->to : NULL;
}

bool
race_goes_on(const struct race *r)
{
	return next_start(r) != CLOCK_NEVER || last_running(r) != NULL;
}

bool
race_is_open(const struct race *r)
{
	for (size_t i = 0; r->winner != NULL && i < r->n; i++) {
		const struct runner *u = &r->v[i];
		bool turn = i < r->started ? u->fd >= 0 : i == r->started && i < RUNNERS;
		if (turn && u->to.preference < r->winner->to.preference)
			return true;
	}
	return false;
}

bool
race_is_awaited(const struct race *r)
{
	for (size_t i = 0; r->winner != NULL && i < r->started; i++) {
		const struct runner *u = &r->v[i];
		if (u->fd >= 0 && u->to.preference < r->winner->to.preference && has_greeted(u))
			return true;
	}
	return false;
}

bool
race_kept_waiting(const struct race *r)
{
	return r->kept_waiting;
}

bool
race_had_no_route(const struct race *r)
{
	return r->started > 0 && r->no_route == r->started;
}

bool
race_has_started(const struct race *r, bool v4)
{
	for (size_t i = 0; i < r->started; i++)
		if (!r->v[i].to.socket && netaddr_is_v4(&r->v[i].to.addr) == v4)
			return true;
	return false;
}

/* Has this runner a turn to come? Not if it failed lately: then it is the last of all. */
static bool
has_turn(const struct race *r, size_t i)
{
	return i < r->started ? r->v[i].fd >= 0 : i < RUNNERS && !r->v[i].doubtful;
}

bool
race_has_equal(const struct race *r)
{
	for (size_t i = 0; r->winner != NULL && i < r->n; i++)
		if (has_turn(r, i) && r->v[i].to.preference == r->winner->to.preference)
			return true;
	return false;
}

bool
race_has_worse(const struct race *r)
{
	for (size_t i = 0; r->winner != NULL && i < r->n; i++)
		if (has_turn(r, i) && r->v[i].to.preference > r->winner->to.preference)
			return true;
	return false;
}

void
race_note_vain(struct race *r)
{
	if (r->winner != NULL)
		r->winner->vain = true;
}

bool
race_was_vain(const struct race *r, const struct exchanger *to)
{
	for (size_t i = 0; i < r->started; i++)
		if (memcmp(&r->v[i].to.addr, &to->addr, sizeof(to->addr)) == 0 &&
			r->v[i].to.port == to->port && strcmp(r->v[i].to.host, to->host) == 0)
			return r->v[i].vain;
	return false;
}

void
race_note_loss(struct race *r)
{
	if (r->winner != NULL)
		r->winner->lost = true;
}

void
race_convict(struct race *r)
{
	for (size_t i = 0; i < r->started; i++) {
		if (r->v[i].lost && !r->extra)
			hosts_mark(r->hosts, &r->v[i].to, HOST_FAILED);
		r->v[i].lost = false;
	}
}

void
race_end(struct race *r)
{
	for (size_t i = 0; i < r->started; i++)
		stop(r, &r->v[i], false);
	free(r->v);
	*r = RACE_NONE;
}

/*
 * A greeting is only looked at (MSG_PEEK), so that link_begin reads it as if there had been no
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
	int64_t latency; /* ms, as remembered; 0: unknown */
	bool doubtful;   /* it failed lately */
	int fd;          /* -1: not running */
	bool connected;
	int64_t since;   /* ms, when it started */
	int64_t until;   /* ms, when it fails */
};

/*
 * Hosts that failed lately come last; then by preference; then the quickest first. A latency of
 * 0, unknown, is quick.
 */
static int
compare(const void *pa, const void *pb)
{
	const struct runner *a = pa, *b = pb;
	if (a->doubtful != b->doubtful)
		return a->doubtful ? 1 : -1;
	if (a->to.preference != b->to.preference)
		return a->to.preference < b->to.preference ? -1 : 1;
	return a->latency < b->latency ? -1 : a->latency > b->latency;
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

int
race_begin(struct race *r, const struct conf_delivery *conf, const struct hosts *hosts,
	const struct exchangers *x)
{
	*r = (struct race){ .conf = conf, .hosts = hosts };
	r->v = calloc(x->n > 0 ? x->n : 1, sizeof(*r->v));
	if (r->v == NULL)
		return -ENOMEM;
	bool by_latency = conf->mx_order == MX_LATENCY;
	for (size_t i = 0; i < x->n; i++) {
		struct host_record h;
		hosts_recall(hosts, &x->v[i], &h);
		r->v[i] = (struct runner){ .to = x->v[i], .fd = -1,
			.latency = by_latency ? h.latency : (int64_t)i, .doubtful = h.failed != 0 };
	}
	r->n = x->n;
	qsort(r->v, r->n, sizeof(r->v[0]), compare);
	if (by_latency)
		explore(r);
	return 0;
}

static void
stop(struct runner *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
}

static void
fail(struct race *r, struct runner *u, const char *reason, struct buf *why)
{
	char name[DIAL_NAME];
	dial_name(&u->to, name);
	buf_reset(why);
	buf_printf(why, "%s: %s: %s", name, u->connected ? "greeting" : "connect", reason);
	hosts_mark(r->hosts, &u->to, HOST_FAILED);
	stop(u);
}

static void
start(struct race *r, struct buf *why)
{
	struct runner *u = &r->v[r->started++];
	u->since = clock_ms();
	u->until = clock_deadline(r->conf->timeout_connect);
	u->fd = dial_begin(&u->to, r->conf->source);
	if (u->fd < 0) {
		r->no_route += outage_is_error(u->fd);
		fail(r, u, strerror(-u->fd), why);
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

/* When the next one starts, ms. */
static int64_t
next_start(const struct race *r)
{
	const struct runner *last = last_running(r);
	if (r->started == r->n || r->started >= RUNNERS)
		return CLOCK_NEVER;
	if (last == NULL)
		return 0;
	const struct runner *next = &r->v[r->started];
	bool equal = last->to.preference == next->to.preference && last->doubtful == next->doubtful;
	return last->since + (equal ? STAGGER : PATIENCE);
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
			fail(r, u, strerror(err != 0 ? err : errno), why);
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
	fail(r, u, n < 0 ? strerror(errno) : "connection closed by the host", why);
	return false;
}

/* Runners that are late fail. Returns when the next one would be late, ms. */
static int64_t
expire(struct race *r, struct buf *why)
{
	int64_t next = CLOCK_NEVER, now = clock_ms();
	for (size_t i = 0; i < r->started; i++) {
		if (r->v[i].fd >= 0 && r->v[i].until <= now)
			fail(r, &r->v[i], "timed out", why);
		if (r->v[i].fd >= 0)
			next = clock_earlier(next, r->v[i].until);
	}
	return next;
}

/* Waits for news of a runner until `deadline`. The one that greets, or NULL. */
static struct runner *
wait_for_one(struct race *r, int64_t deadline, struct buf *why)
{
	struct pollfd p[RUNNERS];
	struct runner *who[RUNNERS];
	nfds_t n = 0;
	for (size_t i = 0; i < r->started; i++) {
		if (r->v[i].fd < 0)
			continue;
		short events = r->v[i].connected ? POLLIN : POLLOUT;
		p[n] = (struct pollfd){ .fd = r->v[i].fd, .events = events };
		who[n++] = &r->v[i];
	}
	if (poll(p, n, clock_left(deadline)) <= 0)
		return NULL;
	for (nfds_t i = 0; i < n; i++)
		if (p[i].revents != 0 && look(r, who[i], why))
			return who[i];
	return NULL;
}

/*
 * What the race told of the hosts that lost it: one of better preference that kept silent for
 * long is doubtful from now on, one of equal preference takes at least so long to greet.
 */
static void
remember_losers(const struct race *r, const struct runner *winner)
{
	int64_t now = clock_ms();
	for (size_t i = 0; i < r->started; i++) {
		const struct runner *u = &r->v[i];
		if (u->fd < 0 || u == winner)
			continue;
		if (u->to.preference == winner->to.preference)
			hosts_greeted(r->hosts, &u->to, now - u->since);
		else if (now - u->since >= PATIENCE)
			hosts_mark(r->hosts, &u->to, HOST_FAILED);
	}
}

int
race_next(struct race *r, struct exchanger *winner, struct buf *why)
{
	const int any = 1;
	for (;;) {
		int64_t news = expire(r, why);
		if (next_start(r) <= clock_ms()) {
			start(r, why);
			continue;
		}
		if (news == CLOCK_NEVER && next_start(r) == CLOCK_NEVER)
			return -1;
		struct runner *u = wait_for_one(r, clock_earlier(news, next_start(r)), why);
		if (u == NULL)
			continue;
		int fd = u->fd;
		remember_losers(r, u);
		hosts_greeted(r->hosts, &u->to, clock_ms() - u->since);
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &any, sizeof(any));
		*winner = u->to;
		u->fd = -1;
		return fd;
	}
}

void
race_end(struct race *r)
{
	for (size_t i = 0; i < r->started; i++)
		stop(&r->v[i]);
	free(r->v);
	*r = (struct race){ 0 };
}

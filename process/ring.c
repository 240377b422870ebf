#include "process/ring.h"

#include <stdio.h>
#include <string.h>

#include "conf/way.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "queue/bell.h"
#include "queue/lane.h"

/*
 * Starts the relay of a login, with its lock. The pid or -errno. Whoever holds the lock and does
 * not listen is about to, or was until now: in either case it looks at all lanes after this, for it
 * sees the mark, unless it let the lock go before that.
 */
static pid_t
start_relay(const struct launcher *l, int dir, const char *login)
{
	auto_fd lock = bell_lock(dir);
	if (lock == -EAGAIN && bell_leave_mark(dir) == 0)
		lock = bell_lock(dir);
	return lock < 0 ? lock : launch_login(l, login, lock);
}

static pid_t
ring_or_start(const struct launcher *l, const char *login, const char *lane)
{
	auto_fd dir = bell_open_dir(l->spool, l->conf->who.hostname, login);
	if (dir < 0)
		return dir;
	int r = bell_ring(dir, lane);
	return r == 0 ? -EAGAIN : r == -ENXIO ? start_relay(l, dir, login) : r;
}

pid_t
ring_lane(const struct launcher *l, const char *lane)
{
	char login[LOGIN_NAME_SIZE];
	int64_t next;
	if (l->conf->relay.max_connections == 0 ||
		!lane_looks_due(l->spool, lane, clock_wall(), conf_longest_retry(l->conf), &next))
		return -EAGAIN;
	way_login(l->conf, lane, login);
	return ring_or_start(l, login, lane);
}

pid_t
ring_login(const struct launcher *l, const char *login)
{
	return l->conf->relay.max_connections == 0 ? -EAGAIN : ring_or_start(l, login, BELL_ANY);
}

void
ring_prepare(const struct launcher *l)
{
	char lane[LOGIN_NAME_SIZE], login[LOGIN_NAME_SIZE];
	if (l->conf->relay.max_connections == 0)
		return;
	(void)bell_prepare(l->spool, l->conf->who.hostname, LOGIN_NONE);
	for (const struct route *r = l->conf->routes; r != NULL; r = r->next) {
		snprintf(lane, sizeof(lane), LANE_ROUTE "%s", r->name);
		way_login(l->conf, lane, login);
		if (strcmp(login, LOGIN_NONE) != 0)
			(void)bell_prepare(l->spool, l->conf->who.hostname, login);
	}
}

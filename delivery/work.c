/*
 * A relay works on a lane until nothing in it is due, waits a little for more with the connection still open,
 * and takes the next lane in which something is due, until there is none.
 *
 * While it waits it holds its lane, so that new mail for it needs no new relay, look-up and connection; but
 * it gives its global slot back, so that mail for others never waits for it. It hears of new mail as any relay
 * that leaves a lane does: by @retry that is gone (lane.h).
 */
#include "delivery/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/lock.h"
#include "mail/lane_name.h"

enum { LINGERERS = 5 }; /* that wait, for each that may work: they take 2 MiB each and no time */

/* ---- which lane ------------------------------------------------------------------------- */

/* Cheap: one stat of the lane's @retry. */
bool
delivery_looks_due(const struct relay *r, const char *name)
{
	char path[LANE_NAME_SIZE + sizeof(LANE_RETRY) + 1];
	struct stat st;
	if (!lane_name_valid(span_of(name)))
		return false;
	snprintf(path, sizeof(path), "%s/" LANE_RETRY, name);
	if (fstatat(r->spool.lanes, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	struct lane_state state = { .next = st.st_mtime };
	return lane_is_due(&state, clock_wall(), longest_retry(r));
}

DIR *
delivery_lanes(const struct relay *r)
{
	int fd = openat(r->spool.lanes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fdopendir(fd) : NULL;
}

/* Can we work on it? If others must, they hear of it. */
static bool
is_ours(const struct relay *r, const char *name)
{
	if (credentials_fit(r, name))
		return true;
	if (r->keeper >= 0)
		(void)send(r->keeper, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return false;
}

/*
 * Takes the next due lane, going on in `lanes` where the last call stopped and once around. A lane
 * in which another relay is at work is passed by: that one ends it, and two that come and go in an
 * empty lane would keep each other from removing it.
 */
static bool
take_next_lane(struct relay *r, DIR *lanes)
{
	for (int round = 0; round < 2; round++) {
		for (struct dirent *e; (e = readdir(lanes)) != NULL;) {
			if (!delivery_looks_due(r, e->d_name) || !is_ours(r, e->d_name))
				continue;
			if (lane_open(&r->lane, &r->spool, e->d_name) < 0)
				continue;
			if (lock_taken(r->lane.lock, 0, LOCK_WHOLE) == 0 &&
				lane_slot(&r->lane, (int)r->conf.max_relays_per_lane) == 0)
				return true;
			lane_close(&r->lane);
		}
		rewinddir(lanes);
	}
	return false;
}

/* ---- waiting for more ---------------------------------------------------------------------- */

/* Is there mail that nobody works on? Only if it was left for want of a slot: else it has a relay. */
static bool
work_elsewhere(struct relay *r)
{
	auto_dir lanes = spool_crowd_take(&r->spool) ? delivery_lanes(r) : NULL;
	for (struct dirent *e; lanes != NULL && (e = readdir(lanes)) != NULL;) {
		struct lane other = LANE_CLOSED;
		if (strcmp(e->d_name, r->lane.name) == 0 || !delivery_looks_due(r, e->d_name) ||
			!is_ours(r, e->d_name) ||
			lane_open(&other, &r->spool, e->d_name) < 0)
			continue;
		bool free = lock_taken(other.lock, 0, LOCK_WHOLE) == 0;
		lane_close(&other);
		if (free) {
			spool_crowd(&r->spool); /* it may not be the only one */
			return true;
		}
	}
	return false;
}

static bool
has_news(const struct relay *r)
{
	return faccessat(r->lane.dir, LANE_RETRY, F_OK, 0) < 0;
}

/* Until @retry is gone, or the host has something to say, which can only be goodbye, or the time is up. */
static bool
wait_for_news(struct relay *r, int events, int64_t deadline)
{
	char drain[4096];
	for (;;) {
		if (has_news(r))
			return true;
		struct pollfd p[] = { { .fd = events, .events = POLLIN },
			{ .fd = r->link.fd, .events = POLLIN } };
		if (poll(p, 2, clock_left(deadline)) <= 0 || p[1].revents != 0)
			return has_news(r);
		if (read(events, drain, sizeof(drain)) < 0 && errno != EAGAIN)
			return has_news(r);
	}
}

/* Tells when @retry goes, and of much else. fd or -1. */
static int
watch_lane(const struct relay *r)
{
	char path[PATH_MAX];
	int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "%s/lane/%s", r->conf.spool, r->lane.name);
	if (events < 0 || inotify_add_watch(events, path, IN_DELETE) >= 0)
		return events;
	close(events);
	return -1;
}

static bool
may_linger(const struct relay *r)
{
	return r->conf.linger != 0 && sending_is_open(&r->link) && r->verdict == DONE && !r->shared && !r->extra;
}

/* Waits a little for more mail in this lane. True: there is, and we have a slot for it. */
static bool
linger(struct relay *r)
{
	if (!may_linger(r))
		return false;
	auto_fd patience = spool_linger(&r->spool, LINGERERS * (int)r->conf.max_relays);
	auto_fd events = patience < 0 ? -1 : watch_lane(r);
	if (events < 0)
		return false;
	cleanup_fd(&r->slot);
	r->slot = -1;
	bool more = !work_elsewhere(r) && wait_for_news(r, events, clock_deadline(r->conf.linger));
	r->slot = spool_slot(&r->spool, (int)r->conf.max_relays);
	link_wake(&r->link);
	return more && r->slot >= 0;
}

/* ---- at work ------------------------------------------------------------------------------- */

/* False: nothing in it is due. */
static bool
begin_lane(struct relay *r)
{
	use_route(r);
	r->routed = false;
	r->lost = 0;
	r->verdict = DONE;
	r->landed = 0;
	r->link.terms.name[0] = '\0';
	lane_state(&r->lane, &r->state);
	return lane_is_due(&r->state, clock_wall(), longest_retry(r));
}

/* What is due now, and what comes while we wait. False: the spool is in trouble. */
static bool
empty_lane(struct relay *r)
{
	do
		if (!lane_scan(r))
			return false;
	while (linger(r));
	link_quit(&r->link);
	exchangers_free(&r->exchangers);
	return true;
}

/*
 * Works on r->lane, whose slot we hold, until nothing in it is due. Closes it. False: the spool is
 * in trouble, and going on would only turn in circles.
 */
static bool
work_on_lane(struct relay *r)
{
	char name[LANE_NAME_SIZE];
	memcpy(name, r->lane.name, sizeof(name));
	bool ok = true;
	for (bool again = true; again && ok && r->slot >= 0;) {
		again = false;
		if (!begin_lane(r))
			break;
		ok = empty_lane(r);
		if (!ok)
			break;
		if (r->extra && r->verdict == SOFT) { /* turned away: as if it had not been here */
			lane_announce(r->lane.dir);
			break;
		}
		if (r->shared) { /* whoever has the rest writes down when it is due; he may not know of news */
			again = has_news(r);
			continue;
		}
		if (r->state.down && r->next != 0) /* what is left waits for the host */
			r->next = r->state.next;
		again = lane_leave(&r->lane, &r->spool, r->next) == -EAGAIN &&
			lane_open(&r->lane, &r->spool, name) == 0 &&
			lane_slot(&r->lane, (int)r->conf.max_relays_per_lane) == 0;
	}
	lane_close(&r->lane);
	return ok;
}

/*
 * The child of a fork, with a slot of the same lane: begins anew, without what its parent has in hand. It closes
 * that, for a lock is free when nobody has its file open any more; it releases nothing.
 */
static void
help(struct relay *r, const struct lane *lane, int slot)
{
	link_close(&r->link);
	flights_drop(r);
	lane_close(&r->lane);
	cleanup_fd(&r->slot);
	r->lane = *lane;
	r->slot = slot;
	r->extra = true;
	delivery_work(r);
	_exit(EXIT_SUCCESS);
}

void
delivery_grow(struct relay *r)
{
	struct lane lane = LANE_CLOSED;
	auto_fd slot = spool_slot(&r->spool, (int)r->conf.max_relays);
	if (slot < 0 || lane_open(&lane, &r->spool, r->lane.name) < 0)
		return;
	if (lane_slot(&lane, (int)r->conf.max_relays_per_lane) == 0 && fork() == 0)
		help(r, &lane, slot);
	lane_close(&lane); /* the child has it now */
}

/*
 * For the lane at work, which is given up if there is none: whoever has the last one looks for it. He may have
 * passed it by just now because we held it, so we try once more. False: no slot.
 */
static bool
find_slot(struct relay *r)
{
	r->slot = spool_slot(&r->spool, (int)r->conf.max_relays);
	if (r->slot >= 0)
		return true;
	spool_crowd(&r->spool);
	lane_close(&r->lane);
	r->slot = spool_slot(&r->spool, (int)r->conf.max_relays);
	return r->slot >= 0;
}

/*
 * Lanes one after the other. A monitor that found all global slots taken relies on us: so after
 * giving ours back we look once more.
 */
void
delivery_work(struct relay *r)
{
	auto_dir lanes = delivery_lanes(r);
	if (lanes == NULL)
		return;
	for (;;) {
		if (r->lane.dir >= 0 && !work_on_lane(r))
			return;
		r->extra = false;
		if (r->slot >= 0 && take_next_lane(r, lanes))
			continue;
		cleanup_fd(&r->slot);
		r->slot = -1;
		if (!take_next_lane(r, lanes) || !find_slot(r))
			return;
	}
}

#include "delivery/work.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/connect.h"
#include "delivery/flight.h"
#include "delivery/scan.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "lib/lock.h"
#include "mail/lane_name.h"
#include "process/log.h"

/* Relays that may wait, for each that may work: one takes 2 MiB and no time. */
enum { LINGERERS = 5 };

/* ---- which lane ------------------------------------------------------------------------- */

bool
work_looks_due(const struct relay *r, const char *name)
{
	char path[LANE_NAME_SIZE + sizeof(LANE_RETRY) + 1];
	struct stat st;
	if (!lane_name_valid(span_of(name)))
		return false;
	snprintf(path, sizeof(path), "%s/" LANE_RETRY, name);
	if (fstatat(r->spool.lanes, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	struct lane_state state = { .next = st.st_mtime };
	return lane_is_due(&state, clock_wall(), conf_longest_retry(&r->common));
}

static void
log_unreadable(int err)
{
	struct log_fields f = { .event = "spool" };
	log_event(LOG_ERR, &f, "lane/: cannot read: %s", strerror(err));
}

DIR *
work_open_lanes(const struct relay *r)
{
	int fd = openat(r->spool.lanes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *lanes = fd >= 0 ? fdopendir(fd) : NULL;
	if (lanes == NULL)
		log_unreadable(errno);
	return lanes;
}

const char *
work_next_name(DIR *lanes)
{
	const char *name = dir_next(lanes);
	if (name == NULL && errno != 0)
		log_unreadable(errno);
	return name;
}

/*
 * A lane that is due needs another login than this relay has: the keeper is to start a relay for
 * it.
 */
static void
leave_to_keeper(const struct relay *r)
{
	if (r->keeper >= 0)
		(void)send(r->keeper, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * Is this lane due, and may this relay work on it? If only the login is wrong, the keeper is
 * told.
 */
static bool
offer(const struct relay *r, const char *name)
{
	if (!work_looks_due(r, name))
		return false;
	if (connect_login_fits(r, name))
		return true;
	leave_to_keeper(r);
	return false;
}

/* Opens a due lane. False: it is gone, or cannot be opened, which is said (S13). */
static bool
open_lane(struct relay *r, const char *name)
{
	struct log_fields f = { .event = "spool", .lane = name };
	int err = lane_open(&r->work.lane, &r->spool, name);
	if (err < 0 && err != -ENOENT && err != -ENOTDIR && err != -ELOOP)
		log_event(LOG_ERR, &f, "lane %s: cannot open: %s", name, strerror(-err));
	return err == 0;
}

/*
 * Takes the next due lane, going on in `lanes` where the last call stopped, and once around. A
 * lane in which another relay is at work is passed by: that one will work until nothing is due,
 * and two relays that come and go in an empty lane would keep each other from removing it.
 */
static bool
take_next_lane(struct relay *r, DIR *lanes)
{
	struct lane *lane = &r->work.lane;
	for (int round = 0; round < 2; round++) {
		for (const char *name; (name = work_next_name(lanes)) != NULL;) {
			if (!offer(r, name) || !open_lane(r, name))
				continue;
			if (lock_taken(lane->lock, 0, LOCK_WHOLE) == 0 &&
				lane_slot(lane, (int)r->work.delivery.max_relays_per_lane) == 0)
				return true;
			lane_close(lane);
		}
		rewinddir(lanes);
	}
	return false;
}

/* ---- waiting for more ---------------------------------------------------------------------- */

/*
 * Is there a due lane without a relay? Only if one was left for want of a slot, which spool_crowd
 * marks.
 */
static bool
work_elsewhere(struct relay *r)
{
	auto_dir lanes = spool_crowd_take(&r->spool) ? work_open_lanes(r) : NULL;
	for (const char *name; lanes != NULL && (name = work_next_name(lanes)) != NULL;) {
		struct lane other = LANE_CLOSED;
		if (strcmp(name, r->work.lane.name) == 0 || !offer(r, name) ||
			lane_open(&other, &r->spool, name) < 0)
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
	return faccessat(r->work.lane.dir, LANE_RETRY, F_OK, 0) < 0;
}

/*
 * Waits until @retry is gone (true), or the host says something, which can only be goodbye, or
 * the time is up.
 */
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

/*
 * An inotify descriptor that is readable when @retry, or another file of the lane, is removed; or
 * -1.
 */
static int
watch_lane(const struct relay *r)
{
	char path[PATH_MAX];
	int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	snprintf(path, sizeof(path), "%s/lane/%s", r->common.who.spool, r->work.lane.name);
	if (events < 0 || inotify_add_watch(events, path, IN_DELETE) >= 0)
		return events;
	close(events);
	return -1;
}

static bool
may_linger(const struct relay *r, const struct found *found)
{
	return r->common.relay.linger != 0 && sending_is_open(&r->link) &&
	       link_was_of_use(&r->link) &&
	       r->work.verdict == DONE && !found->shared && !r->work.extra;
}

/*
 * Waits a little for more mail in this lane. True: there is, and this relay has a global slot for
 * it.
 */
static bool
linger(struct relay *r, const struct found *found)
{
	if (!may_linger(r, found))
		return false;
	auto_fd patience = spool_linger(&r->spool, LINGERERS * (int)r->common.relay.max_relays);
	auto_fd events = patience < 0 ? -1 : watch_lane(r);
	if (events < 0)
		return false;
	cleanup_fd(&r->slot);
	r->slot = -1;
	int64_t deadline = clock_deadline(r->common.relay.linger);
	bool more = !work_elsewhere(r) && wait_for_news(r, events, deadline);
	r->slot = spool_slot(&r->spool, (int)r->common.relay.max_relays);
	link_wake(&r->link);
	return more && r->slot >= 0;
}

/* ---- at work ------------------------------------------------------------------------------- */

/* Begins with the lane at work. False: nothing in it is due. */
static bool
begin_lane(struct relay *r)
{
	struct work *w = &r->work;
	*w = (struct work){ .lane = w->lane, .extra = w->extra, .verdict = DONE };
	connect_use_route(r);
	lane_state(&w->lane, &w->state);
	r->link.terms.name[0] = '\0';
	return lane_is_due(&w->state, clock_wall(), conf_longest_retry(&r->common));
}

/*
 * The child of a fork, with a slot of the same lane: begins anew. It closes the files that its
 * parent works with, for a lock is held until all copies of its descriptor are closed; it gives
 * no claim back.
 */
static void
help(struct relay *r, const struct lane *lane, int slot)
{
	link_close(&r->link);
	connect_end(r);
	flight_drop_all(r);
	lane_close(&r->work.lane);
	cleanup_fd(&r->slot);
	r->work.lane = *lane;
	r->slot = slot;
	r->work.extra = true;
	work_on_lanes(r);
	_exit(EXIT_SUCCESS);
}

/* One more relay for the lane at work, if there is a slot. */
static void
grow(struct relay *r)
{
	struct lane lane = LANE_CLOSED;
	auto_fd slot = spool_slot(&r->spool, (int)r->common.relay.max_relays);
	if (slot < 0 || lane_open(&lane, &r->spool, r->work.lane.name) < 0)
		return;
	if (lane_slot(&lane, (int)r->work.delivery.max_relays_per_lane) == 0 && fork() == 0)
		help(r, &lane, slot);
	lane_close(&lane); /* the child holds it now */
}

/* Sends what is due now, and what comes while it waits. False: the spool is in trouble. */
static bool
empty_lane(struct relay *r, struct found *found)
{
	bool ok;
	do
		ok = scan_lane(r, grow, found);
	while (ok && linger(r, found));
	link_quit(&r->link);
	connect_end(r);
	return ok;
}

/*
 * Works on r->work.lane, whose slot it holds, until nothing in it is due, and closes it. False: the
 * spool is in trouble, and the lane may look due again at once, so that to go on would only turn in
 * circles; or nothing can be written down.
 */
static bool
work_on_lane(struct relay *r)
{
	struct work *w = &r->work;
	struct found found;
	char name[LANE_NAME_SIZE];
	memcpy(name, w->lane.name, sizeof(name));
	bool ok = true, rests = false;
	for (bool again = true; again && r->slot >= 0;) {
		again = false;
		if (!begin_lane(r))
			break;
		ok = empty_lane(r, &found);
		/* The host takes no further connection: as if this relay had not come. */
		if (w->extra && w->verdict == SOFT) {
			lane_announce(w->lane.dir);
			break;
		}
		/*
		 * Another relay holds the remaining messages and will set the lane's time. It may
		 * have scanned before the newest mail came, so if there is any, scan again.
		 */
		if (found.shared) {
			again = ok && has_news(r);
			continue;
		}
		if (w->state.down && found.next != 0) /* all messages wait for the host */
			found.next = w->state.next;
		int left = lane_leave(&w->lane, &r->spool, found.next);
		rests = left == 0 && !found.stop;
		again = left == -EAGAIN && ok &&
			lane_open(&w->lane, &r->spool, name) == 0 &&
			lane_slot(&w->lane, (int)w->delivery.max_relays_per_lane) == 0;
	}
	lane_close(&w->lane);
	return ok || rests;
}

/*
 * Takes a global slot for the lane at work. If there is none, the lane is given up; the relay
 * with the last slot will look for it, but may have passed it by just now because this one held
 * it, so a slot is tried for once more. False: no slot.
 */
static bool
take_slot_or_leave(struct relay *r)
{
	r->slot = spool_slot(&r->spool, (int)r->common.relay.max_relays);
	if (r->slot >= 0)
		return true;
	spool_crowd(&r->spool);
	lane_close(&r->work.lane);
	r->slot = spool_slot(&r->spool, (int)r->common.relay.max_relays);
	return r->slot >= 0;
}

/*
 * A monitor that finds all global slots taken relies on the relays that have them: so each looks
 * for a due lane once more after it gave its slot back.
 */
void
work_on_lanes(struct relay *r)
{
	auto_dir lanes = work_open_lanes(r);
	if (lanes == NULL)
		return;
	for (;;) {
		if (r->work.lane.dir >= 0 && !work_on_lane(r))
			return;
		r->work.extra = false;
		if (r->slot >= 0 && take_next_lane(r, lanes))
			continue;
		cleanup_fd(&r->slot);
		r->slot = -1;
		if (!take_next_lane(r, lanes) || !take_slot_or_leave(r))
			return;
	}
}

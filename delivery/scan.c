#include "delivery/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/connect.h"
#include "delivery/flight.h"
#include "delivery/settle.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "process/log.h"

enum {
	BATCH = 1024,     /* names read from a lane at a time; memory stays flat (I12) */
	GROW_EVERY = 20,  /* messages after which a relay asks itself whether it needs help */
	GROW_FOR = 2000,  /* ms that what is left must last at this pace for that */
};

/* Says that the spool is in trouble. This was the last time that the lane is gone over. */
static void
note_trouble(const struct relay *r, const char *what, int err, struct found *found)
{
	struct log_fields f = { .event = "spool", .lane = r->work.lane.name };
	log_event(LOG_ERR, &f, "lane %s: cannot %s: %s", r->work.lane.name, what, strerror(-err));
	found->last = true;
}

/* ---- a message ---------------------------------------------------------------------------- */

/*
 * The time before which a message is not sent (RFC 4865). Not later than the longest wait that
 * there is from now, or it would be taken for a jump of the clock, nor than a client may ask for
 * (J12).
 */
static int64_t
held_until(const struct relay *r, const struct message *m)
{
	int64_t latest = clock_wall() + conf_longest_retry(&r->common);
	int64_t longest = m->arrived + r->common.receive.max_hold;
	int64_t hold = m->env.hold < longest ? m->env.hold : longest;
	return hold < latest ? hold : latest;
}

/*
 * Sends a message, or settles it without that. True: it is on its way, and must not be laid down.
 */
static bool
deliver(struct relay *r, struct flight *f, struct found *found)
{
	struct message *m = &f->m;
	int64_t until = held_until(r, m);
	if (until > clock_wall()) {
		/* So that it is not opened each time. */
		(void)message_wait(m, &r->work.lane, until);
		settle_note_next(found, until);
	} else if (!message_waits(m)) {
		settle_message(r, m, false, found); /* it could not be removed the last time */
	} else if (settle_is_too_late(m)) {
		settle_all(r, m, HARD,
			span_of("554 5.4.7 not delivered by the time the sender asked for"), found);
	} else if (r->work.verdict == DONE && connect_lane(r) == DONE) {
		flight_take_off(r, f, found);
		return true;
	} else if (r->work.verdict == HARD) {
		settle_all(r, m, HARD, buf_span(&r->why), found);
	} else if (r->work.outage != OUTAGE_SURE &&
		settle_is_expired(r, m, m->attempts + r->work.state.attempts)) {
		settle_all(r, m, SOFT, buf_span(&r->why), found);
	} else {
		settle_waiting(r, m, found);
	}
	return false;
}

static void
set_aside(const struct relay *r, const char *id, struct found *found)
{
	struct log_fields f = { .event = "aside", .queue_id = id, .lane = r->work.lane.name };
	int err = message_set_aside(&r->spool, &r->work.lane, id);
	log_event(LOG_ERR, &f, "%s: not a whole message, never acknowledged: moved to aside/%s%s",
		id, err < 0 ? ": " : "", err < 0 ? strerror(-err) : "");
	if (err < 0)
		settle_note_next(found, clock_wall() + IDLE_RETRY);
}

/*
 * Can what becomes of this message be written down (S3)? If not, nothing more of the lane is sent
 * now.
 */
static bool
is_markable(const struct relay *r, const struct message *m, struct found *found)
{
	bool full = !spool_has_room(&r->spool, SPARE_ROOM, r->common.receive.min_free);
	int err = message_try_mark(m, full);
	if (err == 0)
		return true;
	struct log_fields f = { .event = "spool", .queue_id = m->id, .lane = r->work.lane.name };
	log_event(LOG_ERR, &f, "%s: not sent, for what becomes of it could not be written down: %s",
		m->id, strerror(-err));
	found->last = found->stop = true;
	settle_note_next(found, clock_wall() + BUSY_RETRY);
	return false;
}

/* Opens a message that this relay has claimed, and sees to it. */
static void
work_on_message(struct relay *r, struct flight *f, const char *id, struct found *found)
{
	int err = message_open(&f->m, &r->work.lane, id);
	if (err == 0 && !is_markable(r, &f->m, found)) {
		flight_lay_down(r, f);
		return;
	}
	if (err == 0) {
		if (!deliver(r, f, found))
			flight_lay_down(r, f);
		return;
	}
	if (err == -EBADMSG) {
		set_aside(r, id, found);
	} else if (err != -ENOENT) {
		settle_note_next(found, clock_wall() + BUSY_RETRY);
		if (err != -EAGAIN) {
			struct log_fields l = { .event = "spool", .queue_id = id };
			log_event(LOG_ERR, &l, "%s: cannot open: %s", id, strerror(-err));
		}
	}
	lane_unclaim(&r->work.lane, id);
	flight_put_back(r, f);
}

/* When this message is due, wall clock, s; 0: it is. */
static int64_t
due_at(const struct relay *r, const char *id)
{
	int64_t now = clock_wall(), next = message_next(&r->work.lane, id);
	return next > now && next <= now + conf_longest_retry(&r->common) ? next : 0;
}

/* A message could not be claimed: another relay has it, or the spool is in trouble. */
static void
note_unclaimed(const struct relay *r, int err, struct found *found)
{
	if (err == -EAGAIN) {
		found->shared = true;
		return;
	}
	settle_note_next(found, clock_wall() + BUSY_RETRY);
	if (!found->last)
		note_trouble(r, "claim its mail", err, found);
}

/* Sees to one message, if it is due and no other relay has claimed it. */
static void
visit_message(struct relay *r, const char *id, struct found *found)
{
	int64_t now = clock_wall(), next = due_at(r, id);
	if (next != 0) {
		settle_note_next(found, next);
		return;
	}
	/* With the lane down a message is opened only if its sender is to be told something. */
	if (r->work.verdict == SOFT && settle_is_quiet(r, id)) {
		settle_note_next(found, now + IDLE_RETRY);
		return;
	}
	/* After a connection was lost, all that were on their way land before another takes off. */
	while (sending_full(&r->link) || (sending_jobs(&r->link) > 0 && !sending_is_open(&r->link)))
		flight_land(r, found);
	int err = lane_claim(&r->work.lane, id);
	if (err < 0) {
		note_unclaimed(r, err, found);
		return;
	}
	next = due_at(r, id); /* another relay may have tried it since */
	if (next != 0) {
		settle_note_next(found, next);
		lane_unclaim(&r->work.lane, id);
		return;
	}
	lane_hold(&r->work.lane, id);
	work_on_message(r, flight_take(r), id, found);
}

/* Another relay is worth its start if what is left would keep this one busy for long. */
static void
consider_help(struct relay *r, size_t left, void (*grow)(struct relay *r))
{
	struct pace *p = &r->work.pace;
	if (p->messages == 0)
		p->since = clock_ms();
	if (++p->messages <= GROW_EVERY)
		return;
	int64_t each = (clock_ms() - p->since) / p->messages;
	if (each * (int64_t)left > GROW_FOR && r->link.fd >= 0)
		grow(r);
	p->messages = 0;
}

/* ---- the lane ----------------------------------------------------------------------------- */

/*
 * A file that is not a message: a log without its message is removed, anything else is left
 * alone.
 */
static void
visit_other(const struct relay *r, const char *name)
{
	struct span id = { name, ID_LEN };
	int dir = r->work.lane.dir;
	struct stat st;
	if (strlen(name) <= ID_LEN || !id_valid(id) || strcmp(name + ID_LEN, ".log") != 0)
		return;
	char message[ID_SIZE];
	snprintf(message, sizeof(message), "%.20s", name);
	if (fstatat(dir, message, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		unlinkat(dir, name, 0);
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

/*
 * Did a relay die with a message of this lane in hand? Once may be chance, so the message is tried
 * at once; from the second time on it is put off, further each time, so that the others get their
 * turn. A message that is claimed is not looked at: the relay that has it is alive; nor is one that
 * is not in hand any more, now that it is ours.
 */
static void
look_for_poison(struct relay *r)
{
	char id[ID_SIZE], still[ID_SIZE];
	int times;
	struct stat st;
	if (!lane_held(&r->work.lane, id) || lane_claim(&r->work.lane, id) < 0)
		return;
	if (lane_held(&r->work.lane, still) && strcmp(id, still) == 0 &&
		fstatat(r->work.lane.dir, id, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		message_note_crash(&r->work.lane, id, &times) == 0) {
		struct message m = MESSAGE_CLOSED;
		struct log_fields f = { .event = "crash", .queue_id = id,
			.lane = r->work.lane.name };
		int64_t next = times > 1 ? settle_retry_after(r, times - 2) : clock_wall();
		snprintf(m.id, sizeof(m.id), "%s", id);
		(void)message_wait(&m, &r->work.lane, next);
		log_event(LOG_ERR, &f, "%s: a relay died with it in hand; next try in %lld s", id,
			(long long)(next - clock_wall()));
	}
	lane_unclaim(&r->work.lane, id);
}

/* The next messages of the lane: *n of them. 1: there may be more; 0, or -errno. */
static int
read_batch(const struct relay *r, DIR *dir, char ids[static BATCH][ID_SIZE], size_t *n)
{
	for (*n = 0; *n < BATCH;) {
		const char *name = dir_next(dir);
		if (name == NULL)
			return -errno;
		if (id_valid(span_of(name)))
			memcpy(ids[(*n)++], name, ID_SIZE);
		else
			visit_other(r, name);
	}
	return 1;
}

/* Goes over the lane once, oldest message first within a batch. 0 or -errno. */
static int
scan_once(struct relay *r, void (*grow)(struct relay *r), struct found *found)
{
	static char ids[BATCH][ID_SIZE];
	int fd = openat(r->work.lane.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return -errno;
	int more = 1;
	while (more > 0 && !found->stop) {
		size_t n;
		more = read_batch(r, dir, ids, &n);
		qsort(ids, n, sizeof(ids[0]), compare_ids);
		for (size_t i = 0; i < n && !found->stop; i++) {
			visit_message(r, ids[i], found);
			consider_help(r, n - i, grow);
		}
	}
	flight_land_all(r, found);
	return more < 0 ? more : 0;
}

/*
 * Before a scan @retry is made, so that new mail shows. Without room for it the lane is gone over
 * all the same, which makes room; what comes meanwhile is for the next relay. False: it is not.
 */
static bool
begin_scan(const struct relay *r, struct found *found)
{
	*found = (struct found){ 0 };
	int err = lane_settle(&r->work.lane);
	if (err < 0)
		note_trouble(r, "make " LANE_RETRY, err, found);
	return err == 0 || err == -ENOSPC || err == -EDQUOT;
}

bool
scan_lane(struct relay *r, void (*grow)(struct relay *r), struct found *found)
{
	look_for_poison(r);
	do {
		connect_make_way(r);
		int err = begin_scan(r, found) ? scan_once(r, grow, found) : -ECANCELED;
		if (err < 0 && !found->last)
			note_trouble(r, "read it", err, found);
		if (err < 0)
			settle_note_next(found, clock_wall() + BUSY_RETRY);
		/*
		 * Another relay has a message, and will look for new ones only when that is done,
		 * which may take long: so this one looks for them.
		 */
		found->again = found->again || (found->shared && found->tried);
		/*
		 * Also when the lane was given up meanwhile, for what was to be sent again may be
		 * too old. Nothing is tried any more, so nothing is due at once after that.
		 */
	} while (found->again && !found->last);
	return !found->last;
}

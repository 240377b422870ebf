/*
 * A message is claimed, opened, sent and settled; several may be on their way (sending.h), and come back in
 * the order in which they went out. One that was not tried because the connection broke before its turn is
 * laid down as if nobody had touched it, and the lane is gone over again.
 */
#include "delivery/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"
#include "delivery/hosts.h"

enum {
	BATCH = 1024,     /* names read from a lane at a time; memory stays flat (I12) */
	GROW_EVERY = 20,  /* messages after which a relay asks itself whether it needs help */
	GROW_FOR = 2000,  /* ms that what is left must last at this pace for that */
};

/* ---- messages on their way ---------------------------------------------------------------- */

static struct flight *
flight_of(struct job *j)
{
	return (struct flight *)(void *)((char *)j - offsetof(struct flight, job));
}

/* Nobody has it any more. */
static void
lay_down(struct relay *r, struct flight *f)
{
	lane_unclaim(&r->lane, f->m.id);
	message_close(&f->m);
	f->free = r->free;
	r->free = f;
}

/* None is on its way. */
void
flights_reset(struct relay *r)
{
	r->free = NULL;
	for (int64_t i = 0; i <= r->conf.window_messages; i++) {
		r->flights[i].free = r->free;
		r->free = &r->flights[i];
	}
}

/* All that are on their way are somebody else's. */
void
flights_drop(struct relay *r)
{
	for (struct job *j; (j = sending_drop(&r->link)) != NULL;)
		message_close(&flight_of(j)->m);
	flights_reset(r);
}

/* Begins a job with those for whom the one before, which went well, had no room. Each time somebody is done. */
static void
put_first(const struct relay *r, struct job *j)
{
	bool went_well = sending_any_done(j);
	int n = j->n;
	j->n = j->domains = 0;
	for (int i = 0; i < n; i++) {
		struct rcpt *to = j->to[i];
		if (to->crowded && went_well)
			(void)sending_add(&r->link, j, to);
		to->crowded = false;
	}
}

/* The next transaction of a message: recipients who are not settled, as many as the host takes at a time. */
static bool
next_job(const struct relay *r, struct flight *f)
{
	struct job *j = &f->job;
	put_first(r, j);
	f->parts++;
	for (; f->next < f->m.n; f->next++)
		if (!f->m.rcpt[f->next].settled && !sending_add(&r->link, j, &f->m.rcpt[f->next]))
			break;
	return j->n > 0;
}

/*
 * The connection broke with several messages under way, or with one that went as in a window: one at a time from
 * now on. With DATA a host is heard before it gets the text, and again when it has had enough (F10).
 */
static void
remember_disorder(const struct relay *r, const struct job *j)
{
	if (sending_jobs(&r->link) > 0 || j->windowed)
		mark_host(r, HOST_LOCKSTEP);
}

/* It was sent whole and is sent again: nobody can know whether the host took it (RFC 1047). */
static void
log_doubt(const struct relay *r, const struct message *m)
{
	struct log_fields f = { .event = "doubt", .queue_id = m->id, .lane = r->lane.name,
		.relay = r->link.terms.name };
	log_event(LOG_NOTICE, &f, "%s: sent to %s, and the connection was lost before the answer: possible duplicate",
		m->id, r->link.terms.name);
}

/* Waits for the oldest transaction. The message is settled, unless more of its recipients follow. */
static void
land(struct relay *r)
{
	struct job *j = sending_land(&r->link);
	struct flight *f = flight_of(j);
	if (j->end == JOB_ANSWERED && (r->link.fd >= 0 || sending_any_done(j)))
		r->lost = 0;
	if (j->end == JOB_ANSWERED && next_job(r, f)) {
		sending_start(&r->link, j);
		return;
	}
	if (j->end == JOB_LOST)
		remember_disorder(r, j);
	if (j->end == JOB_UNTRIED && j->sent)
		log_doubt(r, &f->m);
	if (j->end == JOB_UNTRIED && f->parts == 1) {
		r->again = true;
		note_next(r, clock_wall());
		lay_down(r, f);
		return;
	}
	struct span why = j->end == JOB_UNTRIED ? span_of("no turn by this connection") : buf_span(&r->link.text);
	for (int i = 0; i < f->m.n; i++)
		if (f->m.rcpt[i].outcome == SOFT && f->m.rcpt[i].text.n == 0)
			buf_add(&f->m.rcpt[i].text, why);
	settle_message(r, &f->m, j->end == JOB_UNTRIED);
	lay_down(r, f);
}

static void
land_all(struct relay *r)
{
	while (sending_jobs(&r->link) > 0)
		land(r);
}

static void
take_off(struct relay *r, struct flight *f)
{
	f->next = f->parts = f->job.n = 0;
	f->job.m = &f->m;
	r->tried = true;
	(void)next_job(r, f);
	sending_start(&r->link, &f->job);
	while (sending_landed(&r->link))
		land(r);
}

/* ---- a message ---------------------------------------------------------------------------- */

/*
 * The time before which a message is not sent (RFC 4865). Not later than the longest wait of the schedule
 * from now, or it would be taken for a jump of the clock, nor than a client may ask for (J12).
 */
static int64_t
held_until(const struct relay *r, const struct message *m)
{
	int64_t latest = clock_wall() + longest_retry(r), longest = m->arrived + r->conf.max_hold;
	int64_t hold = m->env.hold < longest ? m->env.hold : longest;
	return hold < latest ? hold : latest;
}

/* True: it is on its way, and not to be laid down. */
static bool
deliver(struct relay *r, struct flight *f)
{
	struct message *m = &f->m;
	int64_t until = held_until(r, m);
	if (until > clock_wall()) {
		(void)message_wait(m, &r->lane, until); /* so that it is not opened each time */
		note_next(r, until);
	} else if (is_too_late(m)) {
		settle_all(r, m, HARD, span_of("554 5.4.7 not delivered by the time the sender asked for"));
	} else if (r->verdict == DONE && connected(r)) {
		take_off(r, f);
		return true;
	} else if (r->verdict == HARD) {
		settle_all(r, m, HARD, buf_span(&r->why));
	} else if (is_expired(r, m, m->attempts + r->state.attempts)) {
		settle_all(r, m, SOFT, buf_span(&r->why));
	} else {
		settle_waiting(r, m);
	}
	return false;
}

static void
set_aside(struct relay *r, const char *id)
{
	struct log_fields f = { .event = "aside", .queue_id = id, .lane = r->lane.name };
	int err = message_set_aside(&r->spool, &r->lane, id);
	log_event(LOG_ERR, &f, "%s: not a whole message, never acknowledged: moved to aside/%s%s",
		id, err < 0 ? ": " : "", err < 0 ? strerror(-err) : "");
	if (err < 0)
		note_next(r, clock_wall() + CROWD_RETRY);
}

/* It is claimed. */
static void
work_on_message(struct relay *r, struct flight *f, const char *id)
{
	int err = message_open(&f->m, &r->lane, id);
	if (err == 0) {
		if (!deliver(r, f))
			lay_down(r, f);
		return;
	}
	if (err == -EBADMSG) {
		set_aside(r, id);
	} else if (err != -ENOENT) {
		note_next(r, clock_wall() + BUSY_RETRY);
		if (err != -EAGAIN) {
			struct log_fields l = { .event = "spool", .queue_id = id };
			log_event(LOG_ERR, &l, "%s: cannot read: %s", id, strerror(-err));
		}
	}
	lane_unclaim(&r->lane, id);
	f->free = r->free;
	r->free = f;
}

/* One message by name, if it is due and nobody else has it. */
static void
visit_message(struct relay *r, const char *id)
{
	int64_t now = clock_wall(), next = message_next(&r->lane, id);
	if (next > now && next <= now + longest_retry(r)) {
		note_next(r, next);
		return;
	}
	/* With the lane down only what its sender is to hear of is of interest. */
	if (r->verdict == SOFT && is_quiet(r, id)) {
		note_next(r, now + CROWD_RETRY);
		return;
	}
	/* After a loss nothing goes before all that was under way has landed. */
	while (sending_full(&r->link) || (sending_jobs(&r->link) > 0 && !sending_is_open(&r->link)))
		land(r);
	if (lane_claim(&r->lane, id) < 0) {
		r->shared = true;
		return;
	}
	lane_hold(&r->lane, id);
	struct flight *f = r->free;
	r->free = f->free;
	work_on_message(r, f, id);
}

/* One more relay is worth its start if what is left would keep this one busy for long. */
static void
consider_help(struct relay *r, size_t left)
{
	if (r->landed == 0)
		r->began = clock_ms();
	if (++r->landed <= GROW_EVERY)
		return;
	if ((clock_ms() - r->began) / r->landed * (int64_t)left > GROW_FOR && r->link.fd >= 0)
		delivery_grow(r);
	r->landed = 0;
}

/* ---- the lane ----------------------------------------------------------------------------- */

/* A file that is not a message: a log without its message goes, anything else is left alone. */
static void
visit_other(struct relay *r, const char *name)
{
	struct span id = { name, ID_LEN };
	struct stat st;
	if (name[0] == '.' || name[0] == '@')
		return;
	if (strlen(name) > ID_LEN && id_valid(id) && strcmp(name + ID_LEN, ".log") == 0) {
		char message[ID_SIZE];
		snprintf(message, sizeof(message), "%.20s", name);
		if (fstatat(r->lane.dir, message, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			unlinkat(r->lane.dir, name, 0);
		return;
	}
	note_next(r, clock_wall() + CROWD_RETRY);
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

/*
 * Did a relay die with a message of this lane in hand? Once may be chance; from the second time on it is put off,
 * further each time, so that the others get their turn. One that somebody has claimed is in the hands of the living.
 */
static void
look_for_poison(struct relay *r)
{
	char id[ID_SIZE];
	int times;
	struct stat st;
	if (!lane_held(&r->lane, id) || lane_claim(&r->lane, id) < 0)
		return;
	if (fstatat(r->lane.dir, id, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		message_note_crash(&r->lane, id, &times) == 0) {
		struct message m = MESSAGE_CLOSED;
		struct log_fields f = { .event = "crash", .queue_id = id, .lane = r->lane.name };
		int64_t next = times > 1 ? retry_after(r, times - 2) : clock_wall();
		snprintf(m.id, sizeof(m.id), "%s", id);
		(void)message_wait(&m, &r->lane, next);
		log_event(LOG_ERR, &f, "%s: a relay died with it in hand; next try in %lld s", id,
			(long long)(next - clock_wall()));
	}
	lane_unclaim(&r->lane, id);
	lane_hold(&r->lane, "");
}

/* Goes once over the lane, oldest first within a batch. */
static int
scan_once(struct relay *r)
{
	static char ids[BATCH][ID_SIZE];
	int fd = openat(r->lane.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return -errno;
	for (bool more = true; more;) {
		size_t n = 0;
		while (n < BATCH) {
			struct dirent *e = readdir(dir);
			more = e != NULL;
			if (!more)
				break;
			if (id_valid(span_of(e->d_name)))
				memcpy(ids[n++], e->d_name, ID_SIZE);
			else
				visit_other(r, e->d_name);
		}
		qsort(ids, n, sizeof(ids[0]), compare_ids);
		for (size_t i = 0; i < n; i++) {
			visit_message(r, ids[i]);
			consider_help(r, n - i);
		}
	}
	land_all(r);
	lane_hold(&r->lane, "");
	return 0;
}

bool
lane_scan(struct relay *r)
{
	look_for_poison(r);
	do {
		r->next = 0;
		r->shared = r->again = r->tried = false;
		if (lane_settle(&r->lane) < 0 || scan_once(r) < 0)
			return false;
		/* What came meanwhile may be behind something slow in the hands of another. */
		r->again = r->again || (r->shared && r->tried);
	} while (r->again && r->verdict == DONE);
	return true;
}

#include "delivery/flight.h"

#include <errno.h>
#include <stdlib.h>

#include "delivery/connect.h"
#include "delivery/settle.h"
#include "lib/clock.h"
#include "process/log.h"

static struct flight *
flight_of(struct job *j)
{
	return (struct flight *)(void *)((char *)j - offsetof(struct flight, job));
}

struct flight *
flight_take(struct relay *r)
{
	struct flight *f = r->flights.free;
	r->flights.free = f->free;
	return f;
}

void
flight_put_back(struct relay *r, struct flight *f)
{
	f->free = r->flights.free;
	r->flights.free = f;
}

void
flight_lay_down(struct relay *r, struct flight *f)
{
	lane_unclaim(&r->work.lane, f->m.id);
	message_close(&f->m);
	flight_put_back(r, f);
}

/* All are unused. */
static void
reset(struct flights *all)
{
	all->free = NULL;
	for (int64_t i = 0; i < all->n; i++) {
		all->v[i].free = all->free;
		all->free = &all->v[i];
	}
}

int
flight_prepare(struct relay *r)
{
	int64_t n = r->common.relay.window_messages + 1;
	struct flight *v = calloc((size_t)n, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	r->flights = (struct flights){ .v = v, .n = n };
	reset(&r->flights);
	return 0;
}

void
flight_drop_all(struct relay *r)
{
	for (struct job *j; (j = sending_drop(&r->link)) != NULL;)
		message_close(&flight_of(j)->m);
	reset(&r->flights);
}

/*
 * The next transaction begins with the recipients that the host turned away with 452 in the last
 * one, if that one delivered to at least one. So each transaction settles at least one recipient,
 * and there is an end.
 */
static void
put_first(const struct relay *r, struct job *j)
{
	bool went_well = job_any_done(j);
	int n = j->n;
	j->n = j->domains = 0;
	for (int i = 0; i < n; i++) {
		struct rcpt *to = j->to[i];
		if (to->crowded && went_well)
			(void)sending_add(&r->link, j, to);
		to->crowded = false;
	}
}

/*
 * The next transaction of a message: recipients that are not settled, as many as the host takes
 * at a time.
 */
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

/* The message was sent whole and will be sent again: the host may have taken it (RFC 1047). */
static void
log_doubt(const struct relay *r, const struct message *m)
{
	struct log_fields f = { .event = "doubt", .queue_id = m->id, .lane = r->work.lane.name,
		.relay = r->link.terms.name };
	log_event(LOG_NOTICE, &f,
		"%s: sent to %s, and the connection was lost before the answer: possible duplicate",
		m->id, r->link.terms.name);
}

void
flight_land(struct relay *r, struct found *found)
{
	struct job *j = sending_land(&r->link);
	struct flight *f = flight_of(j);
	connect_learn(r);
	if (j->end == JOB_ANSWERED && (r->link.fd >= 0 || job_any_done(j)))
		r->work.lost = 0;
	if (j->end == JOB_ANSWERED && next_job(r, f)) {
		sending_start(&r->link, j);
		return;
	}
	if (j->end == JOB_UNTRIED && j->sent)
		log_doubt(r, &f->m);
	if (j->end == JOB_UNTRIED && f->parts == 1) {
		found->again = true;
		settle_note_next(found, clock_wall());
		flight_lay_down(r, f);
		return;
	}
	struct span why = j->end == JOB_UNTRIED ? span_of("no turn by this connection")
		: buf_span(&r->link.text);
	for (int i = 0; i < f->m.n; i++)
		if (f->m.rcpt[i].outcome == SOFT && f->m.rcpt[i].text.n == 0)
			buf_add(&f->m.rcpt[i].text, why);
	settle_message(r, &f->m, j->end == JOB_UNTRIED, found);
	flight_lay_down(r, f);
}

void
flight_land_all(struct relay *r, struct found *found)
{
	while (sending_jobs(&r->link) > 0)
		flight_land(r, found);
}

void
flight_take_off(struct relay *r, struct flight *f, struct found *found)
{
	f->next = f->parts = f->job.n = 0;
	f->job.m = &f->m;
	found->tried = true;
	(void)next_job(r, f);
	sending_start(&r->link, &f->job);
	connect_learn(r);
	while (sending_landed(&r->link))
		flight_land(r, found);
}

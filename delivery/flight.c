#include "delivery/flight.h"

#include "delivery/connect.h"
#include "delivery/settle.h"
#include "delivery/tour.h"
#include "lib/clock.h"
#include "process/log.h"

enum { HALVES = 10 }; /* times that the recipients of a transaction become half as many */

static struct flight *
flight_of(struct job *j)
{
	return (struct flight *)(void *)((char *)j - offsetof(struct flight, job));
}

static int
place_of(const struct courier *c, const struct flight *f)
{
	return (int)(f - c->flights.v);
}

struct flight *
flight_take(struct courier *c, const char *id)
{
	struct flights *all = &c->flights;
	struct flight *f = all->free;
	if (f == NULL)
		f = &all->v[all->used++];
	else
		all->free = f->free;
	hands_take(c->relay->hands, c->turn.number, place_of(c, f), c->tour->lane.name, id);
	return f;
}

void
flight_put_back(struct courier *c, struct flight *f)
{
	hands_put_down(c->relay->hands, c->turn.number, place_of(c, f));
	f->free = c->flights.free;
	c->flights.free = f;
}

void
flight_lay_down(struct courier *c, struct flight *f)
{
	message_close(&f->m);
	job_free(&f->job);
	flight_put_back(c, f);
}

/*
 * The next transaction begins with the recipients that the host turned away with 452 in the last
 * one, if that one delivered to at least one, and with those that are tried again with fewer words.
 * So each transaction settles at least one recipient, or has fewer words, and there is an end.
 */
static void
put_first(const struct courier *c, struct job *j)
{
	bool went_well = job_any_done(j);
	int n = j->n;
	j->n = j->domains = 0;
	for (int i = 0; i < n; i++) {
		struct rcpt *to = j->to[i];
		if (to->again || (to->crowded && went_well))
			(void)sending_add(&c->link, j, to);
		to->crowded = to->again = false;
	}
}

static int
count_waiting(const struct message *m)
{
	int n = 0;
	for (int i = 0; i < m->n; i++)
		n += !m->rcpt[i].settled && m->rcpt[i].outcome == SOFT;
	return n;
}

/*
 * Where connections ended among the recipients, it may be one of them that the host minds, or their
 * number: so a transaction has fewer of them each time, in the end one, and others are the first.
 */
static void
divide(struct flight *f)
{
	const struct message *m = &f->m;
	int halves = m->cuts < HALVES ? m->cuts : HALVES;
	int most = halves == 0 ? JOB_RCPTS : count_waiting(m) >> halves;
	f->most = most > 0 ? most : 1;
	f->first = halves * f->most % m->n;
}

/*
 * The next transaction of a message: recipients that are not settled, as many as the host takes
 * at a time.
 */
static bool
next_job(const struct courier *c, struct flight *f)
{
	struct job *j = &f->job;
	put_first(c, j);
	f->parts++;
	for (; f->next < f->m.n && j->n < f->most; f->next++) {
		struct rcpt *to = &f->m.rcpt[(f->first + f->next) % f->m.n];
		if (!to->settled && !sending_add(&c->link, j, to))
			break;
	}
	return j->n > 0;
}

/* The message was sent whole and will be sent again: the host may have taken it (RFC 1047). */
static void
log_doubt(const struct courier *c, const struct message *m)
{
	struct log_fields f = { .event = "doubt", .queue_id = m->id, .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	counters_one(COUNTER_DUPLICATES);
	log_event(LOG_NOTICE, &f,
		"%s: sent to %s, and the connection was lost before the answer: possible duplicate",
		m->id, c->link.terms.name);
}

/* What the host said of the first recipient of a job that it did not take. */
static struct span
first_words(const struct job *j)
{
	for (int i = 0; i < j->n; i++)
		if (j->to[i]->outcome == SOFT)
			return buf_span(&j->to[i]->text);
	return span_of("");
}

/* Recipients of whom nothing was heard get a reason of ours. */
static void
say_why(const struct courier *c, struct message *m, bool untried)
{
	struct span why = untried ? span_of("no turn by this connection") : buf_span(&c->link.text);
	for (int i = 0; i < m->n; i++)
		if (m->rcpt[i].outcome == SOFT && m->rcpt[i].text.n == 0)
			buf_add(&m->rcpt[i].text, why);
}

/* It goes to another host, at once; the log has what this one said. */
static void
log_next_host(const struct courier *c, const struct message *m)
{
	struct log_fields f = { .event = "moved", .queue_id = m->id, .lane = c->tour->lane.name,
		.relay = c->link.terms.name };
	for (int i = 0; i < m->n; i++)
		if (!m->rcpt[i].settled && m->rcpt[i].outcome == SOFT) {
			log_event(LOG_NOTICE, &f, "%s: %.*s; the next host is to have it", m->id,
				(int)m->rcpt[i].text.n, m->rcpt[i].text.p);
			return;
		}
}

void
flight_turn_back(struct courier *c, struct flight *f, struct found *found)
{
	found->again = true;
	found_note_next(found, clock_wall());
	flight_lay_down(c, f);
}

/*
 * The last transaction of a message has landed, or the last one by this connection. Not all
 * recipients have had their turn if it is untried, or there is a `rest`.
 */
static void
end_flight(struct courier *c, struct flight *f, bool rest, struct found *found)
{
	enum job_end end = f->job.end;
	bool untried = end == JOB_UNTRIED, next_host = connect_judge(c, &f->m, end);
	next_host = connect_seek(c, &f->m) || next_host;
	f->m.late = f->job.late && !untried;
	f->m.cut = f->job.cut && !untried && count_waiting(&f->m) > 1;
	say_why(c, &f->m, untried || rest);
	if (end == JOB_ANSWERED)
		counters_time(COUNTER_DELIVERY_TIME, clock_ms() - f->begun);
	if (next_host)
		log_next_host(c, &f->m);
	if ((next_host && !settle_any_end(&f->m)) || (untried && f->parts == 1)) {
		flight_turn_back(c, f, found);
		return;
	}
	settle_message(c, &f->m, untried || rest || next_host, found);
	flight_lay_down(c, f);
}

void
flight_land(struct courier *c, struct found *found)
{
	struct job *j = sending_land(&c->link);
	struct flight *f = flight_of(j);
	connect_learn(c);
	connect_heed_refusals(c, first_words(j));
	bool rest = j->end == JOB_ANSWERED && next_job(c, f);
	if (rest && c->link.fd >= 0) {
		sending_start(&c->link, j);
		return;
	}
	if (j->end == JOB_UNTRIED && j->sent)
		log_doubt(c, &f->m);
	end_flight(c, f, rest, found);
}

void
flight_land_all(struct courier *c, struct found *found)
{
	while (sending_jobs(&c->link) > 0)
		flight_land(c, found);
	c->turn.in_flight = false;
}

void
flight_take_off(struct courier *c, struct flight *f, struct found *found)
{
	f->next = f->parts = f->job.n = 0;
	f->begun = clock_ms();
	divide(f);
	f->job.m = &f->m;
	(void)next_job(c, f);
	c->turn.in_flight = true;
	sending_start(&c->link, &f->job);
	connect_learn(c);
	while (sending_landed(&c->link))
		flight_land(c, found);
	c->turn.in_flight = sending_jobs(&c->link) > 0;
}

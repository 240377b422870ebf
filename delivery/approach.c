#include "delivery/approach.h"

#include <stdio.h>
#include <string.h>

#include "delivery/tour.h"
#include "mail/lane_name.h"
#include "sending/begin.h"
#include "sending/dial.h"

/*
 * The name that a certificate must be for where one is relied on (verify, REQUIRETLS, passwords):
 * the domain of the mail, or the host that the route names. Never a name that only the DNS told:
 * "" then, which no certificate is for; for verify the domain that the route names will do (S15).
 */
static void
name_target(const struct courier *c, struct link_terms *t)
{
	bool route = lane_name_route(span_of(c->tour->lane.name)).n > 0;
	if (c->work.to.host[0] == '[')
		netaddr_text(&c->work.to.addr, t->target);
	else
		snprintf(t->target, sizeof(t->target), "%s",
			!route ? c->tour->lane.name : c->work.to.named ? c->work.to.host : "");
	t->domain = c->work.to.domain;
}

/*
 * A login is for hosts that the operator named; a host that the DNS names gets none, though it
 * asks (S1).
 */
static bool
may_log_in(const struct courier *c)
{
	return c->relay->login.user != NULL && c->work.to.named;
}

/* What was learned of the host lately, or by this courier of the hosts of the lane. */
static unsigned
lessons_of(const struct courier *c, const struct host_record *h)
{
	return c->work.lessons | (h->single != 0 ? LESSON_SINGLE : 0U) |
		(h->lockstep != 0 ? LESSON_LOCKSTEP : 0U) |
		(h->discards != 0 ? LESSON_DISCARDS : 0U) |
		(h->unchunked != 0 ? LESSON_NO_CHUNKS : 0U);
}

/* How much at once it gets: what went wrong with it is not tried again for a while. */
static void
set_pace(const struct courier *c, unsigned lessons, struct link_terms *t)
{
	const struct conf_relay *conf = &c->relay->common.relay;
	bool chunks = (lessons & LESSON_NO_CHUNKS) == 0;
	t->avoided = (lessons & LESSON_LOCKSTEP) != 0 ? CAN_PIPELINING : 0;
	if (!chunks)
		t->avoided |= CAN_BDAT;
	if (c->work.delivery.without != NULL)
		(void)extension_list(span_of(c->work.delivery.without), &t->without);
	t->avoided |= t->fewer;
	t->without |= t->avoided;
	t->discards = chunks && (lessons & LESSON_DISCARDS) != 0;
	t->window = (lessons & LESSON_SINGLE) != 0 ? 1 : (int)conf->window_messages;
	t->window_size = (uint64_t)conf->window_size;
}

void
approach_set(struct courier *c)
{
	struct link_terms *t = &c->link.terms;
	struct host_record h;
	hosts_recall(&c->relay->hosts, &c->work.to, &h);
	bool clear = c->work.delivery.tls == DELIVERY_TLS_MAY && h.clear != 0;
	*t = (struct link_terms){
		.conf = &c->work.delivery,
		.hostname = c->relay->common.who.hostname,
		.timeout_tls = c->relay->common.tls.timeout,
		.min_data_rate = c->relay->common.receive.min_data_rate,
		.policy = clear ? DELIVERY_TLS_NONE : c->work.delivery.tls,
		.implicit = c->work.to.tls_first,
		.clear = clear,
		.own = lane_name_route(span_of(c->tour->lane.name)).n > 0,
		.tls_setup = &c->relay->tls,
		.peer = { .dir = c->relay->hosts.dir, .addr = c->work.to.addr,
			.port = c->work.to.port,
			.host = c->to.host[0] == '[' ? t->target : c->to.host,
			.age = c->relay->hosts.age },
		.login = may_log_in(c) ? &c->relay->login : NULL,
		.signer = c->relay->common.dkim.keys != NULL ? &c->relay->signer : NULL,
	};
	t->helo = h.helo != 0 && begin_helo_will_do(t);
	t->remembered = t->clear || t->helo;
	t->plain = h.plain != 0;
	t->fewer = c->work.fewer | (unsigned)h.words;
	set_pace(c, lessons_of(c, &h), t);
	dial_name(&c->work.to, t->name);
	name_target(c, t);
}

bool
approach_again(struct courier *c)
{
	struct link_terms t;
	name_target(c, &t);
	if (strcmp(t.target, c->link.terms.target) == 0)
		return true; /* for this lane it was made, or was judged last */
	link_turn_to(&c->link, t.target, t.domain);
	return c->work.delivery.tls != DELIVERY_TLS_VERIFY || link_judge(&c->link);
}

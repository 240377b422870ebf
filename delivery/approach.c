#include "delivery/approach.h"

#include <stdio.h>

#include "mail/lane_name.h"
#include "sending/begin.h"
#include "sending/dial.h"

/*
 * The name that a certificate must be for where one is relied on (verify, REQUIRETLS, passwords):
 * the domain of the mail, or the host that the route names. Never a name that only the DNS told:
 * "" then, which no certificate is for; for verify the domain that the route names will do (S15).
 */
static void
name_target(const struct relay *r, struct link_terms *t)
{
	bool route = lane_name_route(span_of(r->work.lane.name)).n > 0;
	if (r->work.to.host[0] == '[')
		netaddr_text(&r->work.to.addr, t->target);
	else
		snprintf(t->target, sizeof(t->target), "%s",
			!route ? r->work.lane.name : r->work.to.named ? r->work.to.host : "");
	t->domain = r->work.to.domain;
}

/*
 * A login is for hosts that the operator named; a host that the DNS names gets none, though it
 * asks (S1).
 */
static bool
may_log_in(const struct relay *r)
{
	return r->login.user != NULL && r->work.to.named;
}

/* What was learned of the host lately, or by this relay of the hosts of its lane. */
static unsigned
lessons_of(const struct relay *r, const struct host_record *h)
{
	return r->work.lessons | (h->single != 0 ? LESSON_SINGLE : 0U) |
		(h->lockstep != 0 ? LESSON_LOCKSTEP : 0U) |
		(h->discards != 0 ? LESSON_DISCARDS : 0U) |
		(h->unchunked != 0 ? LESSON_NO_CHUNKS : 0U);
}

/* How much at once it gets: what went wrong with it is not tried again for a while. */
static void
set_pace(const struct relay *r, unsigned lessons, struct link_terms *t)
{
	bool chunks = (lessons & LESSON_NO_CHUNKS) == 0;
	t->avoided = (lessons & LESSON_LOCKSTEP) != 0 ? CAN_PIPELINING : 0;
	if (!chunks)
		t->avoided |= CAN_BDAT;
	if (r->work.delivery.without != NULL)
		(void)extension_list(span_of(r->work.delivery.without), &t->without);
	t->without |= t->avoided;
	t->discards = chunks && (lessons & LESSON_DISCARDS) != 0;
	t->window = (lessons & LESSON_SINGLE) != 0 ? 1 : (int)r->common.relay.window_messages;
	t->window_size = (uint64_t)r->common.relay.window_size;
}

void
approach_set(struct relay *r)
{
	struct link_terms *t = &r->link.terms;
	struct host_record h;
	hosts_recall(&r->hosts, &r->work.to, &h);
	bool clear = r->work.delivery.tls == DELIVERY_TLS_MAY && h.clear != 0;
	*t = (struct link_terms){
		.conf = &r->work.delivery,
		.hostname = r->common.who.hostname,
		.timeout_tls = r->common.tls.timeout,
		.min_data_rate = r->common.receive.min_data_rate,
		.policy = clear ? DELIVERY_TLS_NONE : r->work.delivery.tls,
		.implicit = r->work.to.tls_first,
		.clear = clear,
		.own = lane_name_route(span_of(r->work.lane.name)).n > 0,
		.tls_setup = &r->tls,
		.peer = { .dir = r->hosts.dir, .addr = r->work.to.addr, .port = r->work.to.port,
			.host = r->work.to.host[0] == '[' ? t->target : r->work.to.host,
			.age = r->hosts.age },
		.login = may_log_in(r) ? &r->login : NULL,
	};
	t->helo = h.helo != 0 && begin_helo_will_do(t);
	t->remembered = t->clear || t->helo;
	set_pace(r, lessons_of(r, &h), t);
	dial_name(&r->work.to, t->name);
	name_target(r, t);
}

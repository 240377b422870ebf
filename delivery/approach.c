#include "delivery/approach.h"

#include <string.h>

#include "delivery/tour.h"
#include "dns/tlsa.h"
#include "mail/lane_name.h"
#include "sending/begin.h"
#include "sending/dial.h"

/* Which TLS the host must have for the lane at work: c->policy. */
static void
decide_policy(struct courier *c)
{
	struct policy_facts facts = approach_facts(c);
	facts.to = &c->work.to;
	policy_decide(&c->policy, &facts);
}

/* The connection outlives the lane, and what is known of the lane's hosts. */
static void
hold_tlsa(struct courier *c, struct tlsa *t)
{
	(void)tlsa_hold(t);
	tlsa_drop(c->tlsa);
	c->tlsa = t;
	c->link.terms.tlsa = t;
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

/*
 * What was learned of the host lately, or by this courier of the hosts of the lane: what may go
 * wrong with one is not tried with the next. That a host does right by BDAT says nothing of others.
 */
static unsigned
lessons_of(const struct courier *c, const struct host_record *h)
{
	return (c->work.lessons & ~(unsigned)LESSON_DISCARDS) |
		(h->single != 0 ? LESSON_SINGLE : 0U) |
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
	const struct policy *p = &c->policy;
	hosts_recall(&c->relay->hosts, &c->work.to, &h);
	decide_policy(c);
	if (h.clear != 0)
		(void)policy_do_without(&c->policy);
	*t = (struct link_terms){
		.conf = &c->work.delivery,
		.hostname = c->relay->common.who.hostname,
		.timeout_tls = c->relay->common.tls.timeout,
		.min_data_rate = c->relay->common.receive.min_data_rate,
		.policy = p->tls,
		.implicit = c->work.to.tls_first,
		.clear = p->clear,
		.own = lane_name_route(span_of(c->tour->lane.name)).n > 0,
		.counted = tally_is_on(&c->relay->tally),
		.tls_setup = &c->relay->tls,
		.peer = { .dir = c->relay->hosts.dir, .addr = c->work.to.addr,
			.port = c->work.to.port,
			.host = p->tlsa != NULL ? p->tlsa->base
				: c->to.host[0] == '[' ? t->target : c->to.host,
			.age = c->relay->hosts.age },
		.login = may_log_in(c) ? &c->relay->login : NULL,
		.signer = c->relay->common.dkim.keys != NULL ? &c->relay->signer : NULL,
	};
	t->helo = h.helo != 0 && begin_helo_will_do(t);
	t->remembered = t->clear || t->helo;
	t->plain = h.plain != 0;
	t->fewer = withheld_from(&c->work.withheld, &c->work.to) | (unsigned)h.words;
	set_pace(c, lessons_of(c, &h), t);
	dial_name(&c->work.to, t->name);
	memcpy(t->target, p->target, sizeof(t->target));
	memcpy(t->vouched, p->vouched, sizeof(t->vouched));
	t->domain = p->domain;
	hold_tlsa(c, p->tlsa);
}

/*
 * Does the connection do what is asked for, though it was begun for somebody else? What was asked
 * for then, and judged, was perhaps less.
 */
static bool
is_good_enough(struct courier *c)
{
	const struct policy *p = &c->policy;
	const struct tls *tls = c->link.proof.tls;
	if (p->source != POLICY_SETTING && (tls == NULL || !tlsclient_is_strong(tls)))
		return false;
	if (p->tlsa != NULL && link_match(&c->link, NULL) == DANE_BAD)
		return false;
	return p->tls != DELIVERY_TLS_VERIFY || link_verify(&c->link);
}

struct policy_facts
approach_facts(const struct courier *c)
{
	return (struct policy_facts){ .delivery = &c->work.delivery, .lane = c->tour->lane.name,
		.relaxed = c->work.relaxed, .sts = work_sts(&c->work),
		.sts_id = c->work.sts.entry.id };
}

bool
approach_again(struct courier *c)
{
	const struct policy *p = &c->policy;
	enum policy_source before = p->source;
	decide_policy(c);
	if (c->link.terms.clear)
		(void)policy_do_without(&c->policy);
	if (p->barred)
		return false;
	/*
	 * For this lane it was made, or was judged last; or for another one that asks for the same.
	 * A host of MTA-STS may have the name of a lane that asks for less.
	 */
	if (strcmp(p->target, c->link.terms.target) == 0 && p->tlsa == c->tlsa &&
		p->source == before)
		return true;
	link_turn_to(&c->link, p->target, p->domain);
	c->link.terms.policy = p->tls;
	memcpy(c->link.terms.vouched, p->vouched, sizeof(c->link.terms.vouched));
	hold_tlsa(c, p->tlsa);
	return is_good_enough(c);
}

#include "delivery/policy.h"

#include <stdio.h>

#include "mail/lane_name.h"

const char *
policy_word(enum conf_delivery_tls tls)
{
	static const char *const words[] = { [DELIVERY_TLS_NONE] = "none",
		[DELIVERY_TLS_MAY] = "may", [DELIVERY_TLS_ENCRYPT] = "encrypt",
		[DELIVERY_TLS_VERIFY] = "verify" };
	return words[tls];
}

static void
name_target(struct policy *p, const struct policy_facts *f)
{
	bool route = lane_name_route(span_of(f->lane)).n > 0;
	if (f->to->host[0] == '[')
		netaddr_text(&f->to->addr, p->target);
	else
		snprintf(p->target, sizeof(p->target), "%s",
			!route ? f->lane : f->to->named ? f->to->host : "");
	p->domain = f->to->domain;
}

void
policy_decide(struct policy *p, const struct policy_facts *f)
{
	*p = (struct policy){ .source = POLICY_SETTING, .tls = f->delivery->tls };
	name_target(p, f);
	snprintf(p->words, sizeof(p->words), "delivery_tls = %s", policy_word(p->tls));
}

bool
policy_is_theirs(const struct policy *p)
{
	return p->source != POLICY_SETTING;
}

bool
policy_do_without(struct policy *p)
{
	if (p->tls != DELIVERY_TLS_MAY)
		return false;
	p->tls = DELIVERY_TLS_NONE;
	p->clear = true;
	return true;
}

#include "route.h"

#include "../lib/clock.h"

#include <ifaddrs.h>

static bool
is_own_address(const struct netaddr *a)
{
	struct ifaddrs *list;
	bool own = false;
	if (getifaddrs(&list) < 0)
		return false;
	for (struct ifaddrs *i = list; i != NULL && !own; i = i->ifa_next) {
		struct netaddr mine;
		own = i->ifa_addr != NULL && netaddr_from(i->ifa_addr, &mine) == 0 &&
			netaddr_eq(&mine, a);
	}
	freeifaddrs(list);
	return own;
}

enum verdict { USABLE, OURS, REFUSED };

static enum verdict
judge(const struct conf *conf, const struct exchanger *e)
{
	if (netlist_contains(&conf->allow_destinations, &e->addr))
		return USABLE;
	if (span_ieq(span_of(e->host), span_of(conf->hostname)) || is_own_address(&e->addr))
		return OURS;
	return netaddr_class(&e->addr) == NET_PUBLIC ? USABLE : REFUSED;
}

/* Leaves what may be connected to. Returns why the last one was left out. */
static enum verdict
filter(struct exchangers *x, const struct conf *conf)
{
	enum verdict last = USABLE;
	int cut = UINT16_MAX + 1; /* our own preference */
	size_t n = 0;
	for (size_t i = 0; i < x->n; i++) {
		enum verdict v = judge(conf, &x->v[i]);
		if (v != USABLE)
			last = v;
		if (v == OURS && x->v[i].preference < cut)
			cut = x->v[i].preference;
		if (v == USABLE)
			x->v[n++] = x->v[i];
	}
	x->n = 0;
	for (size_t i = 0; i < n; i++)
		if (x->v[i].preference < cut)
			x->v[x->n++] = x->v[i];
	return last;
}

enum outcome
route_find(struct resolver *r, const struct conf *conf, const char *domain,
	struct exchangers *out, struct buf *why)
{
	switch (resolver_exchangers(r, domain, clock_deadline(conf->timeout_dns), out)) {
	case ANSWER_FOUND:
		break;
	case ANSWER_NULL_MX:
		buf_printf(why, "556 5.1.10 %s does not take mail (null MX)", domain);
		return HARD;
	case ANSWER_NO_NAME:
		buf_printf(why, "550 5.1.2 domain %s does not exist", domain);
		return HARD;
	case ANSWER_NO_DATA:
	case ANSWER_NO_HOST:
		buf_printf(why, "550 5.1.2 no host takes mail for %s: %s", domain, out->why);
		return HARD;
	default:
		buf_printf(why, "DNS: %s", out->why);
		return SOFT;
	}
	enum verdict v = filter(out, conf);
	if (out->n > 0)
		return DONE;
	if (v == OURS)
		buf_printf(why, "554 5.4.6 mail for %s would come back to this host", domain);
	else
		buf_printf(why,
			"554 5.4.6 all hosts for %s have addresses that are not delivered to "
			"(loopback, private, ...; see allow_destinations)", domain);
	return HARD;
}

#include "delivery/destinations.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/target.h"
#include "lib/clock.h"
#include "mail/lane_name.h"

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

enum verdict {
	USABLE,
	OURS,     /* mail sent there would come back to this host */
	REFUSED,  /* of a class that is not delivered to */
	DOUBTFUL, /* the same, but nobody said that mail goes there */
	VERDICTS,
};

static bool
has_our_name(const struct conf *conf, const struct exchanger *e)
{
	return span_ieq(span_of(e->host), span_of(conf->who.hostname));
}

/* An address that the DNS named, so a stranger. */
static enum verdict
judge(const struct conf *conf, const struct conf_delivery *way, const struct exchanger *e)
{
	(void)way;
	if (netlist_contains(&conf->relay.allow_destinations, &e->addr))
		return USABLE;
	if (has_our_name(conf, e) || is_own_address(&e->addr))
		return OURS;
	return netaddr_class(&e->addr) == NET_PUBLIC ? USABLE : REFUSED;
}

/*
 * An address that the domain has without an MX record. Routers whose line is down, and portals
 * before a login, give every name an address of their own: that says nothing of the domain (L4),
 * nor of our own name, whose mail may be elsewhere, unless the address is this host's, too.
 */
static enum verdict
judge_implicit(const struct conf *conf, const struct conf_delivery *way, const struct exchanger *e)
{
	enum verdict v = judge(conf, way, e);
	bool doubtful = v != USABLE && netaddr_class(&e->addr) != NET_PUBLIC &&
		!(has_our_name(conf, e) && is_own_address(&e->addr));
	return doubtful ? DOUBTFUL : v;
}

/*
 * An address that a route names. A program on this host is a good destination, such as an LMTP
 * server; but SMTP at the port where mail comes in is taken for smtpd itself (H1), unless
 * allow_destinations holds the address.
 */
static enum verdict
judge_named(const struct conf *conf, const struct conf_delivery *way, const struct exchanger *e)
{
	if (e->socket || netlist_contains(&conf->relay.allow_destinations, &e->addr))
		return USABLE;
	enum netclass class = netaddr_class(&e->addr);
	if (class == NET_UNSPECIFIED || class == NET_MULTICAST)
		return REFUSED;
	bool here = class == NET_LOOPBACK || is_own_address(&e->addr) ||
		has_our_name(conf, e);
	bool smtp = way->protocol == PROTOCOL_SMTP && e->port == conf->relay.smtp_port;
	return here && smtp ? OURS : USABLE;
}

typedef enum verdict judge_fn(const struct conf *conf, const struct conf_delivery *way,
	const struct exchanger *e);

/* What was left out, and why. */
struct left_out {
	bool verdict[VERDICTS]; /* some were of this kind */
	int cut;                /* our own preference; beyond EXCHANGER_WORST: we have none */
};

/*
 * Leaves in *x what may be connected to: the usable ones, and of those, if one was ours, only
 * those of better preference (RFC 5321 section 5.1).
 */
static struct left_out
filter(struct exchangers *x, const struct conf *conf, const struct conf_delivery *way,
	judge_fn *judge_one)
{
	struct left_out left = { .cut = EXCHANGER_WORST + 1 };
	size_t n = 0;
	for (size_t i = 0; i < x->n; i++) {
		enum verdict v = judge_one(conf, way, &x->v[i]);
		left.verdict[v] = true;
		if (v == OURS && x->v[i].preference < left.cut)
			left.cut = x->v[i].preference;
		if (v == USABLE)
			x->v[n++] = x->v[i];
	}
	x->n = 0;
	for (size_t i = 0; i < n; i++)
		if (x->v[i].preference < left.cut)
			x->v[x->n++] = x->v[i];
	return left;
}

/*
 * An MX record with our own name counts although none of that name's addresses is in the list: it
 * may have none of this family, or the nameserver did not answer. True: hosts whose preference is
 * no better than that of our record were dropped.
 */
static bool
drop_behind_own_name(struct exchangers *x, const struct conf *conf)
{
	size_t n = 0;
	for (size_t i = 0; i < x->n; i++)
		if (has_our_name(conf, &x->v[i]))
			return false; /* judged by its addresses */
	while (n < x->n && x->v[n].preference < x->own)
		n++;
	bool dropped = n < x->n;
	x->n = n;
	return dropped;
}

/* What an answer of the DNS means for mail to a domain. */
static enum outcome
outcome_of(enum answer a, const char *domain, const struct exchangers *x, struct buf *why)
{
	switch (a) {
	case ANSWER_FOUND:
		return DONE;
	case ANSWER_NULL_MX:
		buf_printf(why, "556 5.1.10 %s does not take mail (null MX)", domain);
		return HARD;
	case ANSWER_NO_NAME:
		buf_printf(why, "550 5.1.2 domain %s does not exist", domain);
		return HARD;
	case ANSWER_NO_DATA:
	case ANSWER_NO_HOST:
		buf_printf(why, "550 5.1.2 no host takes mail for %s: %s", domain, x->why);
		return HARD;
	default:
		buf_printf(why, "DNS: %s", x->why);
		return SOFT;
	}
}

static int
compare_families(const void *pa, const void *pb)
{
	const struct exchanger *a = pa, *b = pb;
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return (int)netaddr_is_v4(&b->addr) - (int)netaddr_is_v4(&a->addr);
}

/*
 * IPv6 addresses become a preference of their own, behind the IPv4 addresses of the same
 * preference.
 */
static void
prefer_ipv4(struct exchangers *x)
{
	qsort(x->v, x->n, sizeof(x->v[0]), compare_families);
	uint16_t level = 0;
	for (size_t i = 0; i < x->n; i++) {
		struct exchanger last = x->v[i];
		x->v[i].preference = level;
		if (i + 1 < x->n && compare_families(&last, &x->v[i + 1]) != 0)
			level++;
	}
}

/*
 * Hosts were found, and none is left. That is for good only if nothing better can turn up: a host
 * that is preferred to us and has trouble with its name may be a good one (L3).
 */
static enum outcome
explain_nothing_left(const struct exchangers *x, const struct left_out *left, const char *domain,
	struct buf *why)
{
	static const char kinds[] = "(loopback, private, ...; see allow_destinations)";
	if (x->unknown < left->cut) {
		buf_printf(why, "DNS: %s", x->why);
		return SOFT;
	}
	if (left->verdict[DOUBTFUL]) {
		buf_printf(why, "DNS: %s has no MX record, and its own addresses are not delivered "
			"to %s", domain, kinds);
		return SOFT;
	}
	if (left->verdict[OURS])
		buf_printf(why, "554 5.4.6 mail for %s would come back to this host", domain);
	else
		buf_printf(why, "554 5.4.6 all hosts for %s have addresses that are not delivered "
			"to %s", domain, kinds);
	return HARD;
}

/* The port for which hosts may have TLSA records that count here; 0: none. */
static uint16_t
dane_port(const struct conf_delivery *way, uint16_t port)
{
	bool wanted = way->dane != CONF_DANE_OFF && way->tls != DELIVERY_TLS_NONE &&
		way->protocol == PROTOCOL_SMTP;
	return wanted ? port : 0;
}

static enum outcome
find_exchangers(struct resolver *r, const struct conf *conf, const struct conf_delivery *way,
	const char *domain, struct exchangers *out, struct buf *why)
{
	resolver_use_dane(r, dane_port(way, (uint16_t)conf->relay.smtp_port));
	enum answer a = resolver_exchangers(r, domain, way->family,
		clock_deadline(way->timeout_dns), out);
	enum outcome o = outcome_of(a, domain, out, why);
	if (o != DONE)
		return o;
	for (size_t i = 0; i < out->n; i++)
		out->v[i].port = (uint16_t)conf->relay.smtp_port;
	bool dropped = drop_behind_own_name(out, conf);
	struct left_out left = filter(out, conf, way, out->implicit ? judge_implicit : judge);
	if (out->n > 0)
		return DONE;
	left.verdict[OURS] = left.verdict[OURS] || dropped;
	left.cut = out->own < left.cut ? out->own : left.cut;
	return explain_nothing_left(out, &left, domain, why);
}

bool
destinations_vet(const struct conf *conf, const struct conf_delivery *way, struct exchangers *x)
{
	size_t n = 0;
	for (size_t i = 0; i < x->n; i++)
		if (judge(conf, way, &x->v[i]) == USABLE)
			x->v[n++] = x->v[i];
	x->n = n;
	return n > 0;
}

/* ---- the hosts of a route ----------------------------------------------------------------- */

/*
 * A name that a route holds: what this host's own file says of it counts first, for the operator
 * wrote both (L32).
 */
static enum answer
find_name(struct resolver *r, enum family family, const struct target *t, int64_t deadline,
	struct exchangers *out)
{
	enum answer a = resolver_named(r, t->name, family, out);
	bool named = a == ANSWER_FOUND || t->kind == TARGET_HOST;
	if (a != ANSWER_FOUND) {
		exchangers_free(out);
		a = t->kind == TARGET_HOST
			? resolver_addresses(r, t->name, family, deadline, out)
			: resolver_exchangers(r, t->name, family, deadline, out);
	}
	if (a == ANSWER_NO_NAME && t->kind == TARGET_DOMAIN) {
		exchangers_free(out); /* the operator says that it is there */
		a = resolver_addresses(r, t->name, family, deadline, out);
	}
	for (size_t i = 0; i < out->n; i++)
		out->v[i].named = named;
	return a;
}

/* The exchangers of one target of a route, without their ports. *out is to be freed. */
static enum answer
find_target(struct resolver *r, enum family family, const struct target *t, int64_t deadline,
	struct exchangers *out)
{
	*out = (struct exchangers){ .unknown = EXCHANGER_WORST + 1 };
	if (t->kind == TARGET_HOST || t->kind == TARGET_DOMAIN)
		return find_name(r, family, t, deadline, out);
	out->v = calloc(1, sizeof(*out->v));
	if (out->v == NULL)
		return ANSWER_TEMPORARY;
	out->n = 1;
	out->v[0].addr = t->addr;
	out->v[0].named = true;
	out->v[0].socket = t->kind == TARGET_SOCKET;
	if (out->v[0].socket)
		snprintf(out->v[0].host, sizeof(out->v[0].host), "%s", t->name);
	else
		netaddr_literal(&t->addr, out->v[0].host);
	return ANSWER_FOUND;
}

/*
 * Adds the exchangers of the next target, all of worse preference than those before. 0 or
 * -ENOMEM.
 */
static int
join(struct exchangers *out, struct exchangers *more)
{
	if (more->n == 0) /* a size of 0 would free what is there */
		return 0;
	unsigned level = out->n > 0 ? out->v[out->n - 1].preference + 1U : 0;
	struct exchanger *v = reallocarray(out->v, out->n + more->n, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	out->v = v;
	if (exchangers_adopt(out, more) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < more->n; i++) {
		if (i > 0 && more->v[i].preference != more->v[i - 1].preference)
			level++;
		out->v[out->n] = more->v[i];
		out->v[out->n++].preference = (uint16_t)level;
	}
	return 0;
}

/*
 * Adds the hosts of one target. `left` says which kinds were left out; why, if none was found, is
 * said in *why. Each has the time of one look-up: the name of another one, of which no server says
 * anything, is no reason not to ask for this one.
 */
static void
add_target(struct resolver *r, const struct conf *conf, const struct conf_delivery *way,
	const char *lane, const struct target *t, struct exchangers *out, struct left_out *left,
	struct buf *why)
{
	struct exchangers x;
	int64_t deadline = clock_deadline(way->timeout_dns);
	uint16_t port = t->port != 0 ? t->port : (uint16_t)conf->relay.smtp_port;
	resolver_use_dane(r, dane_port(way, port));
	if (find_target(r, way->family, t, deadline, &x) == ANSWER_FOUND) {
		for (size_t i = 0; i < x.n; i++) {
			x.v[i].port = port;
			snprintf(x.v[i].domain, sizeof(x.v[i].domain), "%s",
				x.v[i].named ? "" : t->name);
		}
		out->unproved = out->unproved || x.unproved;
		if (x.unknown <= EXCHANGER_WORST)
			out->unknown = EXCHANGER_WORST;
		struct left_out of_this = filter(&x, conf, way, judge_named);
		for (int v = 0; v < VERDICTS; v++)
			left->verdict[v] = left->verdict[v] || of_this.verdict[v];
		(void)join(out, &x);
	} else {
		buf_reset(why);
		buf_printf(why, "lane %s: %s: DNS: %s", lane, t->name,
			x.why[0] != '\0' ? x.why : "takes no mail (null MX)");
		out->unknown = EXCHANGER_WORST;
		out->unproved = out->unproved || x.unproved;
		out->unreached = out->unreached || x.unreached;
		out->unsound = out->unsound || x.unsound;
	}
	exchangers_free(&x);
}

static enum outcome
find_targets(struct resolver *r, const struct conf *conf, const struct conf_delivery *way,
	const char *lane, struct exchangers *out, struct buf *why)
{
	struct span rest = span_of(way->hosts);
	struct left_out left = { 0 };
	out->unknown = EXCHANGER_WORST + 1;
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		struct target t;
		if (target_parse(word, &t) == 0) /* checked when the configuration was read */
			add_target(r, conf, way, lane, &t, out, &left, why);
	}
	if (out->n > 0)
		return DONE;
	if (left.verdict[OURS] || left.verdict[REFUSED])
		buf_printf(why, "lane %s: its hosts %s", lane, left.verdict[OURS]
			? "lead back to this host" : "have addresses that are not delivered to");
	return SOFT;
}

/* Who expects TLS from the first octet: by its port, or because the operator says so (L47). */
static void
note_tls_first(struct exchangers *x, const struct conf_delivery *way)
{
	for (size_t i = 0; i < x->n; i++)
		x->v[i].tls_first = way->tls_implicit == CONF_YES ||
			(way->protocol == PROTOCOL_SMTP && !x->v[i].socket &&
				x->v[i].port == PORT_SUBMISSIONS);
}

enum outcome
destinations_find(struct resolver *r, const struct conf *conf, const struct conf_delivery *way,
	const char *lane, struct exchangers *out, struct buf *why)
{
	*out = (struct exchangers){ 0 };
	enum outcome o;
	if (lane_name_route(span_of(lane)).n == 0) {
		o = find_exchangers(r, conf, way, lane, out, why);
	} else if (way->hosts[0] != '\0') {
		o = find_targets(r, conf, way, lane, out, why);
	} else {
		buf_printf(why, "lane %s: there is no such route in the configuration any more",
			lane);
		o = SOFT;
	}
	note_tls_first(out, way);
	if (o == DONE && way->family == FAMILY_PREFER_IPV4)
		prefer_ipv4(out);
	return o;
}

#include "admin/postfix_route.h"

#include <stdlib.h>
#include <string.h>

#include "admin/hop.h"
#include "lib/cleanup.h"

enum { LONG_LIST = 3800 }; /* octets of one key, beside which a name must fit in TRANSLATE_LINE */

/* One thing that a table says. */
struct way {
	enum whose {	   /* in the order in which they are asked */
		OF_DOMAIN, /* mail for one */
		OF_BELOW,  /* ... for those below one, ".example.org" */
		OF_ALL,
		OF_SENDER,
		OF_SENDERS, /* all of a domain */
		OF_POLICY,  /* mail for a domain, by its MX records but with TLS of its own */
	} whose;
	struct span whom; /* as our keys have it: without "@" */
	struct span hops; /* one, or a list */
	bool lmtp;
	const struct postmap_row *row; /* where it stands */
	int number;		       /* in the order of the tables */
	bool written;
};

struct plan {
	struct translation *t;
	struct hops hops;
	struct postmap transports, relays; /* relays: by sender */
	struct way *v;			   /* owned */
	int n, room;
	int sections;
	bool for_all; /* a transport "*" leaves nothing to relayhost */
};

static struct span
first_of(struct span list)
{
	return span_word(&list, " \t,");
}

static void
add(struct plan *p, struct way way)
{
	way.number = p->n;
	if (p->n < p->room)
		p->v[p->n++] = way;
}

/* ---- transport_maps ---------------------------------------------------------------------- */

/* What a transport is here. False: nothing; then that was said. */
static bool
judge_transport(struct plan *p, struct span name, bool hop, struct way *way)
{
	static const char *const none[] = { "local", "virtual", "error", "retry", "discard",
		"procmail", "maildrop", "uucp", "bsmtp", "ifmail", "scalemail-backend", "mailman" };
	way->lmtp = span_eq(name, span_of("lmtp"));
	if (way->lmtp || name.n == 0 || span_eq(name, span_of("smtp")) ||
		span_eq(name, span_of("relay")))
		return true;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		if (!span_eq(name, span_of(none[i])))
			continue;
		translate_warn(p->t,
			i < 2 || i > 4
				? "there is no local delivery; see routes with protocol = lmtp"
				: "no mail is refused or dropped by a table; see recipient_check");
		return false;
	}
	translate_warn(p->t, "\"%.*s\" is a service of master.cf, which is not read; %s",
		(int)name.n, name.p,
		hop ? "it is taken for SMTP" : "see routes, which have terms of their own");
	return hop;
}

/* A hop of ".example.org" or "*" that is each recipient's own domain has no name here. */
static void
add_own_domain(struct plan *p, struct way way, bool smart)
{
	if (way.whose == OF_ALL) {
		p->for_all = true;
		translate_say(p->t, "it goes by the MX records of its domain where nothing else is "
				    "said");
	} else if (!smart) {
		translate_say(p->t, "it goes by the MX records of its domain anyway");
	} else if (way.whose == OF_DOMAIN) {
		way.hops = way.whom;
		add(p, way);
	} else {
		translate_warn(p->t,
			"a route has hosts; write one for each domain there, with that "
			"domain as its hosts");
	}
}

static void
add_transport(struct plan *p, const struct postmap_row *row, struct span relayhost)
{
	struct way way = { .row = row, .whom = row->key };
	struct span hop = row->value, name = span_cut(&hop, ':');
	bool all = row->key.n == 1 && row->key.p[0] == '*';
	postmap_from(p->t, row);
	if (row->kind == POSTMAP_PATTERN && !postmap_is_any(row)) {
		translate_warn(p->t, "routes are for domains and for what is below them");
		return;
	}
	if (!all && memchr(row->key.p, '@', row->key.n) != NULL) {
		translate_warn(p->t, "routes are for domains; see recipient_map");
		return;
	}
	all = all || postmap_is_any(row);
	if (all && p->for_all)
		return; /* one that stands before it has all */
	way.whose = all ? OF_ALL : row->key.p[0] == '.' ? OF_BELOW : OF_DOMAIN;
	hop = span_trim(hop);
	if (!judge_transport(p, name, hop.n > 0, &way))
		return;
	if (name.n == 0 && hop.n == 0)
		hop = relayhost;
	way.hops = hop;
	if (hop.n == 0) {
		add_own_domain(
			p, way, relayhost.n > 0 || postmap_find(&p->transports, span_of("*")));
	} else {
		p->for_all = p->for_all || all;
		if (all)
			way.whom = span_of("*");
		add(p, way);
	}
}

/* ---- senders ----------------------------------------------------------------------------- */

/* The hop for a sender, an address or "@domain"; as it is for all if there is none. */
static struct span
relay_of(const struct plan *p, struct span sender, struct span relayhost)
{
	struct span at = sender;
	const struct postmap_row *row = postmap_find(&p->relays, sender);
	(void)span_cut(&at, '@');
	if (row == NULL && at.n > 0)
		row = postmap_find(&p->relays, (struct span){ at.p - 1, at.n + 1 });
	return row == NULL || span_ieq(row->value, span_of("DUNNO")) ? relayhost : row->value;
}

static void
add_sender(struct plan *p, const struct postmap_row *row, struct span relayhost)
{
	struct way way = { .row = row, .whom = row->key };
	bool domain = row->key.n > 1 && row->key.p[0] == '@';
	postmap_from(p->t, row);
	if (row->kind != POSTMAP_KEY || memchr(row->key.p, '@', row->key.n) == NULL) {
		translate_warn(p->t, "senders of a route are addresses and domains");
		return;
	}
	way.whose = domain ? OF_SENDERS : OF_SENDER;
	way.whom = domain ? span_skip(row->key, 1) : row->key;
	way.hops = relay_of(p, row->key, relayhost);
	for (int i = 0; i < p->n; i++)
		if (p->v[i].whose == way.whose && span_ieq(p->v[i].whom, way.whom))
			return;
	if (way.hops.n > 0)
		add(p, way);
	else
		translate_warn(
			p->t, "a route has hosts: this sender's mail goes by the MX records");
}

/* A row of the map of passwords that is a sender's: one without "@" is a host's. */
static bool
is_sender(const struct postmap_row *row)
{
	return row->kind == POSTMAP_KEY && memchr(row->key.p, '@', row->key.n) != NULL;
}

/* ---- policies of TLS for domains that mail goes to itself -------------------------------- */

static void
add_policy(struct plan *p, const struct postmap_row *row)
{
	struct way way = { .row = row, .whom = row->key, .hops = row->key, .whose = OF_POLICY };
	postmap_from(p->t, row);
	for (int i = 0; i < p->n; i++)
		if (span_ieq(first_of(p->v[i].hops), row->key))
			return; /* it will be there */
	if (row->kind != POSTMAP_KEY || row->key.p[0] == '.')
		translate_warn(p->t,
			"a route has hosts; write one for each domain there, with that "
			"domain as its hosts");
	else if (memchr(row->key.p, ':', row->key.n) != NULL || row->key.p[0] == '[')
		translate_say(p->t, "no mail goes to that host");
	else
		add(p, way);
}

/* ---- sections ---------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	const struct way *one = a, *other = b;
	if (one->whose != other->whose)
		return one->whose < other->whose ? -1 : 1;
	/* The domain that is longer is below the other one, or has nothing to do with it. */
	if (one->whose == OF_BELOW && one->whom.n != other->whom.n)
		return one->whom.n > other->whom.n ? -1 : 1;
	return one->number < other->number ? -1 : 1;
}

static bool
is_of_senders(const struct way *w)
{
	return w->whose == OF_SENDER || w->whose == OF_SENDERS;
}

/* May both be one section? Not if each has a login of its own. */
static bool
is_same(const struct plan *p, const struct way *a, const struct way *b)
{
	bool senders = is_of_senders(a);
	return a->whose == b->whose && a->lmtp == b->lmtp && span_ieq(a->hops, b->hops) &&
	       !(senders && (hop_login_is_his(&p->hops, a->row->key) ||
				    hop_login_is_his(&p->hops, b->row->key)));
}

static void
put_terms(struct plan *p, struct span hops, struct span sender, bool expected)
{
	hop_put_tls(p->t, &p->hops, first_of(hops));
	hop_put_addresses(p->t, p->hops.main);
	hop_put_login(p->t, &p->hops, first_of(hops), sender, expected);
}

/* "example.org example.net": of this way and of those behind it that are the same but for that. */
static int
gather(struct plan *p, int i, struct buf *list)
{
	int n = 0;
	for (int j = i; j < p->n && list->n < LONG_LIST; j++) {
		struct way *w = &p->v[j];
		if (w->written || (j > i && !is_same(p, &p->v[i], w))) {
			/* between domains above each other the order decides */
			if (p->v[i].whose == OF_BELOW)
				break;
			continue;
		}
		buf_printf(list, "%s%.*s", list->n > 0 ? " " : "", (int)w->whom.n, w->whom.p);
		w->written = true;
		n++;
	}
	return n;
}

static void
put_section(struct plan *p, int i)
{
	const struct way *w = &p->v[i];
	bool senders = is_of_senders(w);
	auto_buf list = buf_new(TRANSLATE_LINE), name = buf_new(64);
	int n = gather(p, i, &list);
	struct span sender = senders ? w->row->key : (struct span){ "", 0 };
	if (w->whose == OF_ALL)
		buf_puts(&name, "smarthost");
	else
		buf_printf(&name, "%s-%d",
			senders			? "sender"
			: w->whose == OF_POLICY ? "policy"
						: "transport",
			++p->sections);
	buf_add(&name, (struct span){ "", 1 });
	translate_route(p->t, name.p, senders ? "senders" : "domains", buf_span(&list));
	postmap_from(p->t, w->row);
	if (n > 1)
		translate_say(p->t, "and %d lines more like this one", n - 1);
	if (w->lmtp) {
		hop_put_lmtp(p->t, w->hops);
		return;
	}
	hop_put_hosts(p->t, &p->hops, w->hops, (struct span){ "", 0 }, sender);
	put_terms(p, w->hops, sender, false);
}

static void
put_smarthost(struct plan *p, const struct told *hop)
{
	struct sheet *s = p->hops.main;
	translate_route(p->t, "smarthost", "domains", span_of("*"));
	translate_from(p->t, s, hop);
	hop_put_hosts(p->t, &p->hops, hop->value, translate_value(s, "smtp_fallback_relay"),
		(struct span){ "", 0 });
	put_terms(p, hop->value, (struct span){ "", 0 }, true);
}

/* ---- all together ------------------------------------------------------------------------ */

static void
read_table(struct plan *p, const char *name, struct postmap *m)
{
	const struct told *setting = translate_find(p->hops.main, name);
	*m = (struct postmap){ .n = 0 };
	if (setting == NULL)
		return;
	translate_from(p->t, p->hops.main, setting);
	postmap_read(m, p->t, setting->value, POSTMAP_PAIRS);
}

static void
make_plan(struct plan *p, struct span relayhost)
{
	struct postmap *passwords = &p->hops.passwords, *policies = &p->hops.policies;
	for (int i = 0; i < p->transports.n; i++)
		if (postmap_find(&p->transports, p->transports.v[i].key) == &p->transports.v[i] ||
			p->transports.v[i].kind != POSTMAP_KEY)
			add_transport(p, &p->transports.v[i], relayhost);
	/* Nothing of this is asked where "*" has all. */
	for (int i = 0; i < p->relays.n && !p->for_all; i++)
		add_sender(p, &p->relays.v[i], relayhost);
	for (int i = 0; i < passwords->n && p->hops.by_sender && !p->for_all; i++)
		if (is_sender(&passwords->v[i]))
			add_sender(p, &passwords->v[i], relayhost);
	for (int i = 0; i < policies->n && relayhost.n == 0 && !p->for_all; i++)
		add_policy(p, &policies->v[i]);
	qsort(p->v, (size_t)p->n, sizeof(*p->v), compare);
}

void
postfix_route_put(struct translation *t, struct sheet *s)
{
	struct plan p = { .t = t };
	const struct told *hop = translate_find(s, "relayhost");
	struct span relayhost = translate_value(s, "relayhost");
	hop_read(&p.hops, t, s);
	read_table(&p, "transport_maps", &p.transports);
	read_table(&p, "sender_dependent_relayhost_maps", &p.relays);
	p.room = p.transports.n + p.relays.n + p.hops.passwords.n + p.hops.policies.n;
	p.v = calloc((size_t)p.room + 1, sizeof(*p.v));
	if (p.v == NULL)
		p.room = 0;
	make_plan(&p, relayhost);
	if (relayhost.n == 0) {
		hop_put_tls(t, &p.hops, (struct span){ "", 0 });
		hop_put_addresses(t, s);
	}
	for (int i = 0; i < p.n; i++)
		if (!p.v[i].written)
			put_section(&p, i);
	if (relayhost.n > 0 && !p.for_all)
		put_smarthost(&p, hop);
	translate_from_nothing(t);
	free(p.v);
	postmap_free(&p.transports);
	postmap_free(&p.relays);
	hop_free(&p.hops);
}

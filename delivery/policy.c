#include "delivery/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dns/tlsa.h"
#include "lib/cleanup.h"
#include "mail/lane_name.h"

const char *
policy_word(enum conf_delivery_tls tls)
{
	static const char *const words[] = { [DELIVERY_TLS_NONE] = "none",
		[DELIVERY_TLS_MAY] = "may", [DELIVERY_TLS_ENCRYPT] = "encrypt",
		[DELIVERY_TLS_VERIFY] = "verify" };
	return words[tls];
}

const char *
policy_source_word(enum policy_source source)
{
	static const char *const words[] = { [POLICY_SETTING] = "setting",
		[POLICY_DANE] = "dane", [POLICY_STS] = "mta-sts" };
	return words[source];
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

static void say(struct policy *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct policy *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->words, sizeof(p->words), fmt, ap);
	va_end(ap);
}

/*
 * What DNSSEC says stands above `may` and `encrypt`. Who wants no TLS gets none. Who wants an
 * authority to have signed the certificate (`verify`) gets both. Records that nothing can be
 * compared with say that the host has TLS (RFC 7672 section 2.2).
 */
static void
apply_dane(struct policy *p, struct tlsa *t)
{
	auto_buf records = buf_new(POLICY_WORDS / 2);
	bool verify = p->tls == DELIVERY_TLS_VERIFY, usable = tlsa_has_usable(t);
	p->source = POLICY_DANE;
	p->tls = verify ? DELIVERY_TLS_VERIFY : DELIVERY_TLS_ENCRYPT;
	p->tlsa = usable ? t : NULL;
	p->barred = p->barred && !usable;
	tlsa_describe(t, &records);
	say(p, "DANE: %.*s, DNSSEC secure%s%s", (int)records.n, records.n > 0 ? records.p : "",
		usable ? "" : ": no record that can be used, so any certificate",
		verify ? "; and delivery_tls = verify" : "");
}

static bool
is_enforced(const struct sts_policy *sts)
{
	return sts != NULL && sts->mode == STS_ENFORCE;
}

/*
 * A policy of mode enforce: TLS, and a certificate for the exchanger, whose name is one of those
 * that the domain has proved to be its own (RFC 8461 sections 4.1, 4.2).
 */
static void
apply_sts(struct policy *p, const struct policy_facts *f)
{
	const char *host = f->to->host;
	p->source = POLICY_STS;
	p->tls = DELIVERY_TLS_VERIFY;
	p->barred = !sts_allows(f->sts, span_of(host));
	snprintf(p->target, sizeof(p->target), "%s", p->barred ? "" : host);
	say(p, "MTA-STS: enforce, id %s%s %s", f->sts_id, p->barred ? ", does not name" : ":",
		host);
}

void
policy_decide(struct policy *p, const struct policy_facts *f)
{
	const struct conf_delivery *d = f->delivery;
	struct tlsa *t = f->to->tlsa;
	*p = (struct policy){ .source = POLICY_SETTING, .tls = d->tls };
	name_target(p, f);
	p->barred = d->dane == CONF_DANE_ONLY; /* until it has a record that counts */
	if (f->to->vouched)
		snprintf(p->vouched, sizeof(p->vouched), "%s%s%s", f->to->host,
			f->to->also[0] != '\0' ? " " : "", f->to->also);
	say(p, "delivery_tls = %s", policy_word(p->tls));
	if (p->tls == DELIVERY_TLS_NONE)
		return;
	if (t != NULL && d->dane != CONF_DANE_OFF && !f->relaxed)
		apply_dane(p, t);
	/* DANE decides where it holds (RFC 8461 section 2) */
	if (p->tlsa == NULL && is_enforced(f->sts) && !f->relaxed)
		apply_sts(p, f);
	if (d->dane == CONF_DANE_ONLY && p->tlsa == NULL) {
		p->barred = true; /* whatever else was found */
		say(p, "dane = only, and %s has no TLSA record that counts", f->to->host);
	}
}

/* If there is room: who has more names than that may do without some. */
static void
add_name(struct exchanger *to, const char *name)
{
	int names = 2; /* its own, and this one */
	size_t n = strlen(to->also), at = n > 0 ? n + 1 : 0, more = strlen(name) + 1;
	for (size_t i = 0; i < n; i++)
		names += i == 0 || to->also[i] == ' ';
	if (names > POLICY_NAMES || at + more > sizeof(to->also))
		return;
	if (n > 0)
		to->also[n] = ' ';
	memcpy(to->also + at, name, more);
}

/*
 * Is it a second name of a host that is left already, where nothing depends on the name? So it is
 * if settings decide: what a policy asks for is about a name, or has records of its own. Then the
 * host has this name, too. Or has the host enough names?
 */
static bool
joins(struct exchangers *left, const struct exchanger *e, const struct policy *p)
{
	int names = 0;
	for (size_t i = 0; i < left->n && !e->named; i++) {
		struct exchanger *other = &left->v[i];
		if (!netaddr_eq(&other->addr, &e->addr) || other->port != e->port || other->named)
			continue;
		if (p->source == POLICY_SETTING && other->tlsa == NULL) {
			if (e->vouched && other->vouched)
				add_name(other, e->host);
			return true;
		}
		names++;
	}
	return names >= POLICY_NAMES;
}

bool
policy_sift(struct exchangers *x, const struct policy_facts *facts, struct buf *why)
{
	size_t before = x->n;
	x->n = 0;
	for (size_t i = 0; i < before; i++) {
		struct policy p;
		struct policy_facts f = *facts;
		f.to = &x->v[i];
		policy_decide(&p, &f);
		if (p.barred && i == 0) {
			buf_reset(why);
			buf_puts(why, p.words);
		} else if (!p.barred && !joins(x, &x->v[i], &p)) {
			x->v[x->n++] = x->v[i];
		}
	}
	return x->n > 0 || before == 0;
}

bool
policy_bars_any(const struct exchangers *x, const struct policy_facts *facts)
{
	bool any = false;
	for (size_t i = 0; i < x->n && !any; i++) {
		struct policy p;
		struct policy_facts f = *facts;
		f.to = &x->v[i];
		policy_decide(&p, &f);
		any = p.barred && policy_is_theirs(&p);
	}
	return any;
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

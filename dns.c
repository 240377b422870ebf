/*
 * Mail exchangers: from a domain to the addresses that take its mail, by questions that
 * dns/question.c asks. Never blocks beyond the deadline it is given; never takes an answer it does
 * not understand for a "no": whatever is odd is temporary.
 */
#include "dns.h"

#include <stdlib.h>
#include <string.h>

#include "dns/addresses.h"
#include "dns/hosts_file.h"
#include "dns/mx.h"
#include "dns/name.h"
#include "dns/question.h"
#include "lib/cleanup.h"
#include "lib/wait.h"

/* ---- what a domain says ------------------------------------------------------------------- */

static enum answer
find_literal(const char *domain, enum family family, struct exchangers *out)
{
	struct span s = { domain + 1, strlen(domain) - 2 };
	struct netaddr a;
	if (span_istarts(s, span_of("IPv6:")))
		s = span_skip(s, strlen("IPv6:"));
	bool room = exchangers_make_room(out, 1);
	if (!room || netaddr_parse(s, &a) < 0) {
		exchangers_explain(out, domain, "literal", "cannot be read");
		return room ? ANSWER_NO_NAME : ANSWER_TEMPORARY;
	}
	if (family == (netaddr_is_v4(&a) ? FAMILY_IPV6 : FAMILY_IPV4)) {
		exchangers_explain(out, domain, "literal", "not of a family that is used here");
		return ANSWER_NO_DATA;
	}
	exchangers_add(out, 0, domain, &a);
	return ANSWER_FOUND;
}

/* The addresses of `dn`, as if it were its own mail exchanger (RFC 5321 section 5.1). */
static enum answer
find_implicit(const struct search *s, dnscc_t *dn)
{
	struct mx h = { .preference = 0 };
	memcpy(h.name, dn, dns_dnlen(dn));
	s->out->implicit = true;
	return addresses_find(s, &h, 1, ANSWER_NO_DATA);
}

/*
 * No MX record: the domain's own addresses. If there are none, or none that is of use, that is for
 * good only if it is sure that there is no MX record either (L5).
 */
static enum answer
find_without_mx(const struct search *s, dnscc_t *dn, const struct question *mx)
{
	s->out->secure = mx->secure;
	enum answer a = find_implicit(s, dn);
	if (mx->said != SAID_EMPTY || a == ANSWER_TEMPORARY)
		return a;
	exchangers_note_unknown(s->out, EXCHANGER_ABOVE, s->domain, "MX", mx->trouble);
	return a == ANSWER_FOUND ? ANSWER_FOUND : ANSWER_TEMPORARY;
}

/* The hosts that the records in q name. */
static enum answer
find_by_mx(const struct search *s, const struct question *q)
{
	auto_memory struct mx_set *mx = calloc(1, sizeof(*mx));
	const char *why = mx != NULL ? NULL : "out of memory";
	enum answer a = mx != NULL ? mx_read(q, mx, &why) : ANSWER_TEMPORARY;
	if (why != NULL)
		exchangers_explain(s->out, s->domain, "MX", why);
	if (a != ANSWER_FOUND)
		return a;
	s->out->own = mx_preference_of(mx, s->r->own);
	s->out->secure = q->secure;
	if (q->links > 0)
		name_write(q->name, s->out->end);
	return addresses_find(s, mx->v, (size_t)mx->n, ANSWER_NO_HOST);
}

/* The MX records of a domain, and what else is asked for. */
static void
ask_for_mx(struct resolver *r, dnscc_t *dn, int64_t deadline, struct question *mx)
{
	struct question q[2];
	bool also = r->also.take != NULL;
	question_set(&q[0], dn, DNS_T_MX);
	if (also)
		question_set(&q[1], r->also.name, r->also.type);
	q[1].spare = true;
	question_ask(r, q, also ? 2 : 1, deadline);
	if (also)
		r->also.take(&q[1], r->also.out);
	*mx = q[0];
}

static enum answer
find_domain(const struct search *s, dnscc_t *dn)
{
	struct question q;
	ask_for_mx(s->r, dn, s->deadline, &q);
	enum answer a = ANSWER_TEMPORARY;
	switch (q.said) {
	case SAID_RECORDS:
		a = find_by_mx(s, &q);
		break;
	case SAID_NOTHING:
	case SAID_EMPTY:
		a = find_without_mx(s, dn, &q);
		break;
	case SAID_NO_NAME:
		exchangers_explain(s->out, s->domain, "MX", "NXDOMAIN");
		a = ANSWER_NO_NAME;
		break;
	default:
		exchangers_explain(s->out, s->domain, "MX", q.trouble);
	}
	free(q.packet);
	return a;
}

/* ---- whose fault it is that there is no answer --------------------------------------------- */

/*
 * Before a look-up: after one in which no server said anything, the servers are asked for a sign of
 * life first, for there may be many domains to wait for. False: there is none.
 */
static bool
begin(struct resolver *r, const char *name, struct exchangers *out)
{
	r->reached = false;
	if (r->lost)
		(void)question_probe(r);
	if (!r->lost || r->reached)
		return true;
	out->unreached = true;
	exchangers_explain(out, name, "not asked for", "no nameserver answers");
	return false;
}

static bool
ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), k = strlen(end);
	return n >= k && strcmp(text + n - k, end) == 0;
}

/* After it: whose fault is it that there is no answer? Nobody's, if it was cut short. */
static enum answer
blame(struct resolver *r, enum answer a, struct exchangers *out)
{
	bool vain = a == ANSWER_TEMPORARY && !wait_is_told();
	const char *trouble = vain ? question_probe(r) : NULL;
	r->lost = vain && !r->reached && !wait_is_told();
	out->unreached = r->lost;
	out->unsound = trouble != NULL && !r->lost && !wait_is_told() &&
		ends_in(out->why, trouble); /* some have no root, and refuse it */
	return a;
}

/* ---- look-ups ------------------------------------------------------------------------------ */

enum answer
resolver_addresses(struct resolver *r, const char *host, enum family family, int64_t deadline,
	struct exchangers *out)
{
	const struct search s = { r, host, family, deadline, out };
	dnsc_t dn[DNS_MAXDN];
	exchangers_begin(out);
	if (dns_ptodn(host, 0, dn, sizeof(dn), NULL) <= 0) {
		exchangers_explain(out, host, "addresses", "not a domain name");
		return ANSWER_NO_NAME;
	}
	if (!begin(r, host, out))
		return ANSWER_TEMPORARY;
	out->secure = r->trusted;
	return blame(r, find_implicit(&s, dn), out);
}

static enum answer
find_exchangers(const struct search *s)
{
	dnsc_t dn[DNS_MAXDN];
	exchangers_begin(s->out);
	if (s->domain[0] == '[')
		return find_literal(s->domain, s->family, s->out);
	if (dns_ptodn(s->domain, 0, dn, sizeof(dn), NULL) <= 0) {
		exchangers_explain(s->out, s->domain, "MX", "not a domain name");
		return ANSWER_NO_NAME;
	}
	if (!begin(s->r, s->domain, s->out))
		return ANSWER_TEMPORARY;
	return blame(s->r, find_domain(s, dn), s->out);
}

enum answer
resolver_exchangers(struct resolver *r, const char *domain, enum family family, int64_t deadline,
	struct exchangers *out)
{
	const struct search s = { r, domain, family, deadline, out };
	enum answer a = find_exchangers(&s);
	r->also.take = NULL; /* asked for or not: who wants it may be gone by the next one */
	return a;
}

enum answer
resolver_named(struct resolver *r, const char *host, enum family family, struct exchangers *out)
{
	exchangers_begin(out);
	return r->hosts != NULL ? hosts_file_find(r->hosts, host, family, out) : ANSWER_NO_NAME;
}

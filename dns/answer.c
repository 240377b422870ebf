#include "dns/answer.h"

#include <stdlib.h>
#include <string.h>

enum { RCODE_BITS = 4, OPT_RCODE_SHIFT = 24 };

void
answer_trouble(struct question *q, const char *what)
{
	q->said = SAID_TROUBLE;
	q->trouble = what;
}

static const char *
rcode_name(unsigned rcode)
{
	switch (rcode) {
	case DNS_R_FORMERR:
		return "FORMERR";
	case DNS_R_SERVFAIL:
		return "SERVFAIL";
	case DNS_R_NOTIMPL:
		return "NOTIMP";
	case DNS_R_REFUSED:
		return "REFUSED";
	case DNS_R_BADSIG: /* the same number means a version of EDNS (RFC 6891 section 6.1.3) */
		return "BADVERS";
	default:
		return "an answer that makes no sense";
	}
}

static bool
is_answer(unsigned rcode)
{
	return rcode == DNS_R_NOERROR || rcode == DNS_R_NXDOMAIN;
}

/* ---- records ---------------------------------------------------------------------------- */

/* The records of a packet, one section after the other. */
struct walk {
	struct dns_parse p;
	enum { ANSWERS, AUTHORITY, ADDITIONAL, SECTIONS } section;
};

/* From `cur`, the end of the question's name. */
static void
walk_begin(struct walk *w, dnscc_t *pkt, dnscc_t *end, dnscc_t *cur)
{
	w->section = ANSWERS;
	dns_initparse(&w->p, NULL, pkt, cur, end);
	w->p.dnsp_qtyp = 0; /* all types and classes: we choose */
	w->p.dnsp_qcls = 0;
}

/* 1: *rr is the next one; 0: there is none; <0: garbage. */
static int
walk_next(struct walk *w, struct dns_rr *rr)
{
	int r;
	while ((r = dns_nextrr(&w->p, rr)) == 0 && ++w->section < SECTIONS)
		w->p.dnsp_rrl = (int)dns_get16(w->p.dnsp_pkt + DNS_H_ANCNT + 2 * w->section);
	return r;
}

/*
 * The end of the question's name, where udns' parser wants to start (the answers stand four octets
 * behind it), or NULL. (udns' dns_skipdn fails on good names.)
 */
static dnscc_t *
behind_name(dnscc_t *pkt, dnscc_t *end, dnsc_t dn[static DNS_MAXDN])
{
	dnscc_t *cur = pkt + DNS_HSIZE;
	return dns_getdn(pkt, &cur, end, dn, DNS_MAXDN) > 0 && end - cur >= 4 ? cur : NULL;
}

/* The same, or NULL if the packet is not an answer to this question. */
static dnscc_t *
check_question(const struct question *q, dnscc_t *pkt, dnscc_t *end)
{
	dnsc_t dn[DNS_MAXDN];
	if (end - pkt < DNS_HSIZE || !dns_qr(pkt) || dns_numqd(pkt) != 1)
		return NULL;
	dnscc_t *cur = behind_name(pkt, end, dn);
	if (cur == NULL || !dns_dnequal(dn, q->name) || dns_get16(cur) != (unsigned)q->type ||
		dns_get16(cur + 2) != DNS_C_IN)
		return NULL;
	return cur;
}

bool
answer_belongs(const struct question *q, dnscc_t *pkt, int length)
{
	if (length < DNS_HSIZE || !dns_qr(pkt) || dns_qid(pkt) != q->id)
		return false;
	return dns_numqd(pkt) == 0 ? !is_answer(dns_rcode(pkt))
				   : check_question(q, pkt, pkt + length) != NULL;
}

bool
answer_is_moot(const struct question *q)
{
	for (int i = 0; i < 2 && q->of[i] != NULL; i++) {
		enum said said = q->of[i]->said;
		bool none = said == SAID_NOTHING || said == SAID_NO_NAME;
		if (!none && (said != SAID_RECORDS || q->of[i]->secure))
			return false;
	}
	return q->of[0] != NULL;
}

/* Calls `take` for each answer of name `dn` and this type. How many there were, or <0. */
static int
each(dnscc_t *pkt, dnscc_t *end, dnscc_t *cur, dnscc_t *dn, enum dns_type type, take_fn *take,
	void *ctx)
{
	struct walk w;
	struct dns_rr rr;
	int n = 0, r;
	walk_begin(&w, pkt, end, cur);
	while ((r = walk_next(&w, &rr)) > 0 && w.section == ANSWERS && n < RECORDS_MAX) {
		if (rr.dnsrr_cls != DNS_C_IN || rr.dnsrr_typ != type ||
			!dns_dnequal(rr.dnsrr_dn, dn))
			continue;
		n++;
		r = take(ctx, pkt, end, &rr);
		if (r < 0)
			return r;
	}
	return r < 0 && w.section == ANSWERS ? r : n;
}

int
answer_each(const struct question *q, take_fn *take, void *ctx)
{
	dnsc_t asked[DNS_MAXDN];
	dnscc_t *end = q->packet + q->length, *cur = behind_name(q->packet, end, asked);
	return cur != NULL ? each(q->packet, end, cur, q->name, q->type, take, ctx) : -1;
}

static int
take_cname(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	dnscc_t *cur = rr->dnsrr_dptr;
	dnsc_t dn[DNS_MAXDN];
	if (dns_getdn(pkt, &cur, end, dn, sizeof(dn)) <= 0 || cur != rr->dnsrr_dend)
		return -1;
	memcpy(ctx, dn, sizeof(dn));
	return 0;
}

static int
take_any(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	(void)ctx;
	(void)pkt;
	(void)end;
	(void)rr;
	return 0;
}

/* ---- what stands behind the answers ------------------------------------------------------ */

struct rest {
	unsigned rcode; /* with the upper bits that EDNS adds */
	bool soa;
	dnsc_t zone[DNS_MAXDN]; /* whose SOA it is */
	bool referral;          /* names of other servers */
	bool broken;
};

static void
read_rest(dnscc_t *pkt, dnscc_t *end, dnscc_t *cur, struct rest *out)
{
	struct walk w;
	struct dns_rr rr;
	int r, options = 0;
	*out = (struct rest){ .rcode = dns_rcode(pkt) };
	walk_begin(&w, pkt, end, cur);
	while ((r = walk_next(&w, &rr)) > 0) {
		if (w.section == AUTHORITY && rr.dnsrr_typ == DNS_T_SOA &&
			rr.dnsrr_cls == DNS_C_IN) {
			out->soa = true;
			memcpy(out->zone, rr.dnsrr_dn, dns_dnlen(rr.dnsrr_dn));
		} else if (w.section == AUTHORITY && rr.dnsrr_typ == DNS_T_NS) {
			out->referral = true;
		} else if (w.section == ADDITIONAL && rr.dnsrr_typ == DNS_T_OPT) {
			out->rcode |= rr.dnsrr_ttl >> OPT_RCODE_SHIFT << RCODE_BITS;
			options++;
		}
	}
	out->broken = r < 0 || options > 1;
}

/* Is the name in the zone? */
static bool
is_within(dnscc_t *name, dnscc_t *zone)
{
	for (;; name += *name + 1U) {
		if (dns_dnequal(name, zone))
			return true;
		if (*name == 0)
			return false;
	}
}

/* ---- the whole --------------------------------------------------------------------------- */

static void
keep(struct question *q, dnscc_t *pkt, int length)
{
	q->packet = malloc((size_t)length);
	if (q->packet == NULL) {
		answer_trouble(q, "out of memory");
		return;
	}
	memcpy(q->packet, pkt, (size_t)length);
	q->length = length;
	q->said = SAID_RECORDS;
}

/*
 * Follows the aliases in the packet, as far as they go. How many records of the type that was asked
 * for the last name has; <0: q->trouble says why nobody knows.
 */
static int
follow(struct question *q, dnscc_t *pkt, dnscc_t *end, dnscc_t *cur)
{
	dnsc_t target[DNS_MAXDN];
	for (;;) {
		int n = each(pkt, end, cur, q->name, q->type, take_any, NULL);
		int links = n == 0 ? each(pkt, end, cur, q->name, DNS_T_CNAME, take_cname, target)
				   : 0;
		if (n < 0 || links < 0) {
			answer_trouble(q, "garbage in the answer");
			return -1;
		}
		if (links == 0)
			return n;
		memcpy(q->name, target, dns_dnlen(target));
		if (++q->links > LINKS_MAX) {
			answer_trouble(q, "endless CNAME chain");
			return -1;
		}
	}
}

/* What an answer without records says; `followed`: the name is the end of a chain of aliases. */
static void
read_absence(struct question *q, const struct rest *rest, bool followed)
{
	if (followed && rest->rcode == DNS_R_NOERROR)
		q->said = SAID_ELSEWHERE;
	else if (rest->broken)
		answer_trouble(q, "garbage in the answer");
	else if (rest->rcode == DNS_R_NXDOMAIN)
		q->said = SAID_NO_NAME;
	else if (rest->soa && is_within(q->name, rest->zone))
		q->said = SAID_NOTHING;
	else if (rest->referral)
		answer_trouble(q, "a referral to other servers");
	else {
		answer_trouble(q, "an empty answer without SOA");
		q->said = SAID_EMPTY;
	}
}

static void
read_packet(struct question *q, dnscc_t *pkt, int length)
{
	dnscc_t *end = pkt + length, *cur = check_question(q, pkt, end);
	unsigned rcode = length >= DNS_HSIZE && dns_qr(pkt) ? dns_rcode(pkt) : DNS_R_NOERROR;
	if (cur == NULL || !is_answer(rcode)) { /* an error may come without the question */
		answer_trouble(q, rcode_name(rcode));
		return;
	}
	if (dns_tc(pkt)) {
		q->said = SAID_TRUNCATED;
		return;
	}
	struct rest rest;
	read_rest(pkt, end, cur, &rest);
	if (!is_answer(rest.rcode)) {
		answer_trouble(q, rcode_name(rest.rcode));
		return;
	}
	int before = q->links;
	int n = follow(q, pkt, end, cur);
	if (n > 0 && rest.rcode == DNS_R_NXDOMAIN)
		answer_trouble(q, rcode_name(rest.rcode));
	else if (n > 0)
		keep(q, pkt, length);
	else if (n == 0)
		read_absence(q, &rest, q->links > before);
}

/*
 * What did not help leaves the question as it was. Of what did, each packet on the way must have
 * been validated, or nothing is.
 */
void
answer_read(struct question *q, dnscc_t *pkt, int length)
{
	struct question before = *q;
	read_packet(q, pkt, length);
	bool secure = before.secure && length >= DNS_HSIZE && dns_ad(pkt) != 0;
	q->denied = q->said == SAID_EMPTY && secure;
	if (q->said != SAID_TROUBLE && q->said != SAID_EMPTY && q->said != SAID_TRUNCATED)
		q->secure = secure;
	if (q->said != SAID_TROUBLE && q->said != SAID_EMPTY)
		return;
	memcpy(q->name, before.name, dns_dnlen(before.name));
	q->links = before.links;
}

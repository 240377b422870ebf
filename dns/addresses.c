#include "dns/addresses.h"

#include <stdlib.h>
#include <string.h>

#include "dns/discovery.h"
#include "dns/name.h"
#include "lib/clock.h"

/*
 * An alias leads to more questions about its TLSA records. One part in so many of the time is kept
 * for them, or silence about one host would take it all.
 */
enum { ALIAS_SHARE = 4 };

/* ---- what an answer says ------------------------------------------------------------------ */

static int
take(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct addresses *a = ctx;
	(void)pkt;
	(void)end;
	bool v4 = rr->dnsrr_typ == DNS_T_A;
	if (rr->dnsrr_dsz != (v4 ? 4U : 16U))
		return -1;
	if (a->n == EXCHANGER_ADDRESSES_MAX)
		return 0;
	struct netaddr *out = &a->v[a->n++];
	*out = (struct netaddr){ .ip = { [10] = 0xff, [11] = 0xff } };
	memcpy(v4 ? out->ip + 12 : out->ip, rr->dnsrr_dptr, rr->dnsrr_dsz);
	return 0;
}

bool
addresses_read(const struct question *q, struct addresses *out)
{
	out->n = 0;
	if (q->said != SAID_RECORDS || answer_each(q, take, out) >= 0)
		return true;
	out->n = 0;
	return false;
}

/* ---- what it is for a host ---------------------------------------------------------------- */

static void
note_unknown(struct exchangers *out, const struct mx *h, const char *what, const char *why)
{
	char name[LIMIT_DOMAIN + 1];
	name_write(h->name, name);
	exchangers_note_unknown(out, h->preference, name, what, why);
}

/*
 * By the answers for AAAA and A. Caches that drop the SOA of "no data" are common: of a host that
 * has addresses of one family, they are believed that it has none of the other.
 */
static void
add_host(struct exchangers *out, const struct mx *h, const struct question q[static 2])
{
	struct addresses v[2]; /* 13 KiB */
	bool good[2] = { addresses_read(&q[0], &v[0]), addresses_read(&q[1], &v[1]) };
	bool none = v[0].n == 0 && v[1].n == 0;
	char name[LIMIT_DOMAIN + 1];
	for (int i = 0; i < 2; i++)
		if (q[i].said == SAID_TROUBLE || (q[i].said == SAID_EMPTY && none) || !good[i])
			note_unknown(out, h, "addresses",
				good[i] ? q[i].trouble : "garbage in the answer");
	if (none || !exchangers_make_room(out, v[0].n + v[1].n)) {
		if (!none)
			note_unknown(out, h, "addresses", "out of memory");
		return;
	}
	name_write(h->name, name);
	for (size_t i = 0; i < v[0].n || i < v[1].n; i++)
		for (int family = 0; family < 2; family++)
			if (i < v[family].n)
				exchangers_add(out, h->preference, name, &v[family].v[i]);
}

/* A host with what it asks for, or, if that is not known, without its addresses. */
static void
add_with_dane(struct exchangers *out, const struct mx *h, const struct discovery *d)
{
	size_t before = out->n;
	const char *trouble = d->trouble;
	if (d->tlsa != NULL && !exchangers_own(out, d->tlsa)) {
		tlsa_drop(d->tlsa);
		trouble = "out of memory";
	}
	if (trouble != NULL) {
		note_unknown(out, h, "TLSA", trouble);
		out->unproved = true;
		return;
	}
	if (d->tlsa != NULL)
		snprintf(d->tlsa->domain, sizeof(d->tlsa->domain), "%s", out->end);
	add_host(out, h, d->address);
	for (; before < out->n; before++)
		out->v[before].tlsa = d->tlsa;
}

/* ---- what is asked about all of them at once ---------------------------------------------- */

struct look_up {
	struct question *q;     /* of each host: AAAA, A */
	struct question *own;   /* ... and its TLSA records; NULL: they are not asked for */
	struct discovery *dane; /* ... and what they say */
	size_t n;               /* hosts */
};

static void
look_up_free(struct look_up *l)
{
	for (size_t i = 0; i < 2 * l->n && l->q != NULL; i++)
		free(l->q[i].packet);
	for (size_t i = 0; i < l->n && l->own != NULL; i++)
		free(l->own[i].packet);
	free(l->q);
	free(l->dane);
}

/* A question that is not asked, and agrees with any answer to the other one. */
static void
leave_out(struct question *q)
{
	q->open = false;
	q->said = SAID_NO_NAME;
}

/* The questions lie behind each other. False: out of memory. */
static bool
look_up_begin(struct look_up *l, const struct mx *h, size_t n, enum family family, uint16_t dane)
{
	*l = (struct look_up){ .n = n, .q = calloc(n * 3, sizeof(*l->q)),
		.dane = calloc(n, sizeof(*l->dane)) };
	if (l->q == NULL || l->dane == NULL)
		return false;
	l->own = dane != 0 ? l->q + 2 * n : NULL;
	for (size_t i = 0; i < n; i++) {
		question_set(&l->q[2 * i], h[i].name, DNS_T_AAAA);
		question_set(&l->q[2 * i + 1], h[i].name, DNS_T_A);
		if (family == FAMILY_IPV4)
			leave_out(&l->q[2 * i]);
		if (family == FAMILY_IPV6)
			leave_out(&l->q[2 * i + 1]);
		l->dane[i] = (struct discovery){ .host = h[i].name, .address = &l->q[2 * i],
			.own = l->own != NULL ? &l->own[i] : NULL };
		if (dane != 0)
			discovery_prepare(&l->dane[i], dane);
	}
	return true;
}

/* Asks, and adds what comes of it. True: the name of no host exists. */
static bool
look_up_all(const struct search *s, struct look_up *l, const struct mx *h, uint16_t dane)
{
	bool no_name = true;
	int64_t first = s->deadline - (dane != 0 ? clock_left(s->deadline) / ALIAS_SHARE : 0);
	question_ask(s->r, l->q, l->n * (dane != 0 ? 3 : 2), first);
	if (dane != 0)
		discovery_conclude(s->r, l->dane, l->n, dane, s->deadline);
	for (size_t i = 0; i < l->n; i++) {
		add_with_dane(s->out, &h[i], &l->dane[i]);
		no_name = no_name && l->q[2 * i].said == SAID_NO_NAME &&
			l->q[2 * i + 1].said == SAID_NO_NAME;
	}
	return no_name;
}

enum answer
addresses_find(const struct search *s, const struct mx *h, size_t n, enum answer none)
{
	struct look_up l;
	struct exchangers *out = s->out;
	size_t some = n < EXCHANGER_HOSTS_MAX ? n : EXCHANGER_HOSTS_MAX;
	if (some < n)
		note_unknown(out, &h[some], "addresses", "not looked up, there are too many hosts");
	uint16_t dane = s->r->trusted && out->secure ? s->r->dane : 0;
	if (!look_up_begin(&l, h, some, s->family, dane)) {
		look_up_free(&l);
		exchangers_explain(out, s->domain, "addresses", "out of memory");
		return ANSWER_TEMPORARY;
	}
	bool no_name = look_up_all(s, &l, h, dane);
	look_up_free(&l);
	if (out->n > 0)
		return ANSWER_FOUND;
	if (out->unknown != EXCHANGER_BEYOND)
		return ANSWER_TEMPORARY;
	exchangers_explain(out, s->domain, "addresses", "none");
	return none == ANSWER_NO_DATA && no_name ? ANSWER_NO_NAME : none;
}

#include "dns/mx.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/span.h"

/* Letters, digits, "-", "_", "." only; anything else is not connected to (G12). */
static bool
is_plain(dnscc_t *dn)
{
	static const char allowed[] = "-_";
	for (dnscc_t *p = dn; *p != 0; p += *p + 1U)
		for (unsigned i = 1; i <= *p; i++) {
			char c = ascii_lower((char)p[i]);
			bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
			if (!ok && (c == '\0' || strchr(allowed, c) == NULL))
				return false;
		}
	return true;
}

static int
take(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct mx_set *h = ctx;
	dnscc_t *cur = rr->dnsrr_dptr + 2;
	struct mx *x = &h->v[h->n];
	if (rr->dnsrr_dsz < 3 || h->n == RECORDS_MAX)
		return -1;
	if (dns_getdn(pkt, &cur, end, x->name, sizeof(x->name)) <= 0 || cur != rr->dnsrr_dend)
		return -1;
	x->preference = (uint16_t)dns_get16(rr->dnsrr_dptr);
	if (getrandom(&x->order, sizeof(x->order), 0) != (ssize_t)sizeof(x->order))
		return -1;
	if (x->name[0] == 0)
		h->nulls++;
	else if (is_plain(x->name))
		h->n++;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct mx *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

enum answer
mx_read(const struct question *q, struct mx_set *out, const char **why)
{
	int n = answer_each(q, take, out);
	if (n < 0) {
		*why = "garbage in the answer";
		return ANSWER_TEMPORARY;
	}
	if (n == 1 && out->nulls == 1)
		return ANSWER_NULL_MX;
	qsort(out->v, (size_t)out->n, sizeof(out->v[0]), compare);
	if (out->n > 0)
		return ANSWER_FOUND;
	*why = "no host with a usable name";
	return ANSWER_NO_HOST;
}

int
mx_preference_of(const struct mx_set *mx, dnscc_t *name)
{
	for (int i = 0; i < mx->n; i++)
		if (dns_dnequal(mx->v[i].name, name))
			return mx->v[i].preference;
	return EXCHANGER_BEYOND;
}

#include "dns/tlsa.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 3, SHA256_SIZE = 32, SHA512_SIZE = 64, DESCRIBED = 4 };

/* Octets of data go into the set one after the other. */
struct reading {
	struct tlsa *t;
	size_t used, room;
};

/* For one that can be used, or not; NULL: it is left out. */
static struct tlsa_record *
find_place(struct tlsa *t, bool usable)
{
	if (t->n < TLSA_RECORDS_MAX)
		return &t->v[t->n++];
	for (size_t i = 0; i < t->n && usable; i++)
		if (!tlsa_is_usable(&t->v[i]))
			return &t->v[i];
	return NULL;
}

/*
 * A record without its three numbers is none (RFC 6698 section 2.1): then nobody knows what the
 * zone says. More than there is room for are left out, and first those that cannot be used: so that
 * can only make it harder to pass, where without a usable one any certificate would.
 */
static int
take_record(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct reading *r = ctx;
	(void)pkt;
	(void)end;
	if (rr->dnsrr_dsz < HEAD)
		return -1;
	size_t n = rr->dnsrr_dsz - HEAD;
	uint8_t *data = r->t->data + r->used;
	const struct tlsa_record one = { .usage = rr->dnsrr_dptr[0],
		.selector = rr->dnsrr_dptr[1], .matching = rr->dnsrr_dptr[2],
		.n = (uint16_t)n, .data = data };
	struct tlsa_record *place = n <= r->room - r->used
		? find_place(r->t, tlsa_is_usable(&one)) : NULL;
	if (place == NULL)
		return 0;
	memcpy(data, rr->dnsrr_dptr + HEAD, n);
	r->used += n;
	*place = one;
	return 0;
}

struct tlsa *
tlsa_read(const struct question *q, const char **trouble)
{
	size_t room = (size_t)q->length; /* of the packet: no more octets are in it */
	struct tlsa *t = malloc(sizeof(*t) + room);
	*trouble = "out of memory";
	if (t == NULL)
		return NULL;
	*t = (struct tlsa){ .holders = 1 };
	struct reading r = { .t = t, .room = room };
	if (answer_each(q, take_record, &r) > 0 && t->n > 0)
		return t;
	*trouble = "garbage in the answer";
	free(t);
	return NULL;
}

struct tlsa *
tlsa_hold(struct tlsa *t)
{
	if (t != NULL)
		atomic_fetch_add(&t->holders, 1);
	return t;
}

void
tlsa_drop(struct tlsa *t)
{
	if (t != NULL && atomic_fetch_sub(&t->holders, 1) == 1)
		free(t);
}

bool
tlsa_is_usable(const struct tlsa_record *r)
{
	if (r->usage != TLSA_TA && r->usage != TLSA_EE)
		return false;
	if (r->selector != TLSA_CERTIFICATE && r->selector != TLSA_KEY)
		return false;
	switch (r->matching) {
	case TLSA_FULL:
		return r->n > 0;
	case TLSA_SHA256:
		return r->n == SHA256_SIZE;
	case TLSA_SHA512:
		return r->n == SHA512_SIZE;
	default:
		return false;
	}
}

bool
tlsa_has_usable(const struct tlsa *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (tlsa_is_usable(&t->v[i]))
			return true;
	return false;
}

static bool
is_alike(const struct tlsa_record *a, const struct tlsa_record *b)
{
	return a->usage == b->usage && a->selector == b->selector && a->matching == b->matching;
}

/* Was one with the same numbers described before? */
static bool
is_known(const struct tlsa *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (is_alike(&t->v[k], &t->v[i]))
			return true;
	return false;
}

void
tlsa_describe(const struct tlsa *t, struct buf *out)
{
	int n = 0;
	for (size_t i = 0; i < t->n && n < DESCRIBED; i++) {
		const struct tlsa_record *r = &t->v[i];
		if (is_known(t, i))
			continue;
		buf_printf(out, "%s%d %d %d", n++ > 0 ? " and " : "", r->usage, r->selector,
			r->matching);
	}
	buf_printf(out, " of %s", t->base);
}

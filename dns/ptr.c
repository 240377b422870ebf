#include "dns/ptr.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "dns/question.h"
#include "dns/verdict.h"

static int
take_name(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct ptr *out = ctx;
	dnsc_t name[DNS_MAXDN];
	dnscc_t *cur = rr->dnsrr_dptr;
	if (dns_getdn(pkt, &cur, end, name, sizeof(name)) <= 0 || cur != rr->dnsrr_dend)
		return -1;
	if (out->n == PTR_NAMES)
		return 0;
	name_write(name, out->name[out->n++]);
	return 0;
}

/* The name in in-addr.arpa or ip6.arpa. */
static void
name_of(const struct netaddr *addr, dnsc_t out[static DNS_MAXDN])
{
	struct in_addr v4;
	struct in6_addr v6;
	memcpy(&v4, addr->ip + 12, sizeof(v4));
	memcpy(&v6, addr->ip, sizeof(v6));
	if (netaddr_is_v4(addr))
		(void)dns_a4todn(&v4, NULL, out, DNS_MAXDN);
	else
		(void)dns_a6todn(&v6, NULL, out, DNS_MAXDN);
}

enum answer
ptr_find(struct resolver *r, const struct netaddr *addr, int64_t deadline, struct ptr *out)
{
	dnsc_t name[DNS_MAXDN];
	struct question q;
	*out = (struct ptr){ .n = 0 };
	name_of(addr, name);
	question_set(&q, name, DNS_T_PTR);
	question_ask(r, &q, 1, deadline);
	int n = q.said == SAID_RECORDS ? answer_each(&q, take_name, out) : 0;
	free(q.packet);
	if (n <= 0)
		out->n = 0;
	return verdict_of(&q, n, "it has no name", out->why, sizeof(out->why));
}

#include "dns/txt.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns/question.h"
#include "dns/verdict.h"

static int
take_text(void *ctx, dnscc_t *pkt, dnscc_t *end, const struct dns_rr *rr)
{
	struct txt *out = ctx;
	size_t before = out->texts.n;
	(void)pkt;
	(void)end;
	for (dnscc_t *p = rr->dnsrr_dptr; p < rr->dnsrr_dend; p += *p + 1) {
		if (rr->dnsrr_dend - p <= *p)
			return -1;
		/* What holds a NUL is none of those that are looked for. */
		if (memchr(p + 1, '\0', *p) != NULL) {
			out->texts.n = before;
			return 0;
		}
		buf_add(&out->texts, (struct span){ (const char *)p + 1, *p });
	}
	buf_add(&out->texts, (struct span){ "", 1 });
	return out->texts.err;
}

/* What the answer says; its packet is freed. */
static void
read_answer(struct question *q, void *to)
{
	struct txt *out = to;
	*out = (struct txt){ .texts = buf_new(TXT_MAX) };
	int n = q->said == SAID_RECORDS ? answer_each(q, take_text, out) : 0;
	free(q->packet);
	q->packet = NULL;
	if (n <= 0)
		buf_reset(&out->texts);
	out->answer = verdict_of(q, n, "there is no TXT record", out->why, sizeof(out->why));
}

enum answer
txt_find(struct resolver *r, const char *name, int64_t deadline, struct txt *out)
{
	dnsc_t dn[DNS_MAXDN];
	struct question q;
	if (dns_ptodn(name, 0, dn, sizeof(dn), NULL) <= 0) {
		*out = (struct txt){ .texts = buf_new(TXT_MAX), .answer = ANSWER_NO_NAME };
		snprintf(out->why, sizeof(out->why), "no name of the DNS");
		return out->answer;
	}
	question_set(&q, dn, DNS_T_TXT);
	question_ask(r, &q, 1, deadline);
	read_answer(&q, out);
	return out->answer;
}

void
txt_ask_also(struct resolver *r, const char *name, struct txt *out)
{
	*out = (struct txt){ .texts = buf_new(TXT_MAX), .answer = ANSWER_TEMPORARY };
	if (dns_ptodn(name, 0, r->also.name, sizeof(r->also.name), NULL) <= 0)
		return;
	r->also.type = DNS_T_TXT;
	r->also.take = read_answer;
	r->also.out = out;
}

struct span
txt_next(struct span *rest)
{
	return rest->n > 0 ? span_cut(rest, '\0') : (struct span){ NULL, 0 };
}

#include "delivery/tlsnotes.h"

#include <stdatomic.h>
#include <string.h>

#include "delivery/tour.h"
#include "dns/tlsa.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "process/log.h"
#include "report/tlsrpt.h"

enum { RECORDS_TEXT = 16 * 1024 }; /* octets of TLSA records as text; TLSRPT_LINES of them count */

/* "3 1 1 ab12...", a line for each. */
static void
put_records(const struct tlsa *t, struct buf *out)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct tlsa_record *r = &t->v[i];
		buf_printf(out, "%d %d %d ", r->usage, r->selector, r->matching);
		for (uint16_t j = 0; j < r->n && j < TLSRPT_LINE / 2; j++)
			buf_printf(out, "%02x", r->data[j]);
		buf_puts(out, "\n");
	}
}

/* Is this to be in a report? */
static bool
counts(const struct courier *c)
{
	return tally_is_on(&c->relay->tally) && !c->work.uncounted && !c->work.relaxed;
}

/* No mail waits for that, and none fails; that some of it is missing is told once by each relay. */
static void
note_of(const struct relay *r, const struct tlsrpt_session *s)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	struct log_fields f = { .event = "tls_report", .lane = s->domain };
	int err = tlsrpt_note(&r->tally, clock_wall(), s);
	if (err < 0 && !atomic_flag_test_and_set(&told))
		log_event(LOG_WARNING, &f, "lane %s: not all is counted for reports on TLS: %s",
			s->domain, strerror(-err));
}

static void
note(const struct courier *c, struct tlsrpt_session *s)
{
	s->domain = c->tour->lane.name;
	note_of(c->relay, s);
}

/* A policy of MTA-STS; its patterns are in *text. */
static struct tlsrpt_policy
sts_of(const struct stscache_entry *e, struct buf *text)
{
	struct span rest = e->policy.text;
	for (struct span mx; (mx = sts_next_mx(&rest)).n > 0 && text->err == 0;)
		buf_printf(text, "%.*s\n", (int)mx.n, mx.p);
	return (struct tlsrpt_policy){ .type = TLSRPT_STS, .text = e->policy.text,
		.mx = buf_span(text) };
}

static bool
is_under_sts(const struct courier *c)
{
	const struct sts_policy *p = work_sts(&c->work);
	return p != NULL && p->mode != STS_NONE;
}

/* The policy that was asked of the host; its text is in *text. */
static struct tlsrpt_policy
policy_of(const struct courier *c, struct buf *text)
{
	const struct tlsa *t = c->work.to.tlsa;
	if (c->policy.source != POLICY_DANE && is_under_sts(c))
		return sts_of(&c->work.sts.entry, text);
	if (c->policy.source != POLICY_DANE || t == NULL)
		return (struct tlsrpt_policy){ .type = TLSRPT_NO_POLICY };
	put_records(t, text);
	return (struct tlsrpt_policy){ .type = TLSRPT_TLSA, .domain = t->base,
		.text = buf_span(text) };
}

/* What a policy of mode testing would have said of a session that is good without it. */
static void
test_session(const struct courier *c, struct tlsrpt_session *s, struct buf *why)
{
	const char *host = c->work.to.host;
	if (!sts_allows(work_sts(&c->work), span_of(host))) {
		s->result = TLS_RESULT_VALIDATION;
		s->reason = "the policy does not name this host";
	} else if (!tlsclient_verify(c->link.proof.tls, host, why)) {
		buf_add(why, (struct span){ "", 1 });
		s->result = tlsclient_verdict(c->link.proof.tls);
		s->reason = why->p;
	}
}

/*
 * What is counted that is not what the link says: TLS that failed a short while ago, and was not
 * tried; records of which none can be used, so that any certificate was good.
 */
static void
amend(const struct courier *c, bool greeted, struct tlsrpt_session *s)
{
	if (s->result == TLS_RESULT_UNKNOWN && c->policy.clear && greeted) {
		s->result = TLS_RESULT_VALIDATION;
		s->reason = "TLS failed a short while ago, and was not tried";
	} else if (s->result == TLS_RESULT_SUCCESS && s->policy.type == TLSRPT_TLSA &&
		c->policy.tlsa == NULL) {
		s->result = TLS_RESULT_TLSA_INVALID;
		s->reason = "no TLSA record that can be used";
	}
}

void
tlsnotes_session(const struct courier *c, bool greeted)
{
	const struct link_tls *came = &c->link.came;
	auto_buf text = buf_new(RECORDS_TEXT), why = buf_new(EVENT_SIZE);
	if (!counts(c))
		return;
	struct tlsrpt_session s = {
		.policy = policy_of(c, &text),
		.result = came->result,
		.from = came->bound ? &came->from : NULL,
		.to = &c->work.to.addr,
		.host = c->work.to.host,
		.helo = came->banner,
		.reason = came->reason,
	};
	amend(c, greeted, &s);
	if (s.result == TLS_RESULT_SUCCESS && s.policy.type == TLSRPT_STS &&
		c->policy.source != POLICY_STS && c->link.proof.tls != NULL)
		test_session(c, &s, &why);
	note(c, &s);
}

void
tlsnotes_hosts(const struct courier *c, bool barred)
{
	char why[sizeof(c->work.exchangers.why)];
	auto_buf text = buf_new(RECORDS_TEXT);
	struct tlsrpt_session s = { .policy.type = TLSRPT_TLSA, .reason = why };
	struct span said = buf_span(&c->why);
	if (!counts(c))
		return;
	if (barred) {
		snprintf(why, sizeof(why), "%.*s", (int)said.n, said.n > 0 ? said.p : "");
		bool sts = is_under_sts(c) && c->work.delivery.dane != CONF_DANE_ONLY;
		s.result = sts ? TLS_RESULT_VALIDATION : TLS_RESULT_DANE_REQUIRED;
		if (sts)
			s.policy = sts_of(&c->work.sts.entry, &text);
	} else if (c->work.exchangers.unproved) {
		snprintf(why, sizeof(why), "%s", c->work.exchangers.why);
		s.result = TLS_RESULT_DNSSEC_INVALID;
	}
	note(c, &s);
}

void
tlsnotes_fetch(const struct relay *r, const char *domain, const struct stscache_entry *e,
	enum tls_result result, const struct buf *why)
{
	char reason[TLSRPT_LINE];
	auto_buf text = buf_new(RECORDS_TEXT);
	if (!tally_is_on(&r->tally))
		return;
	snprintf(reason, sizeof(reason), "%.*s", (int)why->n, why->n > 0 ? why->p : "");
	const struct tlsrpt_session s = { .domain = domain, .result = result, .reason = reason,
		.policy = e != NULL ? sts_of(e, &text)
				    : (struct tlsrpt_policy){ .type = TLSRPT_STS } };
	note_of(r, &s);
}

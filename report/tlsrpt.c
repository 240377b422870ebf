/*
 * A session is noted as a text of lines, "name value", in this order; what is the same is counted
 * together (queue/tally.h):
 *
 *	policy sts                        or tlsa, no-policy-found
 *	domain example.org
 *	text version: STSv1               each line of the policy
 *	mx *.example.org
 *	result certificate-expired        or "success", and nothing behind it
 *	from 192.0.2.1
 *	to 192.0.2.25
 *	host mx1.example.org
 *	helo mx1.example.org
 *	why certificate has expired
 *
 * Whatever a host, or the DNS, said is escaped, so that it stays on its line.
 */
#include "report/tlsrpt.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "mail/lane_name.h"

enum {
	/* octets: a policy is cut there, so that with what follows, escaped, it is no more than
	 * TALLY_KEY */
	POLICY_ROOM = TALLY_KEY / 2,
};

static const char success[] = "success";

static const char *const fields[] = {
	[TLSRPT_POLICY] = "policy", [TLSRPT_DOMAIN] = "domain", [TLSRPT_TEXT] = "text",
	[TLSRPT_MX] = "mx", [TLSRPT_RESULT] = "result", [TLSRPT_FROM] = "from", [TLSRPT_TO] = "to",
	[TLSRPT_HOST] = "host", [TLSRPT_HELO] = "helo", [TLSRPT_WHY] = "why",
};

const char *
tlsrpt_result_word(enum tls_result r)
{
	static const char *const words[] = { [TLS_RESULT_SUCCESS] = success,
		[TLS_RESULT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[TLS_RESULT_HOST_MISMATCH] = "certificate-host-mismatch",
		[TLS_RESULT_EXPIRED] = "certificate-expired",
		[TLS_RESULT_NOT_TRUSTED] = "certificate-not-trusted",
		[TLS_RESULT_VALIDATION] = "validation-failure",
		[TLS_RESULT_TLSA_INVALID] = "tlsa-invalid",
		[TLS_RESULT_DNSSEC_INVALID] = "dnssec-invalid",
		[TLS_RESULT_DANE_REQUIRED] = "dane-required",
		[TLS_RESULT_STS_FETCH] = "sts-policy-fetch-error",
		[TLS_RESULT_STS_INVALID] = "sts-policy-invalid",
		[TLS_RESULT_STS_WEBPKI] = "sts-webpki-invalid" };
	return words[r];
}

const char *
tlsrpt_type_word(enum tlsrpt_type t)
{
	static const char *const words[] = { [TLSRPT_NO_POLICY] = "no-policy-found",
		[TLSRPT_STS] = "sts", [TLSRPT_TLSA] = "tlsa" };
	return words[t];
}

/* ---- writing ------------------------------------------------------------------------------- */

static void
put(struct buf *b, enum tlsrpt_field f, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(b, "%s ", fields[f]);
	buf_escape(b, value, TLSRPT_LINE);
	buf_puts(b, "\n");
}

static void
put_text(struct buf *b, enum tlsrpt_field f, const char *value)
{
	put(b, f, span_of(value != NULL ? value : ""));
}

static void
put_lines(struct buf *b, enum tlsrpt_field f, struct span text)
{
	for (int n = 0; text.n > 0 && n < TLSRPT_LINES && b->n < POLICY_ROOM; n++)
		put(b, f, span_line(&text));
}

static void
put_address(struct buf *b, enum tlsrpt_field f, const struct netaddr *a)
{
	char text[NETADDR_TEXT];
	if (a == NULL)
		return;
	netaddr_text(a, text);
	put_text(b, f, text);
}

static void
put_policy(struct buf *b, const struct tlsrpt_session *s)
{
	const struct tlsrpt_policy *p = &s->policy;
	put_text(b, TLSRPT_POLICY, tlsrpt_type_word(p->type));
	put_text(b, TLSRPT_DOMAIN, p->domain != NULL ? p->domain : s->domain);
	put_lines(b, TLSRPT_TEXT, p->text);
	put_lines(b, TLSRPT_MX, p->mx);
	put_text(b, TLSRPT_RESULT, tlsrpt_result_word(s->result));
}

static void
put_details(struct buf *b, const struct tlsrpt_session *s)
{
	put_address(b, TLSRPT_FROM, s->from);
	put_address(b, TLSRPT_TO, s->to);
	put_text(b, TLSRPT_HOST, s->host);
	put_text(b, TLSRPT_HELO, s->helo);
	if (s->reason != NULL)
		put(b, TLSRPT_WHY, (struct span){ s->reason, strnlen(s->reason, TLSRPT_REASON) });
}

/* Is it a domain that may publish anything? A lane may also be a route, or an address. */
static bool
is_domain(const char *lane)
{
	struct span name = span_of(lane);
	return lane_name_valid(name) && lane_name_route(name).n == 0 && name.p[0] != '[';
}

int
tlsrpt_note(const struct tally *t, int64_t wall, const struct tlsrpt_session *s)
{
	auto_buf text = buf_new(TALLY_KEY);
	if (!tally_is_on(t) || s->result == TLS_RESULT_UNKNOWN || !is_domain(s->domain))
		return 0;
	put_policy(&text, s);
	size_t brief = text.n;
	if (s->result != TLS_RESULT_SUCCESS)
		put_details(&text, s);
	if (text.err < 0)
		return text.err;
	return tally_add(t, wall, s->domain, buf_span(&text), (struct span){ text.p, brief });
}

/* ---- reading ------------------------------------------------------------------------------- */

bool
tlsrpt_next(struct span *rest, struct tlsrpt_line *out)
{
	struct span line = span_cut(rest, '\n'), name = span_cut(&line, ' ');
	for (int i = 0; line.n > 0 && i < TLSRPT_FIELDS; i++) {
		if (!span_eq(name, span_of(fields[i])))
			continue;
		*out = (struct tlsrpt_line){ (enum tlsrpt_field)i, line };
		return true;
	}
	return false;
}

struct span
tlsrpt_policy_of(struct span text)
{
	struct span rest = text;
	const char *end = text.p;
	struct tlsrpt_line line;
	while (tlsrpt_next(&rest, &line) && line.field < TLSRPT_RESULT)
		end = rest.p;
	return span_from(text.p, end);
}

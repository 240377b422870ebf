#include "sending/mail_rcpt.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

/* " KEY=value", if there is a value. */
static void
put_parameter(struct link *l, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	link_puts(l, key, l->terms.conf->timeout_mail);
	link_put(l, value, l->terms.conf->timeout_mail);
}

static void
put_number(struct link *l, const char *key, int64_t number, const char *rest)
{
	char text[64];
	snprintf(text, sizeof(text), "%lld%s", (long long)number, rest);
	put_parameter(l, key, span_of(text));
}

/* What BODY= is to say: how the text is, not how its client called it (RFC 6152 section 3). */
static enum body
body_of(const struct text *t)
{
	if (t->converted)
		return BODY_UNSAID;
	return t->m->eightbit && t->m->env.body != BODY_BINARYMIME ? BODY_8BITMIME : t->m->env.body;
}

void
mail_rcpt_put_mail(struct link *l, const struct text *t)
{
	const struct envelope *e = &t->m->env;
	link_puts(l, "MAIL FROM:<", l->terms.conf->timeout_mail);
	link_put(l, e->sender, l->terms.conf->timeout_mail);
	link_puts(l, ">", l->terms.conf->timeout_mail);
	if (link_can(l, CAN_SIZE))
		put_number(l, " SIZE=", (int64_t)t->length, "");
	if (link_can(l, CAN_8BITMIME) || body_of(t) == BODY_BINARYMIME)
		put_parameter(l, " BODY=", span_of(envelope_body_word(body_of(t))));
	if (e->utf8)
		link_puts(l, " SMTPUTF8", l->terms.conf->timeout_mail);
	if (link_can(l, CAN_DSN)) {
		put_parameter(l, " RET=", span_of(envelope_ret_word(e->ret)));
		put_parameter(l, " ENVID=", e->envid);
	}
	if (link_can(l, CAN_DELIVERBY) && e->by != 0) {
		char mode[] = { ';', e->by_mode, e->by_trace ? 'T' : '\0', '\0' };
		put_number(l, " BY=", e->by - clock_wall(), mode);
	}
	if (link_can(l, CAN_PRIORITY) && e->priority != 0)
		put_number(l, " MT-PRIORITY=", e->priority, "");
	if (e->require_tls && link_can(l, CAN_REQUIRETLS)) /* body_fit: or it is a report */
		link_puts(l, " REQUIRETLS", l->terms.conf->timeout_mail);
	link_puts(l, "\r\n", l->terms.conf->timeout_mail);
}

void
mail_rcpt_put_rcpt(struct link *l, const struct rcpt *r)
{
	link_puts(l, "RCPT TO:<", l->terms.conf->timeout_rcpt);
	link_put(l, r->address, l->terms.conf->timeout_rcpt);
	link_puts(l, ">", l->terms.conf->timeout_rcpt);
	if (link_can(l, CAN_DSN)) {
		auto_buf notify = buf_new(LIMIT_REPLY_LINE);
		envelope_notify_words(r->terms.notify, &notify);
		put_parameter(l, " NOTIFY=", buf_span(&notify));
		put_parameter(l, " ORCPT=", r->terms.orcpt);
	}
	link_puts(l, "\r\n", l->terms.conf->timeout_rcpt);
}

#include "sending/mail_rcpt.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/alabel.h"

/* "COMMAND:<address>", in ASCII where that can be. */
static void
put_address(struct link *l, const char *command, struct span address, int64_t seconds)
{
	char room[ALABEL_ADDRESS];
	link_puts(l, command, seconds);
	link_puts(l, ":<", seconds);
	link_put(l, alabel_address(address, room), seconds);
	link_puts(l, ">", seconds);
}

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
	enum body said = t->m->env.body;
	if (t->converted || t->binary)
		return t->binary ? BODY_BINARYMIME : BODY_UNSAID;
	return t->m->eightbit ? BODY_8BITMIME : said != BODY_BINARYMIME ? said : BODY_UNSAID;
}

unsigned
mail_rcpt_mail_words(unsigned can, const struct text *t)
{
	const struct envelope *e = &t->m->env;
	unsigned words = CAN_SIZE;
	if (body_of(t) != BODY_UNSAID)
		words |= t->binary ? CAN_BINARYMIME : CAN_8BITMIME;
	if (e->ret != RET_UNSAID || e->envid.n > 0)
		words |= CAN_DSN;
	if (e->by != 0)
		words |= CAN_DELIVERBY;
	if (e->priority != 0)
		words |= CAN_PRIORITY;
	return words & can;
}

unsigned
mail_rcpt_rcpt_words(unsigned can, const struct rcpt *r)
{
	return r->terms.notify != 0 || r->terms.orcpt.n > 0 ? can & CAN_DSN : 0;
}

void
mail_rcpt_put_mail(struct link *l, const struct text *t)
{
	const struct envelope *e = &t->m->env;
	unsigned words = mail_rcpt_mail_words(l->host.can, t);
	put_address(l, "MAIL FROM", e->sender, l->terms.conf->timeout_mail);
	if ((words & CAN_SIZE) != 0)
		put_number(l, " SIZE=", (int64_t)t->length, "");
	if ((words & (CAN_8BITMIME | CAN_BINARYMIME)) != 0)
		put_parameter(l, " BODY=", span_of(envelope_body_word(body_of(t))));
	if (t->utf8)
		link_puts(l, " SMTPUTF8", l->terms.conf->timeout_mail);
	if ((words & CAN_DSN) != 0) {
		put_parameter(l, " RET=", span_of(envelope_ret_word(e->ret)));
		put_parameter(l, " ENVID=", e->envid);
	}
	if ((words & CAN_DELIVERBY) != 0) {
		char mode[] = { ';', e->by_mode, e->by_trace ? 'T' : '\0', '\0' };
		put_number(l, " BY=", e->by - clock_wall(), mode);
	}
	if ((words & CAN_PRIORITY) != 0)
		put_number(l, " MT-PRIORITY=", e->priority, "");
	if (e->require_tls && link_can(l, CAN_REQUIRETLS)) /* body_fit: or it is a report */
		link_puts(l, " REQUIRETLS", l->terms.conf->timeout_mail);
	link_puts(l, "\r\n", l->terms.conf->timeout_mail);
}

void
mail_rcpt_put_rcpt(struct link *l, const struct rcpt *r)
{
	put_address(l, "RCPT TO", r->address, l->terms.conf->timeout_rcpt);
	if (mail_rcpt_rcpt_words(l->host.can, r) != 0) {
		auto_buf notify = buf_new(LIMIT_REPLY_LINE);
		envelope_notify_words(r->terms.notify, &notify);
		put_parameter(l, " NOTIFY=", buf_span(&notify));
		put_parameter(l, " ORCPT=", r->terms.orcpt);
	}
	link_puts(l, "\r\n", l->terms.conf->timeout_rcpt);
}

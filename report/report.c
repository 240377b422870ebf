#include "report/report.h"

#include <errno.h>
#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "mail/address.h"
#include "mail/alabel.h"
#include "report/diagnosis.h"
#include "report/original.h"

enum {
	FIXED_MAX = 8 * 1024, /* what is said once */
	RCPT_MAX = 16 * 1024, /* ... of each recipient, its addresses and replies escaped */
	/* of a reply, escaped: a line has 998 octets (RFC 5322 section 2.1.1) */
	REPLY_MAX = 900,
};

static const struct {
	const char *subject, *action, *heading, *status; /* status: where none was said */
} kinds[] = {
	[REPORT_FAILED] = { "Your message could not be delivered", "failed",
		"Your message could not be delivered to the recipients below, and will not be\r\n"
		"tried again.", "5.0.0" },
	[REPORT_DELAYED] = { "Your message is delayed", "delayed",
		"Your message could not be delivered to the recipients below yet. It will be tried\r\n"
		"again; you need not send it again.", "4.4.7" },
	[REPORT_RELAYED] = { "Your message was passed on", "relayed",
		"Your message was passed on for the recipients below. The server that took it may\r\n"
		"not tell you what becomes of it.", "2.0.0" },
	[REPORT_DELIVERED] = { "Your message was delivered", "delivered",
		"Your message was delivered to the recipients below.", "2.0.0" },
};

static const char orphan[] = "Mail without a sender, most likely a report, could not be delivered.";
static const char mute[] = "Mail from a sender to whom no mail can be sent could not be delivered.";

/* ---- what to say, and whether ------------------------------------------------------------- */

/* Does the sender want to hear of this (RFC 3461 section 4.1)? */
static bool
wants(const struct rcpt *to, unsigned notify)
{
	return to->terms.notify == 0 || (to->terms.notify & notify) != 0;
}

/*
 * By the rules of RFC 2852 section 4: with N to a host without DELIVERBY, with T to one that has
 * it.
 */
static bool
wants_trace(const struct report *r, const struct rcpt *to)
{
	const struct envelope *e = &r->m->env;
	bool by = to->taker.deliverby ? e->by_trace : e->by_mode == 'N';
	return e->by != 0 && by && to->terms.notify != NOTIFY_NEVER;
}

/*
 * Success is reported unless the host that took the mail reports it itself (RFC 3461 section
 * 5.2).
 */
static enum report_kind
success(const struct report *r, const struct rcpt *to)
{
	bool asked = (to->terms.notify & NOTIFY_SUCCESS) != 0 && !to->taker.dsn;
	if (to->taker.final)
		return asked ? REPORT_DELIVERED : REPORT_NOTHING;
	return asked || wants_trace(r, to) ? REPORT_RELAYED : REPORT_NOTHING;
}

enum report_kind
report_kind(const struct report *r, const struct rcpt *to)
{
	if (to->settled)
		return REPORT_NOTHING;
	if (r->double_bounce) {
		/* What cannot be delivered to where such mail goes ends here (E12). */
		bool tell = r->m->env.sender.n == 0 || wants(to, NOTIFY_FAILURE);
		return to->outcome == HARD && tell && !address_same(to->address, r->to)
			? REPORT_FAILED : REPORT_NOTHING;
	}
	switch (to->outcome) {
	case HARD:
		return wants(to, NOTIFY_FAILURE) ? REPORT_FAILED : REPORT_NOTHING;
	case SOFT:
		return r->waiting && wants(to, NOTIFY_DELAY) ? REPORT_DELAYED : REPORT_NOTHING;
	default:
		return success(r, to);
	}
}

static bool
has_kind(const struct report *r, enum report_kind k)
{
	for (int i = 0; i < r->m->n; i++)
		if (report_kind(r, &r->m->rcpt[i]) == k)
			return true;
	return false;
}

/*
 * Is the report in UTF-8? The host of such a sender takes that, or no report could reach the
 * sender.
 */
static bool
is_global(const struct report *r)
{
	return !span_is_ascii(r->to);
}

/* ---- pieces ------------------------------------------------------------------------------ */

/*
 * An address; a character beyond ASCII that no A-label stands for as \x{E9} (RFC 6533 section 3).
 * It is valid UTF-8.
 */
static void
put_address(struct buf *b, const struct report *r, struct span given)
{
	char room[ALABEL_ADDRESS];
	struct span address = alabel_address(given, room);
	if (is_global(r)) {
		buf_add(b, address);
		return;
	}
	for (size_t i = 0; i < address.n;) {
		unsigned char c = (unsigned char)address.p[i++];
		if (c < 0x80) {
			buf_printf(b, "%c", c);
			continue;
		}
		unsigned v = c >= 0xf0 ? c & 0x07U : c >= 0xe0 ? c & 0x0fU : c & 0x1fU;
		for (; i < address.n && ((unsigned char)address.p[i] & 0xc0) == 0x80; i++)
			v = v << 6 | ((unsigned char)address.p[i] & 0x3fU);
		buf_printf(b, "\\x{%02X}", v);
	}
}

static void
put_words(struct buf *b, struct span words)
{
	buf_add(b, words.n > REPLY_MAX ? (struct span){ words.p, REPLY_MAX } : words);
	buf_puts(b, words.n > REPLY_MAX ? "...\r\n" : "\r\n");
}

static void
put_date(struct buf *b, const char *field, int64_t when)
{
	char date[CLOCK_DATE_SIZE];
	clock_date(when, date);
	buf_printf(b, "%s: %s\r\n", field, date);
}

/* ---- the header -------------------------------------------------------------------------- */

static void
put_head(struct buf *b, const struct report *r, bool eightbit)
{
	enum report_kind k = REPORT_FAILED;
	while (k < REPORT_DELIVERED && !has_kind(r, k))
		k++;
	put_date(b, "Date", clock_wall());
	buf_printf(b, "From: Mail Delivery System <postmaster@%s>\r\nTo: ", r->conf->who.hostname);
	buf_add(b, r->to);
	buf_printf(b,
		"\r\nSubject: %s\r\n"
		"Message-ID: <%s@%s>\r\n"
		"Auto-Submitted: auto-replied\r\n"
		"MIME-Version: 1.0\r\n",
		!r->double_bounce ? kinds[k].subject
		: r->m->env.sender.n > 0 ? "Mail could not be delivered, nor its sender be told"
					 : "Mail without a sender could not be delivered",
		r->id, r->conf->who.hostname);
	if (r->m->tls_optional) /* as it was wished for the message (RFC 8689 section 6) */
		buf_puts(b, "TLS-Required: No\r\n");
	if (eightbit)
		buf_puts(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_printf(b,
		"Content-Type: multipart/report; report-type=delivery-status;\r\n"
		"\tboundary=\"%s\"\r\n\r\n",
		r->id);
}

/* ---- for a person ------------------------------------------------------------------------ */

/* What the server did with the message, in words. */
static const char *
deed(const struct diagnosis *d, enum report_kind k)
{
	if (!d->reply)
		return "was tried";
	if (k >= REPORT_RELAYED)
		return "took it";
	return d->words.p[0] == '5' ? "refused it" : "put it off";
}

static void
explain(struct buf *b, const struct report *r, const struct rcpt *to, enum report_kind k)
{
	struct diagnosis d;
	diagnosis_parse(buf_span(&to->text), kinds[k].status[0], &d);
	buf_puts(b, "\r\n<");
	put_address(b, r, to->address);
	buf_puts(b, ">\r\n");
	if (k == REPORT_FAILED)
		buf_printf(b, "    %s\r\n", diagnosis_advice(d.status));
	if (d.host.n > 0)
		buf_printf(b, "    The server %.*s %s:\r\n", (int)d.host.n, d.host.p, deed(&d, k));
	buf_puts(b, "    ");
	put_words(b, d.words);
}

static void
put_explanation(struct buf *b, const struct report *r, bool whole)
{
	buf_printf(b, "--%s\r\nContent-Type: text/plain; charset=%s\r\n", r->id,
		is_global(r) ? "utf-8" : "us-ascii");
	if (is_global(r))
		buf_puts(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_printf(b, "\r\nThis is the mail system at %s.\r\n", r->conf->who.hostname);
	for (enum report_kind k = REPORT_FAILED; k < REPORT_KINDS; k++) {
		if (!has_kind(r, k))
			continue;
		buf_printf(b, "\r\n%s\r\n", !r->double_bounce ? kinds[k].heading
			: r->m->env.sender.n > 0 ? mute : orphan);
		for (int i = 0; i < r->m->n; i++)
			if (report_kind(r, &r->m->rcpt[i]) == k)
				explain(b, r, &r->m->rcpt[i], k);
	}
	buf_printf(b, "\r\n%s at the end of this report.\r\n\r\n",
		whole ? "The message is" : "Its header is");
}

/* ---- for a program ----------------------------------------------------------------------- */

/* "rfc822;xtext" as it stood in ORCPT, decoded (RFC 3464 section 2.3.1). */
static void
put_orcpt(struct buf *b, struct span orcpt)
{
	const char *semi = orcpt.n > 0 ? memchr(orcpt.p, ';', orcpt.n) : NULL;
	if (semi == NULL)
		return;
	buf_puts(b, "Original-Recipient: ");
	buf_add(b, span_from(orcpt.p, semi));
	buf_puts(b, "; ");
	envelope_decode(b, span_from(semi + 1, orcpt.p + orcpt.n));
	buf_puts(b, "\r\n");
}

/* When the message will be given up. */
static int64_t
last_attempt(const struct report *r)
{
	const struct message *m = r->m;
	int64_t end = message_since(m) + r->conf->relay.expire;
	return m->env.by != 0 && m->env.by_mode == 'R' && m->env.by < end ? m->env.by : end;
}

static void
put_recipient(struct buf *b, const struct report *r, const struct rcpt *to, enum report_kind k)
{
	struct diagnosis d;
	diagnosis_parse(buf_span(&to->text), kinds[k].status[0], &d);
	buf_puts(b, "\r\n");
	put_orcpt(b, to->terms.orcpt);
	buf_printf(b, "Final-Recipient: %s; ", alabel_needs_utf8(to->address) ? "utf-8" : "rfc822");
	put_address(b, r, to->address);
	buf_printf(b, "\r\nAction: %s\r\nStatus: ", kinds[k].action);
	buf_add(b, d.status.n > 0 ? d.status : span_of(kinds[k].status));
	if (d.host.n > 0)
		buf_printf(b, "\r\nRemote-MTA: dns; %.*s", (int)d.host.n, d.host.p);
	buf_printf(b, "\r\nDiagnostic-Code: %s; ", d.reply ? "smtp" : "x-postern");
	put_words(b, d.words);
	put_date(b, "Last-Attempt-Date", clock_wall());
	if (k == REPORT_DELAYED)
		put_date(b, "Will-Retry-Until", last_attempt(r));
}

static void
put_fields(struct buf *b, const struct report *r)
{
	const struct message *m = r->m;
	buf_printf(b, "--%s\r\nContent-Type: message/%sdelivery-status\r\n", r->id,
		is_global(r) ? "global-" : "");
	if (is_global(r))
		buf_puts(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_printf(b, "\r\nReporting-MTA: dns; %s\r\nX-Postern-Queue-Id: %s\r\n",
		r->conf->who.hostname, m->id);
	put_date(b, "Arrival-Date", m->arrived);
	if (m->env.envid.n > 0) {
		buf_puts(b, "Original-Envelope-Id: ");
		envelope_decode(b, m->env.envid);
		buf_puts(b, "\r\n");
	}
	for (int i = 0; i < m->n; i++) {
		enum report_kind k = report_kind(r, &m->rcpt[i]);
		if (k != REPORT_NOTHING)
			put_recipient(b, r, &m->rcpt[i], k);
	}
	buf_puts(b, "\r\n");
}

/* ---- all of it --------------------------------------------------------------------------- */

/*
 * Only of what failed (RFC 3461 section 4.3), and never of what needed REQUIRETLS, which a report
 * may have to do without (RFC 8689 section 5); and of UTF-8 only to a host that has to take it:
 * others could not get the report.
 */
static bool
may_be_whole(const struct report *r)
{
	const struct message *m = r->m;
	bool asked = !m->env.require_tls &&
		(r->double_bounce || (m->env.whole && has_kind(r, REPORT_FAILED)));
	return asked && m->length <= (uint64_t)r->conf->relay.bounce_size &&
		(is_global(r) || !message_is_global(m));
}

int
report_write(const struct report *r, struct buf *b)
{
	auto_buf whole = buf_new((size_t)r->conf->relay.bounce_size);
	int err = may_be_whole(r) ? original_read(r->m, is_global(r), &whole) : -EINVAL;
	if (err < 0 && err != -EINVAL)
		return err;
	bool all = err == 0;
	*b = buf_new(FIXED_MAX + (size_t)r->m->n * RCPT_MAX + 4 * (size_t)ORIGINAL_HEADER_MAX +
		(size_t)r->conf->relay.bounce_size);
	put_head(b, r, is_global(r) || (all && r->m->eightbit));
	put_explanation(b, r, all);
	put_fields(b, r);
	buf_printf(b, "--%s\r\n", r->id);
	if (all)
		original_put_whole(b, r->m, &whole);
	else if ((err = original_put_header(b, r->m, is_global(r))) < 0)
		return err;
	buf_printf(b, "\r\n--%s--\r\n", r->id);
	return b->err;
}

/*
 * Text for a person first, then the fields for a program, then the header of the original. Replies
 * of other hosts were escaped when they were read, so that none of them can end a part or a field
 * (E11); the boundary is a queue id that did not exist before. All of it is ASCII, so that every host
 * takes it, but for the address of a sender that is not.
 */
#include "dsn.h"

#include <errno.h>
#include <stdio.h>

#include "../lib/cleanup.h"
#include "../lib/clock.h"
#include "../lib/routes.h"

enum {
	DSN_MAX = 2 * 1024 * 1024,
	REPLY_MAX = 900, /* of a reply, escaped: a line has 998 octets (RFC 5322 section 2.1.1) */
	QP_LINE = 72,    /* octets after which a line of quoted-printable is folded */
};

/* One that failed now, and whose failure the sender wants to know of (RFC 3461 section 5.2.2). */
static bool
failed(const struct rcpt *r)
{
	bool wanted = r->terms.notify == 0 || (r->terms.notify & NOTIFY_FAILURE) != 0;
	return wanted && !r->settled && r->outcome == HARD;
}

/* The enhanced status code in a reply "host: 550 5.1.1 text", or a general one (RFC 3463). */
static void
put_status(struct buf *b, const struct rcpt *r)
{
	struct span t = buf_span(&r->text);
	for (size_t i = 0; i + 5 <= t.n; i++) {
		const char *p = t.p + i;
		bool start = i > 0 && t.p[i - 1] == ' ';
		if (!start || p[0] != '5' || p[1] != '.' || p[2] < '0' || p[2] > '9')
			continue;
		size_t n = 2;
		int dots = 1;
		while (i + n < t.n && ((p[n] >= '0' && p[n] <= '9') || (p[n] == '.' && ++dots)))
			n++;
		if (dots == 2 && p[n - 1] != '.' && n <= sizeof("5.999.999") - 1) {
			buf_add(b, (struct span){ p, n });
			return;
		}
	}
	buf_puts(b, "5.0.0");
}

/* An address; a character beyond ASCII as \x{E9} (RFC 6533 section 3). It is valid UTF-8. */
static void
put_address(struct buf *b, struct span address)
{
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
put_reply(struct buf *b, const struct rcpt *r)
{
	struct span t = buf_span(&r->text);
	buf_add(b, t.n > REPLY_MAX ? (struct span){ t.p, REPLY_MAX } : t);
	buf_puts(b, t.n > REPLY_MAX ? "...\r\n" : "\r\n");
}

static void
put_head(struct buf *b, const struct message *m, const struct conf *conf, const char *id)
{
	char date[CLOCK_DATE_SIZE];
	clock_date(clock_wall(), date);
	buf_printf(b, "Date: %s\r\nFrom: Mail Delivery System <postmaster@%s>\r\nTo: ", date,
		conf->hostname);
	buf_add(b, m->env.sender);
	buf_printf(b,
		"\r\nSubject: Your message could not be delivered\r\n"
		"Message-ID: <%s@%s>\r\n"
		"Auto-Submitted: auto-replied\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status;\r\n"
		"\tboundary=\"%s\"\r\n\r\n",
		id, conf->hostname, id);
}

static void
put_explanation(struct buf *b, const struct message *m, const struct conf *conf, const char *id)
{
	buf_printf(b,
		"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"This is the mail system at %s.\r\n\r\n"
		"Your message could not be delivered to the recipients below, and will not be\r\n"
		"tried again. Its header is at the end of this report.\r\n",
		id, conf->hostname);
	for (int i = 0; i < m->n; i++) {
		if (!failed(&m->rcpt[i]))
			continue;
		buf_puts(b, "\r\n<");
		put_address(b, m->rcpt[i].address);
		buf_puts(b, ">\r\n    ");
		put_reply(b, &m->rcpt[i]);
	}
	buf_puts(b, "\r\n");
}

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

static void
put_fields(struct buf *b, const struct message *m, const struct conf *conf, const char *id)
{
	char date[CLOCK_DATE_SIZE];
	clock_date(m->arrived, date);
	buf_printf(b,
		"--%s\r\nContent-Type: message/delivery-status\r\n\r\n"
		"Reporting-MTA: dns; %s\r\nX-Postern-Queue-Id: %s\r\nArrival-Date: %s\r\n",
		id, conf->hostname, m->id, date);
	if (m->env.envid.n > 0) {
		buf_puts(b, "Original-Envelope-Id: ");
		envelope_decode(b, m->env.envid);
		buf_puts(b, "\r\n");
	}
	for (int i = 0; i < m->n; i++) {
		if (!failed(&m->rcpt[i]))
			continue;
		buf_puts(b, "\r\n");
		put_orcpt(b, m->rcpt[i].terms.orcpt);
		buf_printf(b, "Final-Recipient: %s; ",
			span_is_ascii(m->rcpt[i].address) ? "rfc822" : "utf-8");
		put_address(b, m->rcpt[i].address);
		buf_puts(b, "\r\nAction: failed\r\nStatus: ");
		put_status(b, &m->rcpt[i]);
		buf_puts(b, "\r\nDiagnostic-Code: smtp; ");
		put_reply(b, &m->rcpt[i]);
	}
	buf_puts(b, "\r\n");
}

/* field-name ":" (RFC 5322 section 2.2), or white space that continues one; then CR, and no other. What
 * came as BINARYMIME may hold anything, and a report goes out in lines (A7). */
static bool
is_header_line(struct span line)
{
	size_t n = 0;
	if (line.n == 0 || memchr(line.p, '\r', line.n) != line.p + line.n - 1 ||
		memchr(line.p, '\0', line.n) != NULL)
		return false;
	while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' && line.p[n] != ':')
		n++;
	return n < line.n && (n > 0 ? line.p[n] == ':' : line.p[0] == ' ' || line.p[0] == '\t');
}

/* Octets of whole header lines at the start of s. Without an empty line the text is not ours to
 * give back either (E10). */
static size_t
header_length(struct span s)
{
	const char *nl;
	size_t n = 0;
	while (n < s.n && (nl = memchr(s.p + n, '\n', s.n - n)) != NULL &&
		is_header_line(span_from(s.p + n, nl)))
		n = (size_t)(nl - s.p) + 1;
	return n;
}

/* RFC 2045 section 6.7: lines of any length and any octets become short ones of ASCII. */
static void
put_quoted_printable(struct buf *b, struct span s)
{
	size_t column = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '\r';
		if (c == '\r' && next == '\n') {
			buf_puts(b, "\r\n");
			column = 0;
			i++;
			continue;
		}
		if (column > QP_LINE) {
			buf_puts(b, "=\r\n");
			column = 0;
		}
		bool plain = c >= ' ' && c <= '~' && c != '=' && (c != ' ' || next != '\r');
		buf_printf(b, plain ? "%c" : "=%02X", (unsigned char)c);
		column += plain ? 1 : 3;
	}
}

/* The header of the original, or as much of it as we give back. */
static int
put_original(struct buf *b, const struct message *m, const char *id)
{
	buf_printf(b, "--%s\r\nContent-Type: text/rfc822-headers\r\n", id);
	auto_buf head = buf_new(DSN_HEADER_MAX);
	char chunk[4096];
	bool complete = false;
	for (uint64_t at = 0; !complete && head.err == 0;) {
		ssize_t n = message_read(m, at, chunk, sizeof(chunk));
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		at += (uint64_t)n;
		buf_add(&head, (struct span){ chunk, (size_t)n });
		complete = head.n > 0 && memmem(head.p, head.n, "\r\n\r\n", 4) != NULL;
	}
	struct span header = { head.p, header_length(buf_span(&head)) };
	if (span_is_ascii(header)) {
		buf_puts(b, "\r\n");
		buf_add(b, header);
	} else {
		buf_puts(b, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		put_quoted_printable(b, header);
	}
	buf_printf(b, "\r\n--%s--\r\n", id);
	return 0;
}

int
dsn_queue(const struct message *m, const struct spool *s, const struct conf *conf,
	char id[static ID_SIZE])
{
	const struct envelope env = { .sender = { "", 0 }, .utf8 = !span_is_ascii(m->env.sender) };
	static struct draft draft; /* large, and there is one report at a time */
	struct address to;
	char lane[LANE_NAME_SIZE];
	bool any = false;
	for (int i = 0; i < m->n; i++)
		any = any || failed(&m->rcpt[i]);
	if (!any || m->env.sender.n == 0 || address_mailbox(m->env.sender, &to) < 0 ||
		address_lane(to.domain, lane) < 0)
		return -ENOENT;
	routes_lane(conf, env.sender, lane);

	auto_buf b = buf_new(DSN_MAX);
	int r = draft_begin(&draft, s, &env);
	if (r == 0)
		r = draft_recipient(&draft, lane, m->env.sender, &(struct terms){ 0 });
	if (r < 0)
		return r;
	put_head(&b, m, conf, draft.id);
	put_explanation(&b, m, conf, draft.id);
	put_fields(&b, m, conf, draft.id);
	r = put_original(&b, m, draft.id);
	if (r == 0)
		r = b.err;
	if (r < 0) {
		draft_drop(&draft);
		return r;
	}
	draft_body(&draft, buf_span(&b));
	r = draft_commit(&draft);
	if (r == 0)
		memcpy(id, draft.id, ID_SIZE);
	return r;
}

#include "tlsreport/letter.h"

#include <string.h>

#include "lib/clock.h"
#include "mail/encode.h"
#include "queue/tally.h"

enum {
	FIXED_MAX = 8 * 1024, /* octets beside the attachment */
};

/* Whose report it is: the domain that signs it. */
static const char *
submitter(const struct letter *l)
{
	const char *at = strrchr(l->from, '@');
	return at != NULL ? at + 1 : l->host;
}

static void
put_head(struct buf *b, const struct letter *l)
{
	char date[CLOCK_DATE_SIZE];
	const struct aggregate *a = l->what;
	clock_date(clock_wall(), date);
	buf_printf(b,
		"Date: %s\r\n"
		"From: %s\r\n"
		"To: %s\r\n"
		"Subject: Report Domain: %s\r\n"
		" Submitter: %s\r\n"
		" Report-ID: <%s>\r\n"
		"Message-ID: <%s@%s>\r\n"
		"TLS-Report-Domain: %s\r\n"
		"TLS-Report-Submitter: %s\r\n"
		"TLS-Required: No\r\n"
		"Auto-Submitted: auto-generated\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
		"\tboundary=\"%s\"\r\n\r\n",
		date, l->from, l->to, a->domain, submitter(l), a->id, l->id, l->host, a->domain,
		submitter(l), l->id);
}

static void
put_words(struct buf *b, const struct letter *l)
{
	const struct aggregate *a = l->what;
	buf_printf(b,
		"--%s\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n"
		"This is a report on TLS (RFC 8460), from %s.\r\n\r\n"
		"It tells how many sessions with the mail servers of %s on %s (UTC)\r\n"
		"had TLS, and how many had not, and why. It was made because that domain asks\r\n"
		"for it, by a TXT record of _smtp._tls.%s.\r\n\r\n",
		l->id, l->host, a->domain, a->day, a->domain);
}

static void
put_piece(void *out, struct span piece)
{
	buf_add(out, piece);
}

/* Its name by section 5.1: who, whose, from when to when (s since 1970), and what no other has. */
static void
put_attachment(struct buf *b, const struct letter *l)
{
	struct encoder e = encoder_new(put_piece, b);
	long long begin = (long long)tally_begin(l->what->day);
	buf_printf(b,
		"--%s\r\n"
		"Content-Type: application/tlsrpt+gzip\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment;\r\n"
		"\tfilename=\"%s!%s!%lld!%lld!%s.json.gz\"\r\n\r\n",
		l->id, submitter(l), l->what->domain, begin, begin + TALLY_DAY_SECONDS - 1, l->id);
	encode_base64(&e, l->packed);
	encode_base64_end(&e, true);
	buf_printf(b, "--%s--\r\n", l->id);
}

int
letter_write(const struct letter *l, struct buf *out)
{
	*out = buf_new(FIXED_MAX + 2 * l->packed.n);
	put_head(out, l);
	put_words(out, l);
	put_attachment(out, l);
	return out->err;
}

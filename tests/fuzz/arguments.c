/* Arguments of MAIL, RCPT, BDAT and VRFY. */
#include "fuzz.h"

#include "session/arguments.h"

/* What is kept of them are lines that are read again (D19, D26). */
static void
check_terms(const struct terms *t)
{
	struct terms again = { 0 };
	struct buf b = buf_new(LIMIT_COMMAND);
	envelope_write_terms(&b, t);
	must(b.err == 0 && span_is_ascii(buf_span(&b)));
	for (struct span left = buf_span(&b); left.n > 0;) {
		const char *lf = memchr(left.p, '\n', left.n);
		must(lf != NULL && envelope_read_terms(span_from(left.p, lf), &again));
		left = span_from(lf + 1, left.p + left.n);
	}
	must(again.notify == t->notify && (again.orcpt.n > 0) == (t->orcpt.n > 0));
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct mail_args m;
	struct rcpt_args a;
	int64_t octets;
	bool last;
	enum reply r = arguments_mail(in, ~0U, 1000, 86400, &m);
	must(r == R_SENDER_OK || reply_row(r)->kind == REPLY_ERROR);
	if (r == R_SENDER_OK)
		must(inside(in, m.sender.whole) && m.size >= -1);
	r = arguments_rcpt(in, ~0U, true, &a);
	must(r == R_RCPT_OK || reply_row(r)->kind == REPLY_ERROR);
	if (r == R_RCPT_OK) {
		must(inside(in, a.to.whole) && a.to.whole.n > 0);
		check_terms(&a.terms);
	}
	if (arguments_bdat(in, &octets, &last))
		must(octets >= 0 && octets < INT64_MAX);
	if (arguments_hello(in, ~0U)) /* fits where the session keeps it */
		must(size > 0 && size <= LIMIT_DOMAIN && memchr(data, '\0', size) == NULL);
	(void)arguments_vrfy(in);
	return 0;
}

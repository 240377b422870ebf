/* Arguments of MAIL, RCPT, BDAT and VRFY. */
#include "fuzz.h"

#include "lib/command.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct mail_args m;
	struct rcpt_args a;
	int64_t octets;
	bool last;
	enum reply r = command_mail(in, ~0U, 1000, 86400, &m);
	must(r == R_SENDER_OK || reply_row(r)->kind == REPLY_ERROR);
	if (r == R_SENDER_OK)
		must(inside(in, m.sender.whole) && m.size >= -1);
	r = command_rcpt(in, true, &a);
	must(r == R_RCPT_OK || reply_row(r)->kind == REPLY_ERROR);
	if (r == R_RCPT_OK)
		must(inside(in, a.to.whole) && a.to.whole.n > 0);
	if (command_bdat(in, &octets, &last))
		must(octets >= 0 && octets < INT64_MAX);
	(void)command_vrfy(in);
	return 0;
}

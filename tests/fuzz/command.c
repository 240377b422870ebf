/* Arguments of MAIL, RCPT and VRFY. */
#include "fuzz.h"

#include "lib/command.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	struct mail_args m;
	struct address a;
	enum reply r = command_mail(in, &m);
	must(r == R_SENDER_OK || reply_row(r)->kind == REPLY_ERROR);
	if (r == R_SENDER_OK)
		must(inside(in, m.sender.whole) && m.size >= -1);
	r = command_rcpt(in, &a);
	must(r == R_RCPT_OK || reply_row(r)->kind == REPLY_ERROR);
	if (r == R_RCPT_OK)
		must(inside(in, a.whole) && a.whole.n > 0);
	(void)command_vrfy(in);
	return 0;
}

/*
 * mail_rcpt: MAIL and RCPT, with those parameters that the host announced.
 *
 * What a sender asked for and the host does not know is left out here; where that must not be, the
 * message did not come as far (body_fit).
 */
#ifndef POSTERN_MAIL_RCPT_H
#define POSTERN_MAIL_RCPT_H

#include "sending/body.h"

void mail_rcpt_put_mail(struct link *l, const struct text *t);
void mail_rcpt_put_rcpt(struct link *l, const struct rcpt *r);

/*
 * The extensions (CAN_*) of which MAIL, or RCPT, has a parameter, to a host that can do all of
 * `can`.
 */
unsigned mail_rcpt_mail_words(unsigned can, const struct text *t);
unsigned mail_rcpt_rcpt_words(unsigned can, const struct rcpt *r);

#endif

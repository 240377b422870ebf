/*
 * refusal: is a 5yz about the mail, or about the way we came?
 *
 * What works less well than it should is done without, so that mail goes all the same: TLS, EHLO, a
 * parameter that was offered. A host may refuse the mail for that very reason, and would take it
 * otherwise. And what is wrong between a site and the host of one of its routes, which asks for a
 * password or will not relay, is for the operator to mend. Neither is ever for good.
 */
#ifndef POSTERN_REFUSAL_H
#define POSTERN_REFUSAL_H

#include "sending/body.h"

/* What the last reply, a 5yz or our own word in place of one, may be about: REFUSAL_*. */
unsigned refusal_about(const struct link *l);

/*
 * It goes in clear, though the policy would have it otherwise. Does the last reply, for good or for
 * now, ask for TLS?
 */
bool refusal_misses_tls(const struct link *l);

/*
 * Does the last reply say that there are too many recipients (RFC 3463 X.5.3)? Then it is about
 * none of them, whatever its code.
 */
bool refusal_counts_recipients(const struct link *l);

/*
 * Does it say that this connection has brought enough? Then another one will tell whether it is
 * about the mail (L8).
 */
bool refusal_names_connection(const struct link *l);

/*
 * The last reply, for good or for now, refuses a command for this text with `words` in it (CAN_*,
 * mail_rcpt.h), and it may be one of these that the host does not take, although it offered them.
 * True: what can be left out is left out from now on (l->host.can), and the command is worth
 * another try.
 */
bool refusal_drops_words(struct link *l, const struct text *t, unsigned words);

#endif

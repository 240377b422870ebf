/*
 * begin: what is said before the first message: greeting, EHLO or HELO, STARTTLS, AUTH.
 *
 * A host that cannot keep the terms, or whose greeting is a refusal, is left with QUIT; that is
 * SOFT, for another host or another day may do better.
 */
#ifndef POSTERN_BEGIN_H
#define POSTERN_BEGIN_H

#include "sending/link.h"

/*
 * Goes on with a connection that was made, by l->terms. Owns `fd`. DONE; otherwise SOFT, with the
 * reason in l->text, and the connection is closed; l->proof.again says whether another one is worth
 * a try.
 */
enum outcome begin_link(struct link *l, int fd);

/* Is nothing asked for that needs EHLO? */
bool begin_helo_will_do(const struct link_terms *t);

#endif

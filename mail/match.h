/*
 * match: lists of domains and senders, and what is in them. They decide who may relay to where,
 * which route mail takes, and who may send as whom; so all of them stand here, side by side. Letter
 * case never matters.
 */
#ifndef POSTERN_MATCH_H
#define POSTERN_MATCH_H

#include <stdbool.h>

#include "lib/span.h"

/*
 * Is `domain` in a list like relay_domains? Its words, with white space or commas between them, are
 * domains, ".domain" for all that are below one, and "*" for all there are.
 */
bool match_domain(const char *list, struct span domain);

/*
 * Is `sender` in a list like a route's senders? Words are addresses, or what match_domain takes for
 * the sender's domain. The null sender (empty) is in none.
 */
bool match_sender(const char *list, struct span sender);

/*
 * May a user with these senders (secrets/users.h: addresses and "@domain", with spaces between
 * them) send from `address`? Without any the user may send from every address. The null sender
 * (empty) is everybody's.
 */
bool match_user_sender(struct span senders, struct span address);

#endif

/*
 * match: lists of domains and senders, and what is in them. They decide who may relay to where,
 * which route mail takes, and who may send as whom; so all of them stand here, side by side. Letter
 * case never matters, nor does how a local part is quoted.
 */
#ifndef POSTERN_MATCH_H
#define POSTERN_MATCH_H

#include <stdbool.h>
#include <stdint.h>

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

/* A user of this host, as the kernel knows him. */
struct match_user {
	uint32_t uid;
	bool nobody;       /* the number is not his alone, and says nothing */
	struct span name;  /* of the system; empty: it has none for this number */
	struct span domains[2]; /* those in which that name is his address; may be empty */
};

/*
 * May this user send from `address`, by a list like local_senders? Its words are USER=SENDER. USER
 * is a name, a number, a range of numbers, or "*" for all whom no other word names; SENDER is an
 * address, "@domain", "self" for his name in his domains, or "*" for every address. The null sender
 * (empty) is everybody's.
 */
bool match_local_sender(const char *list, const struct match_user *user, struct span address);

/* May this user send from every address? */
bool match_local_any(const char *list, const struct match_user *user);

/* Is it a word of such a list? */
bool match_is_local_rule(struct span word);

/* Does the list ask for the names of users? With "*=*" alone nobody need look for them. */
bool match_local_names(const char *list);

#endif

/*
 * users: who may authenticate, from a file.
 *
 *	name:secret[ secret...][:sender ...]
 *
 * A secret is "{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey" (base64; {SCRAM-SHA-1}
 * likewise), or a hash of crypt(5). Senders are addresses or "@domain" the user may send from;
 * none: any. Lines that begin with "#" are comments. The file is read whole; it may hold 1 MiB.
 */
#ifndef POSTERN_USERS_H
#define POSTERN_USERS_H

#include "lib/span.h"

enum { USERS_MAX = 1024 * 1024, USERS_SECRET = 512 };

struct user {
	struct span name, secrets, senders;
	unsigned line; /* where it stands, from 1 */
};

/*
 * Reads a file, with a NUL behind it; *text is the caller's to free. 0; -EFBIG: it is larger than
 * may be; or -errno.
 */
int users_read(const char *path, char **text, size_t *n);

/*
 * Looks `name` up in the text of a file. Letters of ASCII are the same in either case, unless they
 * must be `exact`; of several lines the one that is exact counts, then the first. The comparisons
 * take as long for a name that is not there. True if it was found.
 */
bool users_find(struct span text, struct span name, bool exact, struct user *out);

/*
 * Of a name that the file does not have: the first user with `senders` whose name differs in its
 * realm alone, that is behind "@", or in letter case. True if there is one.
 */
bool users_namesake(struct span text, struct span name, struct user *out);

/*
 * A file whose lines end with CR alone would be one long line, of which only the start is seen. The
 * line of the first CR that ends none, from 1; 0: there is none.
 */
unsigned users_stray_cr(struct span text);

/*
 * The secrets of the first user who has some: what nobody but this host knows, and seldom changes.
 */
struct span users_first_secrets(struct span text);

/*
 * The user's secret of this kind ("{SCRAM-SHA-256}", or "$" for crypt) without the kind; or false.
 */
bool users_secret(const struct user *u, const char *kind, char out[static USERS_SECRET]);

/*
 * Has the user something in place of secrets that is of no kind known here, as files of other
 * programs have? "*" and "!", by which those lock somebody out, are none.
 */
bool users_is_odd(const struct user *u);

/* The line of the first such one, from 1; 0: there is none. */
unsigned users_odd(struct span text);

/* Of the first user who has one of this kind; or false, and "". */
bool users_first_secret(struct span text, const char *kind, char out[static USERS_SECRET]);

#endif

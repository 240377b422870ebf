/*
 * password: what the file of users says of a password, and of a name that SCRAM asks about.
 *
 * A name that is not there takes as long as one that is, and its secret looks like one of the file
 * (M11); so does a user without a secret. Nothing is logged here.
 */
#ifndef POSTERN_PASSWORD_H
#define POSTERN_PASSWORD_H

#include "secrets/secret.h"
#include "secrets/users.h"

struct password_file {
	struct span text;
	bool exact; /* names that differ in letter case alone are two */
};

/* What SCRAM by this hash is called in the file. */
const char *password_kind(Gsasl_hash hash);

/*
 * Is this the user's password? 1, 0; -ENOENT: the user has no secret that says; -EINVAL: what the
 * file has as a secret of *kind is none.
 */
int password_check(const struct user *u, const char *password, const char **kind);

/*
 * A response of PLAIN (RFC 4616), which is no challenge's: what it holds becomes properties of the
 * exchange. GSASL_OK or another number of libgsasl.
 *
 * The library would prepare the password by tables of 2002 (RFC 4013): it refuses characters that
 * are younger, and makes others of some, which no crypt(5), saslauthd or Dovecot knows of.
 */
int password_of_plain(Gsasl_session *s, const char *response);

/* As long as that takes for somebody else. */
void password_check_nobody(const struct password_file *f, const char *name, const char *password);

/*
 * The secret of SCRAM by this hash of a user; for who has none, or is none (NULL), one that is made
 * up, and looks the same for a name each time. True: it is the user's.
 */
bool password_scram(const struct password_file *f, const struct user *u, const char *name,
	Gsasl_hash hash, char out[static USERS_SECRET]);

#endif

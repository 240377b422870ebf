/*
 * secret: what the file of users holds in place of passwords: made, checked, and made up for names
 * that are not there. Whoever uses it is linked with libgsasl and libcrypt.
 *
 * A check says 1 (the password is right), 0 (wrong), or -EINVAL: this is not a secret.
 */
#ifndef POSTERN_SECRET_H
#define POSTERN_SECRET_H

#include <gsasl.h>
#include <stdbool.h>

#include "secrets/users.h"

enum { SECRET_PASSWORD = 1024 }; /* a password, with its NUL */

/* "iterations,salt,StoredKey,ServerKey" in parts, all but the first one in base64. */
struct scram {
	char *iterations, *salt, *stored, *server;
};

/* Cuts a secret of SCRAM by this hash in place. False if it is none. */
bool secret_split(char *secret, Gsasl_hash hash, struct scram *out);

/* Of SCRAM by SHA-256; cuts the secret in place. */
int secret_check_scram(char *secret, const char *password);

/* Of crypt(5): of the password as it is, or as SASLprep prepares it. */
int secret_check_crypt(const char *secret, const char *password);

/* A new secret of SCRAM for a password that SASLprep has prepared. */
bool secret_make(Gsasl_hash hash, const char *password, char out[static USERS_SECRET]);

/*
 * What the secret of a name that is not there would look like if it were: the same each time for
 * one name and `seed`, which nobody else knows; with as many rounds and as much salt as `like`, a
 * secret by this hash ("": none, then as secret_make). Nobody has its password.
 */
void secret_pretend(struct span seed, const char *like, Gsasl_hash hash, const char *name,
	char out[static USERS_SECRET]);

#endif

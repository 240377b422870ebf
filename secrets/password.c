#include "secrets/password.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/limits.h"

const char *
password_kind(Gsasl_hash hash)
{
	return hash == GSASL_HASH_SHA1 ? "{SCRAM-SHA-1}" : "{SCRAM-SHA-256}";
}

/* Names that differ in case alone would be one user, so they have one secret that is none. */
static void
pretend(const struct password_file *f, const char *given, Gsasl_hash hash,
	char out[static USERS_SECRET])
{
	char name[LIMIT_ADDRESS + 1], like[USERS_SECRET];
	snprintf(name, sizeof(name), "%s", given);
	for (char *c = name; *c != '\0' && !f->exact; c++)
		*c = ascii_lower(*c);
	(void)users_first_secret(f->text, password_kind(hash), like);
	secret_pretend(users_first_secrets(f->text), like, hash, name, out);
	explicit_bzero(like, sizeof(like));
}

int
password_check(const struct user *u, const char *password, const char **kind)
{
	char secret[USERS_SECRET];
	int found = -ENOENT;
	if (users_secret(u, password_kind(GSASL_HASH_SHA256), secret)) {
		*kind = password_kind(GSASL_HASH_SHA256);
		found = secret_check_scram(secret, password);
	} else if (users_secret(u, "$", secret)) {
		*kind = "crypt";
		found = secret_check_crypt(secret, password);
	}
	explicit_bzero(secret, sizeof(secret));
	return found;
}

void
password_check_nobody(const struct password_file *f, const char *name, const char *password)
{
	char secret[USERS_SECRET];
	if (!users_first_secret(f->text, password_kind(GSASL_HASH_SHA256), secret) &&
		users_first_secret(f->text, "$", secret)) {
		(void)secret_check_crypt(secret, password);
	} else {
		pretend(f, name, GSASL_HASH_SHA256, secret);
		(void)secret_check_scram(secret, password);
	}
	explicit_bzero(secret, sizeof(secret));
}

bool
password_scram(const struct password_file *f, const struct user *u, const char *name,
	Gsasl_hash hash, char out[static USERS_SECRET])
{
	if (u != NULL && users_secret(u, password_kind(hash), out))
		return true;
	pretend(f, name, hash, out);
	return false;
}

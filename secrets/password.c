#include "secrets/password.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A name is prepared where that can be done, so that one in another form is found, too. */
static int
set_name(Gsasl_session *s, Gsasl_property what, struct span name)
{
	char *text = strndup(name.p, name.n), *prepared = NULL;
	int r = text == NULL ? GSASL_MALLOC_ERROR : gsasl_saslprep(text, 0, &prepared, NULL);
	if (text != NULL)
		r = gsasl_property_set(s, what, r == GSASL_OK ? prepared : text);
	free(prepared);
	free(text);
	return r;
}

static bool
has_controls(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

/* "whom NUL name NUL password" */
static int
take_plain(Gsasl_session *s, struct span text)
{
	struct span rest = text, whom = span_cut(&rest, '\0'), name = span_cut(&rest, '\0');
	bool whole = whom.n + name.n + 2 + rest.n == text.n;
	if (!whole || (rest.n > 0 && memchr(rest.p, '\0', rest.n) != NULL))
		return GSASL_MECHANISM_PARSE_ERROR;
	if (has_controls(whom) || has_controls(name) || has_controls(rest))
		return GSASL_AUTHENTICATION_ERROR;
	int r = whom.n > 0 ? set_name(s, GSASL_AUTHZID, whom) : GSASL_OK;
	if (r == GSASL_OK)
		r = set_name(s, GSASL_AUTHID, name);
	return r == GSASL_OK ? gsasl_property_set_raw(s, GSASL_PASSWORD, rest.p, rest.n) : r;
}

int
password_of_plain(Gsasl_session *s, const char *response)
{
	char *text = NULL;
	size_t n = 0;
	if (gsasl_base64_from(response, strlen(response), &text, &n) != GSASL_OK)
		return GSASL_BASE64_ERROR;
	int r = take_plain(s, (struct span){ text, n });
	if (n > 0)
		explicit_bzero(text, n);
	gsasl_free(text);
	return r;
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

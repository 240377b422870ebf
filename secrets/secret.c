#include "secrets/secret.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { ITERATIONS = 10000, SALT = 16, HASH_MAX = 64 };

struct keys {
	char salted[HASH_MAX], client[HASH_MAX], server[HASH_MAX], stored[HASH_MAX];
};

/* What SCRAM makes of a password (RFC 5802 section 3). */
static bool
derive(Gsasl_hash hash, const char *password, unsigned iterations, const char *salt, size_t n,
	struct keys *out)
{
	return gsasl_scram_secrets_from_password(hash, password, iterations, salt, n, out->salted,
		       out->client, out->server, out->stored) == GSASL_OK;
}

static bool
same(const char *a, const char *b, size_t n)
{
	unsigned char differs = 0;
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

static bool
is_base64(const char *text, size_t least, size_t most)
{
	char *octets = NULL;
	size_t n = 0;
	bool ok = gsasl_base64_from(text, strlen(text), &octets, &n) == GSASL_OK && n >= least &&
		n <= most;
	free(octets);
	return ok;
}

bool
secret_split(char *secret, Gsasl_hash hash, struct scram *out)
{
	size_t size = gsasl_hash_length(hash);
	out->iterations = secret;
	char **part[] = { &out->salt, &out->stored, &out->server };
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		secret = strchr(secret, ',');
		if (secret == NULL)
			return false;
		*secret++ = '\0';
		*part[i] = secret;
	}
	size_t digits = strspn(out->iterations, "0123456789");
	return digits > 0 && digits < 8 && out->iterations[digits] == '\0' &&
		strtoul(out->iterations, NULL, 10) > 0 && is_base64(out->salt, 1, USERS_SECRET) &&
		is_base64(out->stored, size, size) && is_base64(out->server, size, size);
}

int
secret_check_scram(char *secret, const char *password)
{
	struct scram parts = { 0 };
	char *salt = NULL, *want = NULL, *prepared = NULL;
	struct keys have;
	size_t salt_n = 0, want_n = 0;
	if (!secret_split(secret, GSASL_HASH_SHA256, &parts))
		return -EINVAL;
	bool ok = gsasl_saslprep(password, 0, &prepared, NULL) == GSASL_OK &&
		gsasl_base64_from(parts.salt, strlen(parts.salt), &salt, &salt_n) == GSASL_OK &&
		gsasl_base64_from(parts.stored, strlen(parts.stored), &want, &want_n) == GSASL_OK &&
		derive(GSASL_HASH_SHA256, prepared, (unsigned)strtoul(parts.iterations, NULL, 10),
			salt, salt_n, &have) &&
		same(have.stored, want, want_n);
	explicit_bzero(&have, sizeof(have));
	free(salt);
	free(want);
	free(prepared);
	return ok;
}

/*
 * crypt(5) makes another secret of a good one, as long, and a text with '*' of a bad one, or of a
 * password that is longer than any: that one is wrong, and says nothing of the secret.
 */
static int
check_crypt(const char *secret, const char *password)
{
	struct crypt_data data = { 0 };
	bool fits = strlen(password) < CRYPT_MAX_PASSPHRASE_SIZE;
	const char *have = crypt_r(fits ? password : "", secret, &data);
	bool good = have != NULL && have[0] != '*' && strlen(have) == strlen(secret);
	bool ok = good && fits && same(have, secret, strlen(have));
	explicit_bzero(&data, sizeof(data));
	return good ? ok : -EINVAL;
}

int
secret_check_crypt(const char *secret, const char *password)
{
	char *prepared = NULL;
	int found = check_crypt(secret, password);
	if (found == 0 && gsasl_saslprep(password, 0, &prepared, NULL) == GSASL_OK &&
		strcmp(prepared, password) != 0)
		found = check_crypt(secret, prepared);
	if (prepared != NULL)
		explicit_bzero(prepared, strlen(prepared));
	free(prepared);
	return found;
}

bool
secret_make(Gsasl_hash hash, const char *password, char out[static USERS_SECRET])
{
	char salt[SALT];
	struct keys k;
	char *text[3] = { NULL };
	size_t n, size = gsasl_hash_length(hash);
	bool ok = getrandom(salt, sizeof(salt), 0) == (ssize_t)sizeof(salt) &&
		derive(hash, password, ITERATIONS, salt, sizeof(salt), &k) &&
		gsasl_base64_to(salt, sizeof(salt), &text[0], &n) == GSASL_OK &&
		gsasl_base64_to(k.stored, size, &text[1], &n) == GSASL_OK &&
		gsasl_base64_to(k.server, size, &text[2], &n) == GSASL_OK;
	if (ok)
		snprintf(out, USERS_SECRET, "%d,%s,%s,%s", ITERATIONS, text[0], text[1], text[2]);
	for (int i = 0; i < 3; i++)
		free(text[i]);
	return ok;
}

/* What anybody is shown of a secret: how many rounds, and octets of salt. */
struct form {
	unsigned rounds;
	size_t salt;
};

static struct form
form_of(const char *like, Gsasl_hash hash)
{
	struct form f = { ITERATIONS, SALT };
	struct scram parts;
	char copy[USERS_SECRET], *salt = NULL;
	snprintf(copy, sizeof(copy), "%s", like);
	if (secret_split(copy, hash, &parts) &&
		gsasl_base64_from(parts.salt, strlen(parts.salt), &salt, &f.salt) == GSASL_OK)
		f.rounds = (unsigned)strtoul(parts.iterations, NULL, 10);
	free(salt);
	if (f.salt > gsasl_hash_length(hash)) /* all that there is to make it of */
		f.salt = gsasl_hash_length(hash);
	return f;
}

void
secret_pretend(struct span seed, const char *like, Gsasl_hash hash, const char *name,
	char out[static USERS_SECRET])
{
	struct form form = form_of(like, hash);
	char stored[HASH_MAX], *seed64 = NULL, *salt64 = NULL, *key64 = NULL;
	struct keys k;
	size_t n;
	/* Base64, because not every octet may stand in a password. */
	(void)gsasl_nonce(stored, sizeof(stored));
	if (gsasl_base64_to(seed.n > 0 ? seed.p : "", seed.n, &seed64, &n) == GSASL_OK &&
		derive(hash, seed64, 1, name, strlen(name), &k) &&
		gsasl_base64_to(k.stored, form.salt, &salt64, &n) == GSASL_OK &&
		gsasl_base64_to(stored, gsasl_hash_length(hash), &key64, &n) == GSASL_OK)
		snprintf(out, USERS_SECRET, "%u,%s,%s,%s", form.rounds, salt64, key64, key64);
	else
		out[0] = '\0';
	free(seed64);
	free(salt64);
	free(key64);
}

/*
 * Writes down what each check of a password costs: preloaded into auth, it says to standard error
 * how many rounds of which hash were asked for, or which setting of crypt(5), and lets them happen.
 */
#include <crypt.h>
#include <dlfcn.h>
#include <gsasl.h>
#include <stdio.h>
#include <unistd.h>

typedef int derive_fn(Gsasl_hash, const char *, unsigned, const char *, size_t, char *, char *,
	char *, char *);

int
gsasl_scram_secrets_from_password(Gsasl_hash hash, const char *password, unsigned rounds,
	const char *salt, size_t n, char *salted, char *client, char *server, char *stored)
{
	derive_fn *real = (derive_fn *)dlsym(RTLD_NEXT, "gsasl_scram_secrets_from_password");
	dprintf(STDERR_FILENO, "cost: hash %d rounds %u\n", (int)hash, rounds);
	return real(hash, password, rounds, salt, n, salted, client, server, stored);
}

typedef char *crypt_fn(const char *, const char *, struct crypt_data *);

char *
crypt_r(const char *password, const char *setting, struct crypt_data *data)
{
	crypt_fn *real = (crypt_fn *)dlsym(RTLD_NEXT, "crypt_r");
	dprintf(STDERR_FILENO, "cost: crypt %s\n", setting);
	return real(password, setting, data);
}

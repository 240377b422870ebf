#include "secrets/enrol.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "secrets/secret.h"

int
enrol_user(const char *name)
{
	char password[SECRET_PASSWORD], *prepared = NULL;
	if (name[0] == '\0' || name[0] == '#' || strpbrk(name, ":\n\r") != NULL) {
		fputs("auth: not a name for the file\n", stderr);
		return EX_USAGE;
	}
	if (fgets(password, sizeof(password), stdin) == NULL)
		return EX_NOINPUT;
	size_t n = strcspn(password, "\r\n");
	password[n] = '\0';
	if (n == 0 || n == sizeof(password) - 1 ||
		gsasl_saslprep(password, 0, &prepared, NULL) != GSASL_OK) {
		fputs("auth: the password is empty, too long, or holds what no password may\n",
			stderr);
		return EX_DATAERR;
	}
	char sha256[USERS_SECRET], sha1[USERS_SECRET];
	bool ok = secret_make(GSASL_HASH_SHA256, prepared, sha256) &&
		secret_make(GSASL_HASH_SHA1, prepared, sha1);
	if (ok)
		printf("%s:{SCRAM-SHA-256}%s {SCRAM-SHA-1}%s\n", name, sha256, sha1);
	explicit_bzero(password, sizeof(password));
	free(prepared);
	return ok ? EXIT_SUCCESS : EX_SOFTWARE;
}

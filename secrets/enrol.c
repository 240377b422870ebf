#include "secrets/enrol.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/file.h"
#include "secrets/secret.h"

/*
 * The first line of standard input, without its end. Its length, which is that of the room for a
 * line that is too long; -1 if there is none.
 */
static ssize_t
read_password(char password[static SECRET_PASSWORD])
{
	size_t n = 0;
	int c;
	while ((c = getchar()) != EOF && c != '\n' && n < SECRET_PASSWORD)
		password[n++] = (char)c;
	if (n == 0 && c == EOF)
		return -1;
	if (n > 0 && n < SECRET_PASSWORD && password[n - 1] == '\r')
		n--;
	if (n < SECRET_PASSWORD)
		password[n] = '\0';
	return (ssize_t)n;
}

int
enrol_user(const char *name)
{
	char password[SECRET_PASSWORD], *prepared = NULL;
	if (name[0] == '\0' || name[0] == '#' || strpbrk(name, ":\n\r") != NULL) {
		fputs("auth: not a name for the file\n", stderr);
		return EX_USAGE;
	}
	ssize_t n = read_password(password);
	if (n < 0) {
		fputs("auth: there is no password on standard input\n", stderr);
		return EX_NOINPUT;
	}
	if (n == 0 || n == SECRET_PASSWORD || memchr(password, '\0', (size_t)n) != NULL ||
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
	if (ok && file_flush(stdout) < 0) {
		fputs("auth: the line cannot be written to standard output\n", stderr);
		return EX_IOERR;
	}
	return ok ? EXIT_SUCCESS : EX_SOFTWARE;
}

#include "conf/credential.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VARIABLE_MAX = 64 }; /* octets of NAME */

static const struct span prefix = { "credential:", 11 }, variable = { "environment:", 12 };

bool
credential_named(struct span value)
{
	struct span name = span_skip(value, prefix.n);
	return value.n > prefix.n && memcmp(value.p, prefix.p, prefix.n) == 0 &&
	       name.n <= NAME_MAX && memchr(name.p, '/', name.n) == NULL &&
	       !span_eq(name, span_of(".")) && !span_eq(name, span_of(".."));
}

bool
credential_hidden(struct span value)
{
	return credential_named(value) && credential_environment(environ) == NULL;
}

bool
credential_variable_named(struct span value)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	struct span name = span_skip(value, variable.n);
	if (value.n <= variable.n || memcmp(value.p, variable.p, variable.n) != 0 ||
		name.n > VARIABLE_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (memchr(allowed, name.p[i], sizeof(allowed) - 1) == NULL)
			return false;
	return true;
}

const char *
credential_variable(const char *value)
{
	char name[sizeof("POSTERN_" CREDENTIAL_VARIABLE) + VARIABLE_MAX];
	snprintf(name, sizeof(name), "POSTERN_" CREDENTIAL_VARIABLE "%s", value + variable.n);
	return getenv(name);
}

void
credential_forget(void)
{
	static const char ours[] = "POSTERN_" CREDENTIAL_VARIABLE;
	for (char **e = environ; *e != NULL; e++)
		if (strncmp(*e, ours, sizeof(ours) - 1) == 0)
			explicit_bzero(*e, strlen(*e));
}

const char *
credential_environment(char *const *environment)
{
	static const char set[] = CREDENTIAL_DIRECTORY "/";
	for (; *environment != NULL; environment++)
		if (strncmp(*environment, set, sizeof(set) - 1) == 0)
			return *environment;
	return NULL;
}

int
credential_path(char **value, struct buf *why)
{
	const char *set = credential_environment(environ);
	const char *directory = set != NULL ? set + strlen(CREDENTIAL_DIRECTORY) : NULL;
	char *path;
	if (*value == NULL || !credential_named(span_of(*value)))
		return 0;
	if (directory == NULL) {
		buf_printf(why, "%s: there are no credentials: $CREDENTIALS_DIRECTORY is not set",
			*value);
		return -EINVAL;
	}
	if (asprintf(&path, "%s/%s", directory, *value + prefix.n) < 0) {
		buf_puts(why, "out of memory");
		return -EINVAL;
	}
	free(*value);
	*value = path;
	return 0;
}

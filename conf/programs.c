#include "conf/programs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/self.h"

/*
 * The other programs lie beside this one; but those that people call are in a directory "bin" or
 * "sbin", and then the others may be in libexec/postern beside that. *n is what of `self` the path
 * begins with.
 */
static const char *
where_others_are(const char *self, int *n)
{
	const char *slash = strrchr(self, '/'), *before = slash;
	if (slash == NULL)
		return NULL;
	while (before > self && before[-1] != '/')
		before--;
	struct span directory = span_from(before, slash);
	bool called = span_eq(directory, span_of("bin")) || span_eq(directory, span_of("sbin"));
	if (called) { /* a session's smtpd is in no such directory, and so need not look */
		char beside[PATH_MAX];
		snprintf(beside, sizeof(beside), "%.*s/relay", (int)(slash - self), self);
		called = access(beside, X_OK) < 0;
	}
	*n = (int)((called ? before : slash + 1) - self);
	return called ? "libexec/postern/" : "";
}

int
programs_complete(struct conf *c)
{
	const struct {
		char **path;
		const char *program;
	} paths[] = { { &c->who.relay_path, "relay" }, { &c->who.tls_path, "tls" },
		{ &c->who.auth_path, "auth" }, { &c->who.sign_path, "sign" },
		{ &c->who.fetch_path, "fetch" },
		{ &c->who.tlsreport_path, "postern-tlsreport" } };
	char self[PATH_MAX];
	int n = 0;
	const char *where = self_path(self) == 0 ? where_others_are(self, &n) : NULL;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (*paths[i].path != NULL)
			continue;
		if (where == NULL)
			return -ENOENT;
		if (asprintf(paths[i].path, "%.*s%s%s", n, self, where, paths[i].program) < 0)
			return -ENOMEM;
	}
	return 0;
}

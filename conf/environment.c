#include "conf/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "conf/credential.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/self.h"

extern char **environ;

enum { DOUBT_WORDS = 200, NAME_SHOWN = 100 };

static const char environment[] = "environment";

/* Lists of variables are read by shells, and by docker, which keeps quotes. No value has any. */
static struct span
unquoted(struct span value)
{
	bool both = value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
		value.p[value.n - 1] == value.p[0];
	return both ? span_trim((struct span){ value.p + 1, value.n - 2 }) : value;
}

/*
 * A value as it was meant: secrets and lists of variables come with ends of lines, from Windows
 * with CRs and a mark. Nothing is left of a template that had nothing to fill in.
 */
static struct span
plain(struct span value)
{
	return unquoted(span_trim(span_chomp(span_without_mark(value))));
}

/* What Kubernetes and Docker say of a port: POSTERN_SMTP_PORT, of a service called postern-smtp. */
static bool
is_link(struct span value)
{
	static const struct span links[] = { { "tcp://", 6 }, { "udp://", 6 }, { "sctp://", 7 } };
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (span_starts(value, links[i]))
			return true;
	return false;
}

/*
 * What the file holds that a variable names: for secrets that are mounted, which then stand in no
 * environment. Several lines are no value.
 */
static int
load_named_file(struct setting *s, int key, struct span named)
{
	static const struct conf_origin at = { "file named in the environment", 0 };
	struct span name = span_of(conf_name(key));
	char text[CONF_LINE + 1], path[PATH_MAX];
	snprintf(path, sizeof(path), "%.*s", (int)named.n, named.p);
	auto_fd fd = openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : file_fill(fd, text, sizeof(text));
	if (n < 0)
		return conf_complain(s->why, at, name, strerror(errno), named);
	if (n > CONF_LINE)
		return conf_complain(s->why, at, name, "line too long", named);
	if (s->from->of[key].where == environment)
		return conf_complain(s->why, at, name, "the variable is set, too", named);
	struct span value = plain((struct span){ text, (size_t)n });
	return value.n > 0 ? conf_set(s, name, value, at) : 0;
}

/* The key of a name that ends with "_FILE" and is none itself; -1: there is none. */
static int
find_key_of_file(struct span name)
{
	static const struct span end = { "_FILE", 5 };
	if (conf_find(name) >= 0 || name.n <= end.n ||
		!span_eq(span_skip(name, name.n - end.n), end))
		return -1;
	return conf_find((struct span){ name.p, name.n - end.n });
}

/*
 * Others have variables of these names too: Kubernetes sets POSTERN_PORT and more for a service
 * that is called postern. So what is no key is told, and no error as it is in the file.
 */
static int
load_variable(struct setting *s, struct span variable, bool from_files, struct buf *unknown)
{
	struct span value = variable, name = span_cut(&value, '=');
	value = plain(value);
	if (value.n == 0)
		return 0;
	int file = find_key_of_file(name);
	if (file >= 0) /* behind all others, so that it does not matter which came first */
		return from_files ? load_named_file(s, file, value) : 0;
	if (from_files)
		return 0;
	if (conf_find(name) >= 0 && !is_link(value))
		return conf_set(s, name, value, (struct conf_origin){ environment, 0 });
	buf_puts(unknown, unknown->n > 0 ? ", POSTERN_" : "POSTERN_");
	buf_escape(unknown, name, NAME_SHOWN);
	return 0;
}

static int
load_variables(struct setting *s, bool from_files, struct buf *unknown)
{
	static const struct span prefix = { "POSTERN_", 8 }, secret = { CREDENTIAL_VARIABLE,
		sizeof(CREDENTIAL_VARIABLE) - 1 };
	int r = 0;
	for (char **e = environ; *e != NULL && r == 0; e++) {
		if (strncmp(*e, prefix.p, prefix.n) != 0)
			continue;
		struct span var = span_of(*e + prefix.n);
		if (!span_starts(var, secret))
			r = load_variable(s, var, from_files, unknown);
	}
	return r;
}

/* What programs that are started from here would take for settings, too. */
static void
forget_environment(void)
{
	static const char *const ours[] = { "POSTERN_", CREDENTIAL_DIRECTORY };
	char **to = environ;
	for (char **e = environ; *e != NULL; e++) {
		bool forget = false;
		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			forget = forget || strncmp(*e, ours[i], strlen(ours[i])) == 0;
		if (!forget)
			*to++ = *e;
	}
	*to = NULL;
}

int
environment_load(struct setting *s)
{
	if (self_is_set_id()) {
		forget_environment();
		return 0;
	}
	auto_buf unknown = buf_new(CONF_DOUBTS - DOUBT_WORDS);
	int r = load_variables(s, false, &unknown);
	if (r == 0)
		r = load_variables(s, true, &unknown);
	if (unknown.n > 0)
		conf_doubt(s, "the environment has what is no key and is not looked at: %.*s%s",
			(int)unknown.n, unknown.p, unknown.err != 0 ? ", and more" : "");
	return r;
}

/*
 * nullmailer: a directory of files that hold one value each, and `remotes`, a line for each host:
 * its name, a protocol, and options with or without "--", quoted as a shell does it.
 */
#include "admin/formats.h"

#include <errno.h>
#include <sys/stat.h>

#include "lib/cleanup.h"

/* A host of `remotes`. */
struct remote {
	struct span host, port, user, password, ca;
	bool tls, starttls, insecure;
};

/*
 * The next word of *line, without its quotes and backslashes, in *word. False: there is none. What
 * was quoted is written over the line itself, which is ours.
 */
static bool
next_word(struct span *line, struct span *word)
{
	char quote = '\0';
	*line = span_trim(*line);
	if (line->n == 0)
		return false;
	char *start = (char *)(uintptr_t)line->p, *to = start;
	size_t at = 0;
	for (; at < line->n; at++) {
		char c = line->p[at];
		if (quote == '\0' && (c == ' ' || c == '\t'))
			break;
		if (c == '\\' && quote != '\'' && at + 1 < line->n)
			*to++ = line->p[++at];
		else if (quote == '\0' && (c == '"' || c == '\''))
			quote = c;
		else if (c == quote)
			quote = '\0';
		else
			*to++ = c;
	}
	*word = (struct span){ start, (size_t)(to - start) };
	*line = span_skip(*line, at);
	return true;
}

/* True if it is an option that a route can have, or that does not matter. */
static bool
take_option(struct remote *r, struct span word)
{
	if (span_starts(word, span_of("--")))
		word = span_skip(word, 2);
	struct span value = word, name = span_cut(&value, '=');
	const struct {
		const char *name;
		struct span *value;
		bool *flag;
	} known[] = {
		{ "port", &r->port, NULL },
		{ "user", &r->user, NULL },
		{ "pass", &r->password, NULL },
		{ "x509cafile", &r->ca, NULL },
		{ "tls", NULL, &r->tls },
		{ "ssl", NULL, &r->tls },
		{ "starttls", NULL, &r->starttls },
		{ "insecure", NULL, &r->insecure },
		{ "auth-login", NULL, NULL },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!span_eq(name, span_of(known[i].name)))
			continue;
		if (known[i].value != NULL)
			*known[i].value = value;
		if (known[i].flag != NULL)
			*known[i].flag = true;
		return true;
	}
	return false;
}

static bool
is_alike(const struct remote *a, const struct remote *b)
{
	return a->tls == b->tls && a->starttls == b->starttls && a->insecure == b->insecure &&
	       span_eq(a->user, b->user) && span_eq(a->password, b->password);
}

/* Reads a line; what cannot be said of it is in a warning. False: it is left out. */
static bool
read_remote(struct translation *t, struct span line, struct remote *r)
{
	struct span word;
	*r = (struct remote){ .host = { "", 0 } };
	if (!next_word(&line, &r->host))
		return false;
	while (next_word(&line, &word)) {
		if (span_eq(word, span_of("smtp")))
			continue;
		if (span_eq(word, span_of("qmqp"))) {
			translate_warn(t, "there is no QMQP here: the host is left out");
			return false;
		}
		struct span value = word, name = span_cut(&value, '=');
		if (!take_option(r, word))
			translate_warn(
				t, "%.*s: there is nothing like that here", (int)name.n, name.p);
	}
	if (r->port.n == 0)
		r->port = span_of(r->tls && !r->starttls ? "465" : "25");
	return true;
}

static void
put_terms(struct translation *t, const struct remote *r)
{
	bool uses = r->tls || r->starttls;
	translate_set(t, "delivery_tls",
		span_of(!uses	      ? "none"
			: r->insecure ? "encrypt"
				      : "verify"));
	if (r->tls && !r->starttls)
		translate_set(t, "delivery_tls_implicit", span_of("yes"));
	if (r->user.n > 0)
		translate_login(t, r->user, r->password);
	if (r->user.n > 0 && (!uses || r->insecure))
		translate_warn(t,
			"a password is shown only to a host whose certificate is good, unless "
			"delivery_auth_clear = yes");
	if (r->ca.n > 0)
		translate_warn(t,
			"delivery_ca, which is one for all hosts, goes to the top: "
			"delivery_ca = %.*s",
			(int)r->ca.n, r->ca.p);
}

static void
put_remotes(struct translation *t, struct sheet *s)
{
	struct remote first = { .host = { "", 0 } }, r;
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	struct span rest = buf_span(&s->text);
	translate_route(t, "smarthost", "domains", span_of("*"));
	int number = 0;
	for (struct span line; translate_line(&rest, &number, &line);) {
		struct span words = line, name = span_word(&words, " \t");
		struct told setting = {
			.name = name, .line = number, .secret = span_trim(words).n > 0
		};
		translate_from(t, s, &setting);
		if (!read_remote(t, line, &r))
			continue;
		if (first.host.n > 0 && !is_alike(&first, &r)) {
			translate_warn(t,
				"%.*s is left out, for it has another login or other TLS "
				"than the first; a route has the same for all its hosts",
				(int)r.host.n, r.host.p);
			continue;
		}
		if (first.host.n == 0)
			first = r;
		translate_say(t, "in the list of hosts");
		translate_host(&hosts, r.host, r.port);
	}
	translate_from_nothing(t);
	if (first.host.n == 0) {
		translate_warn(t, "there is no host in remotes: nothing can be delivered");
		return;
	}
	translate_set(t, "hosts", buf_span(&hosts));
	put_terms(t, &first);
}

/* ---- the files beside it --------------------------------------------------------------------- */

static void
put_seconds(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	translate_setf(t, key, "%.*ss", (int)setting->value.n, setting->value.p);
}

static void
admin_address(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	translate_warn(t, "mail for users of this host goes by /etc/aliases: \"root: %.*s\"",
		(int)setting->value.n, setting->value.p);
}

static const struct rule rules[] = {
	{ "me", RULE_SAME, "hostname", NULL },
	{ "helohost", RULE_CANNOT, "the name in EHLO is hostname", NULL },
	{ "defaultdomain", RULE_CANNOT, "bare names get the domain of /etc/mailname", NULL },
	{ "defaulthost", RULE_CANNOT, "bare names get the domain of /etc/mailname", NULL },
	{ "adminaddr", RULE_BY, NULL, admin_address },
	{ "allmailfrom", RULE_SAME, "force_from", NULL },
	{ "idhost", RULE_CANNOT, "a Message-ID that is added has hostname", NULL },
	{ "queuelifetime", RULE_BY, "expire", put_seconds },
	{ "doublebounceto", RULE_SAME, "double_bounce", NULL },
	{ "sendtimeout", RULE_NEEDLESS, "each step has a time of its own: the timeout_ keys",
		NULL },
	{ "pausetime", RULE_NEEDLESS, "retry has the times between attempts", NULL },
	{ "maxpause", RULE_NEEDLESS, "retry has the times between attempts", NULL },
	{ "bouncefrom", RULE_CANNOT, "reports have no sender, as RFC 3464 says", NULL },
};

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

/* Each of these files is as a setting whose value is its first line. */
static void
put_files(struct translation *t, const char *directory)
{
	for (int i = 0; i < RULES; i++) {
		struct sheet s = { .n = 0 };
		auto_buf path = buf_new(TRANSLATE_LINE);
		buf_printf(&path, "%s/%s", directory, rules[i].name);
		buf_add(&path, (struct span){ "", 1 });
		int r = path.err == 0 ? translate_read(&s, path.p) : path.err;
		struct span text = buf_span(&s.text), value = span_trim(span_line(&text));
		if (r == 0 && value.n > 0 && translate_add(&s, span_of(rules[i].name), value, 1))
			translate_by_rules(t, &s, rules, RULES);
		translate_from_nothing(t);
		buf_free(&s.text);
	}
}

int
nullmailer_translate(struct translation *t, const char *path)
{
	struct sheet s = { .n = 0 };
	struct stat st;
	auto_buf directory = buf_new(TRANSLATE_LINE), remotes = buf_new(TRANSLATE_LINE);
	if (stat(path, &st) < 0)
		return -errno;
	const char *slash = strrchr(path, '/');
	bool whole = S_ISDIR(st.st_mode);
	if (whole || slash != NULL)
		buf_printf(
			&directory, "%.*s", whole ? (int)strlen(path) : (int)(slash - path), path);
	else
		buf_puts(&directory, ".");
	buf_printf(&remotes, whole ? "%s/remotes" : "%s", path);
	buf_add(&directory, (struct span){ "", 1 });
	buf_add(&remotes, (struct span){ "", 1 });
	if (directory.err != 0 || remotes.err != 0)
		return -ENAMETOOLONG;
	int r = translate_read(&s, remotes.p);
	if (r == 0) {
		put_files(t, directory.p);
		put_remotes(t, &s);
	}
	buf_free(&s.text);
	return r;
}

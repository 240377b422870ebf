/*
 * msmtp: msmtprc, "command argument" lines. "account" begins the settings of a host, which has
 * those of "defaults" and of accounts that it names; one called "default" has all mail that no
 * other has.
 */
#include "admin/formats.h"

#include "lib/cleanup.h"

enum { ACCOUNTS = 32 };

struct account {
	struct span name;
	int line;
	struct sheet has; /* shares the text of the file */
};

struct accounts {
	struct sheet file;
	struct account v[ACCOUNTS];
	int n;
	struct sheet defaults;
};

static struct accounts all; /* large */

#define IN_ROUTE(name) { name, RULE_ROUTE, NULL, NULL }
#define NEEDLESS(name, why) { name, RULE_NEEDLESS, why, NULL }
#define CANNOT(name, why) { name, RULE_CANNOT, why, NULL }

/* What is no matter of one account here. */
static const struct rule rules[] = {
	IN_ROUTE("host"),
	IN_ROUTE("port"),
	IN_ROUTE("protocol"),
	IN_ROUTE("socket"),
	IN_ROUTE("auth"),
	IN_ROUTE("user"),
	IN_ROUTE("password"),
	IN_ROUTE("passwordeval"),
	IN_ROUTE("tls"),
	IN_ROUTE("tls_starttls"),
	IN_ROUTE("tls_certcheck"),
	IN_ROUTE("source_ip"),
	IN_ROUTE("from"),
	{ "tls_trust_file", RULE_ROUTE, NULL, NULL },
	NEEDLESS("syslog", "the journal or syslog has it: log"),
	NEEDLESS("logfile", "the journal or syslog has it: log"),
	NEEDLESS("logfile_time_format", "the journal or syslog has it: log"),
	NEEDLESS("timeout", "each step has a time of its own: the timeout_ keys"),
	NEEDLESS("auto_from", "a bare sender gets the domain of /etc/mailname"),
	NEEDLESS("maildomain", "a bare sender gets the domain of /etc/mailname: write it there"),
	NEEDLESS("remove_bcc_headers", "sendmail -t takes Bcc out, smtpd changes nothing"),
	NEEDLESS("set_from_header", "what is missing is added to mail of this host"),
	NEEDLESS("set_date_header", "what is missing is added to mail of this host"),
	NEEDLESS("set_msgid_header", "what is missing is added to mail of this host"),
	NEEDLESS("add_missing_from_header", "what is missing is added to mail of this host"),
	NEEDLESS("add_missing_date_header", "what is missing is added to mail of this host"),
	NEEDLESS("tls_priorities", "the programs choose it themselves"),
	NEEDLESS("tls_min_dh_prime_bits", "the programs choose it themselves"),
	CANNOT("allow_from_override",
		"users of this host may be held to their own names: local_senders"),
	CANNOT("aliases", "aliases are read from /etc/aliases"),
	CANNOT("domain", "the name in EHLO is hostname, one for all"),
	CANNOT("proxy_host", "there is no SOCKS here"),
	CANNOT("proxy_port", "there is no SOCKS here"),
	CANNOT("ntlmdomain", "there is no NTLM here"),
	CANNOT("tls_cert_file", "no certificate of ours is shown to hosts"),
	CANNOT("tls_key_file", "no certificate of ours is shown to hosts"),
	CANNOT("tls_crl_file", "lists of revoked certificates are not read"),
	CANNOT("tls_fingerprint",
		"certificates are not known by their fingerprint; let delivery_ca be "
		"a file with this one"),
	CANNOT("tls_host_override", "the certificate must be for a name in hosts"),
	CANNOT("dsn_notify", "clients ask for reports themselves: sendmail -N"),
	CANNOT("dsn_return", "clients ask for reports themselves: sendmail -R"),
	CANNOT("undisclosed_recipients", "To and Cc are not changed"),
	CANNOT("eval", "commands are not run to read a configuration; write what it prints"),
};

/* ---- reading ------------------------------------------------------------------------------- */

static struct span
without_quotes(struct span s)
{
	bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
	return quoted ? (struct span){ s.p + 1, s.n - 2 } : s;
}

static struct account *
find_account(struct span name)
{
	for (int i = all.n - 1; i >= 0; i--)
		if (span_eq(all.v[i].name, name))
			return &all.v[i];
	return NULL;
}

static void
inherit(struct sheet *to, const struct sheet *from)
{
	for (int i = 0; i < from->n; i++) {
		if (!translate_add(to, from->v[i].name, from->v[i].value, from->v[i].line))
			return;
		to->v[to->n - 1].secret = from->v[i].secret;
	}
}

/* "account NAME [: OTHER[,...]]" */
static struct sheet *
begin_account(struct span rest, int line)
{
	struct span others = rest, name = span_trim(span_cut(&others, ':'));
	if (all.n == ACCOUNTS)
		return NULL;
	struct account *a = &all.v[all.n++];
	*a = (struct account){ .name = name, .line = line };
	a->has.path = all.file.path;
	inherit(&a->has, &all.defaults);
	for (struct span other; (other = span_word(&others, " \t,")).n > 0;) {
		const struct account *from = find_account(other);
		if (from != NULL && from != a)
			inherit(&a->has, &from->has);
	}
	return &a->has;
}

/* A command may hold the password that it prints. */
static bool
is_secret(struct span name, struct span value)
{
	if (span_eq(name, span_of("password")) || span_eq(name, span_of("eval")))
		return true;
	return span_eq(name, span_of("passwordeval")) && value.n > 0 && value.p[0] != '/';
}

static void
read_lines(struct translation *t)
{
	struct span rest = buf_span(&all.file.text);
	struct sheet *now = &all.defaults;
	int number = 0;
	for (struct span value; now != NULL && translate_line(&rest, &number, &value);) {
		struct span name = span_word(&value, " \t");
		value = without_quotes(span_trim(value));
		if (span_eq(name, span_of("defaults")))
			now = &all.defaults;
		else if (span_eq(name, span_of("account")))
			now = begin_account(value, number);
		else if (translate_add(now, name, value, number))
			now->v[now->n - 1].secret = is_secret(name, value);
	}
	if (now == NULL)
		translate_warn(
			t, "there are more than %d accounts; the rest was not read", ACCOUNTS);
}

/* ---- writing ------------------------------------------------------------------------------- */

/* On unless it is said to be off; an empty argument is "on". */
static bool
is_on(struct sheet *s, const char *name, bool otherwise)
{
	const struct told *setting = translate_find(s, name);
	if (setting == NULL)
		return otherwise;
	return setting->value.n == 0 || !span_eq(setting->value, span_of("off"));
}

static void
put_tls(struct translation *t, struct sheet *s)
{
	bool tls = is_on(s, "tls", false), checked = is_on(s, "tls_certcheck", true);
	translate_from(t, s, translate_find(s, checked ? "tls" : "tls_certcheck"));
	translate_set(t, "delivery_tls", span_of(!tls ? "none" : checked ? "verify" : "encrypt"));
	if (tls && !is_on(s, "tls_starttls", true)) {
		translate_from(t, s, translate_find(s, "tls_starttls"));
		translate_set(t, "delivery_tls_implicit", span_of("yes"));
	}
}

static bool
is_token_method(struct span method)
{
	return span_ieq(method, span_of("oauthbearer")) || span_ieq(method, span_of("xoauth2"));
}

/* A program and its words, without what only a shell understands. */
static bool
needs_shell(struct span command)
{
	for (size_t i = 0; i < command.n; i++)
		if (strchr("|&;<>()$`\\\"'*?[]~", command.p[i]) != NULL)
			return true;
	return command.n == 0 || command.p[0] != '/';
}

static void
put_command(struct translation *t, struct sheet *s, struct span user)
{
	const struct told *eval = translate_find(s, "passwordeval");
	struct span method = translate_value(s, "auth");
	if (is_token_method(method)) {
		translate_set(t, "delivery_user", user);
		translate_from(t, s, eval);
		if (eval == NULL || needs_shell(eval->value))
			translate_warn(t,
				"delivery_token_command is a program by its whole path, without "
				"a shell: make a script of this, for the user of Postern");
		else
			translate_set(t, "delivery_token_command", eval->value);
		return;
	}
	translate_login(t, user, translate_value(s, "password"));
	if (eval == NULL)
		return;
	translate_from(t, s, eval);
	translate_warn(
		t, "a password is not asked of a program; write what it prints into that file");
}

static void
put_login(struct translation *t, struct sheet *s)
{
	const struct told *user = translate_find(s, "user");
	const struct told *method = translate_find(s, "auth");
	bool tls = is_on(s, "tls", false) && is_on(s, "tls_certcheck", true);
	if (user == NULL || user->value.n == 0 || !is_on(s, "auth", false))
		return;
	translate_from(t, s, user);
	put_command(t, s, user->value);
	if (!tls)
		translate_warn(t,
			"a password is shown only to a host whose certificate is good, unless "
			"delivery_auth_clear = yes");
	struct span how = method != NULL ? method->value : (struct span){ "", 0 };
	static const char *const none[] = { "external", "gssapi", "ntlm", "cram-md5",
		"digest-md5" };
	translate_from(t, s, method);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (span_ieq(how, span_of(none[i])))
			translate_warn(t,
				"there is no such method here; SCRAM, PLAIN, LOGIN and tokens are");
}

static void
put_hosts(struct translation *t, struct sheet *s)
{
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	struct span port = translate_value(s, "port"), path = translate_value(s, "socket");
	const struct told *host = translate_find(s, "host");
	bool implicit = is_on(s, "tls", false) && !is_on(s, "tls_starttls", true);
	if (port.n == 0)
		port = span_of(implicit ? "465" : "25");
	translate_from(t, s, path.n > 0 ? translate_find(s, "socket") : host);
	if (path.n > 0)
		buf_printf(&hosts, "unix:%.*s", (int)path.n, path.p);
	else if (host != NULL)
		translate_host(&hosts, host->value, port);
	if (hosts.n == 0)
		translate_warn(t, "there is no host, so this section cannot stand");
	else
		translate_set(t, "hosts", buf_span(&hosts));
	const struct told *protocol = translate_find(s, "protocol");
	translate_from(t, s, protocol);
	if (protocol != NULL)
		translate_set(t, "protocol", protocol->value);
	const struct told *source = translate_find(s, "source_ip");
	translate_from(t, s, source);
	if (source != NULL && source->value.n > 0)
		translate_set(t, "source", source->value);
}

static void
put_route(struct translation *t, struct account *a, const char *key, struct span which, bool last)
{
	auto_buf name = buf_new(ROUTE_NAME);
	for (size_t i = 0; i < a->name.n; i++) {
		char c = ascii_lower(a->name.p[i]);
		bool plain = (c >= 'a' && c <= 'z') || ascii_digit(c);
		buf_printf(&name, "%c", plain ? c : '-');
	}
	buf_add(&name, (struct span){ "", 1 });
	bool fit = name.err == 0 && name.n > 1 && name.p[0] != '-' && name.p[name.n - 2] != '-';
	translate_route(t, last ? "default" : fit ? name.p : "account", key, which);
	put_hosts(t, &a->has);
	put_tls(t, &a->has);
	put_login(t, &a->has);
	translate_from_nothing(t);
}

/* The address that mail of this account comes from, if it is one that can be compared. */
static struct span
sender_of(struct account *a)
{
	struct span from = translate_value(&a->has, "from");
	bool fixed = from.n > 0 && memchr(from.p, '%', from.n) == NULL &&
		     memchr(from.p, '*', from.n) == NULL && memchr(from.p, '?', from.n) == NULL;
	return fixed && memchr(from.p, '@', from.n) != NULL ? from : (struct span){ "", 0 };
}

/* Is `other` nothing but this account under another name? */
static bool
is_same(const struct account *a, const struct account *other)
{
	int more = other->has.n - a->has.n;
	for (int i = 0; i < a->has.n; i++)
		if (more < 0 || other->has.v[more + i].line != a->has.v[i].line)
			return false;
	for (int i = 0; i < more; i++)
		if (other->has.v[i].line > all.v[0].line)
			return false;
	return true;
}

static void
put_account(struct translation *t, struct account *a, struct account *last)
{
	struct span from = sender_of(a);
	struct told account = { .name = span_of("account"), .value = a->name, .line = a->line };
	if (a == last || (last != NULL && is_same(a, last)))
		return;
	if (from.n > 0) {
		put_route(t, a, "senders", from, false);
		return;
	}
	t->to = &t->routes;
	translate_from(t, &a->has, &account);
	translate_warn(t, "left out: it has no \"from\" by which its mail could be told");
	translate_from_nothing(t);
}

/* Of whichever account they are: once each. */
static void
put_common(struct translation *t)
{
	static struct sheet every;
	every = (struct sheet){ .path = all.file.path };
	inherit(&every, &all.defaults);
	for (int i = 0; i < all.n; i++)
		inherit(&every, &all.v[i].has);
	translate_by_rules(t, &every, rules, (int)(sizeof(rules) / sizeof(rules[0])));
	const struct told *trust = translate_find(&every, "tls_trust_file");
	translate_from(t, &every, trust);
	if (trust != NULL && trust->value.n > 0 && trust->value.p[0] == '/')
		translate_set(t, "delivery_ca", trust->value);
	else if (trust != NULL && trust->value.n > 0 && !span_eq(trust->value, span_of("system")))
		translate_warn(t, "delivery_ca is a file by its whole path");
	const struct told *from = translate_find(&every, "from");
	translate_from(t, &every, from);
	if (from != NULL)
		translate_warn(t,
			"a sender that a program does not name is its user at the domain of "
			"/etc/mailname; senders are changed by masquerade and force_from");
	translate_from_nothing(t);
}

/* An account that only names another is that one. */
static struct account *
find_default(void)
{
	struct account *a = find_account(span_of("default"));
	return a != NULL ? a : all.n > 0 ? &all.v[all.n - 1] : NULL;
}

int
msmtp_translate(struct translation *t, const char *path)
{
	all = (struct accounts){ .n = 0 };
	int r = translate_read(&all.file, path);
	if (r == 0) {
		all.defaults.path = path;
		read_lines(t);
		put_common(t);
		struct account *last = find_default();
		for (int i = 0; i < all.n; i++)
			put_account(t, &all.v[i], last);
		if (last == NULL)
			translate_warn(t, "there is no account");
		else
			put_route(t, last, "domains", span_of("*"), true);
	}
	buf_free(&all.file.text);
	return r;
}

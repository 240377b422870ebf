/*
 * postfix: main.cf of a host that forwards its mail: "name = value" lines that go on where a line
 * begins with white space, "$name" in values, and the map of passwords as the text that it was made
 * from. Tables of other kinds are for mail servers, and named in warnings. master.cf is not read.
 */
#include "admin/formats.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "admin/postfix_route.h"
#include "lib/cleanup.h"

enum {
	DEPTH = 8,         /* of names in values */
	NAMES_MOST = 1000, /* in one value, and in the values of those */
};

static struct sheet main_cf; /* large */

/* ---- values ---------------------------------------------------------------------------------- */

/* What a name that is not set stands for, as far as it matters here. */
static struct span
preset_of(struct span name)
{
	static char own[256];
	struct span host = translate_value(&main_cf, "myhostname");
	if (host.n == 0 && gethostname(own, sizeof(own) - 1) == 0)
		host = span_of(own);
	if (span_eq(name, span_of("mydomain"))) {
		(void)span_cut(&host, '.');
		return host;
	}
	if (span_eq(name, span_of("myorigin")) || span_eq(name, span_of("myhostname")))
		return host;
	if (span_eq(name, span_of("mydestination")))
		return span_of("$myhostname localhost");
	return (struct span){ "", 0 };
}

/* A name, with or without brackets, behind a "$"; *rest moves behind it. */
static struct span
cut_name(struct span *rest)
{
	size_t n = 0;
	if (rest->n > 0 && (rest->p[0] == '{' || rest->p[0] == '(')) {
		char end = rest->p[0] == '{' ? '}' : ')';
		*rest = span_skip(*rest, 1);
		return span_cut(rest, end);
	}
	while (n < rest->n &&
		(ascii_digit(rest->p[n]) || rest->p[n] == '_' ||
			(ascii_lower(rest->p[n]) >= 'a' && ascii_lower(rest->p[n]) <= 'z')))
		n++;
	struct span name = { rest->p, n };
	*rest = span_skip(*rest, n);
	return name;
}

/* The value with the values of names in it; -E2BIG in *out if there are more than *left. */
static void
expand(struct buf *out, struct span value, int depth, int *left)
{
	while (value.n > 0 && out->err == 0) {
		struct span plain = span_cut(&value, '$');
		buf_add(out, plain);
		if (plain.p + plain.n == value.p || value.p == NULL)
			return; /* there was no "$" */
		if ((*left)-- == 0)
			out->err = -E2BIG;
		struct span name = cut_name(&value);
		auto_buf text = buf_new(TRANSLATE_LINE);
		buf_add(&text, name);
		buf_add(&text, (struct span){ "", 1 });
		const struct told *setting =
			text.err == 0 ? translate_find(&main_cf, text.p) : NULL;
		if (depth < DEPTH)
			expand(out, setting != NULL ? setting->value : preset_of(name), depth + 1,
				left);
	}
}

/* A time whose letter may be missing, in our letters. */
static void
put_time(struct translation *t, const char *key, struct span value, const char *unit)
{
	struct span digits = span_digits(value);
	if (digits.n > 0 && digits.n + 1 == value.n && value.p[digits.n] == 'w')
		translate_setf(t, key, "%lldd", (long long)span_number(digits) * 7);
	else
		translate_setf(
			t, key, "%.*s%s", (int)value.n, value.p, digits.n == value.n ? unit : "");
}

/* ---- settings that stand alone --------------------------------------------------------------- */

static void
days(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	put_time(t, key, setting->value, "d");
}

static void
hours(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	put_time(t, key, setting->value, "h");
}

static void
size(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	if (span_eq(setting->value, span_of("0")))
		translate_warn(t, "0 is no limit there; %s has one", key);
	else
		translate_set(t, key, setting->value);
}

/* Networks, without loopback, which is this host itself. */
static void
nets(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	auto_buf list = buf_new(TRANSLATE_LINE);
	struct span rest = setting->value;
	(void)s;
	for (struct span word; (word = span_word(&rest, " \t,\n")).n > 0;) {
		struct netlist one = { 0 };
		if (span_starts(word, span_of("127.")) || span_starts(word, span_of("[::1]")) ||
			span_starts(word, span_of("[::ffff:127.")))
			continue;
		if (netlist_parse(word, &one) < 0)
			translate_warn(
				t, "%.*s: %s are addresses and networks", (int)word.n, word.p, key);
		else
			buf_printf(&list, "%s%.*s", list.n > 0 ? " " : "", (int)word.n, word.p);
		netlist_free(&one);
	}
	if (list.n > 0)
		translate_set(t, key, buf_span(&list));
	else
		translate_say(t, "this host itself may send anyway");
}

static bool
is_empty_or(struct span value, const char *const *words, size_t n)
{
	for (struct span word; (word = span_word(&value, " \t,\n")).n > 0;) {
		bool known = false;
		for (size_t i = 0; i < n; i++)
			known = known || span_eq(word, span_of(words[i]));
		if (!known)
			return false;
	}
	return true;
}

static void
relay_domains(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	struct span rest = setting->value;
	(void)s;
	for (struct span word; (word = span_word(&rest, " \t,\n")).n > 0;) {
		if (memchr(word.p, ':', word.n) != NULL || word.p[0] == '/') {
			translate_warn(t, "a table: write its domains into %s", key);
			return;
		}
	}
	translate_set(t, key, setting->value);
}

static void
interfaces(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	static const char *const local[] = { "loopback-only", "localhost", "127.0.0.1", "::1",
		"[::1]" };
	(void)s;
	(void)key;
	if (is_empty_or(setting->value, local, sizeof(local) / sizeof(local[0])))
		translate_say(t, "postern.socket listens there");
	else
		translate_warn(t,
			"postern.socket listens on loopback: systemctl edit postern.socket, and "
			"there ListenStream=ADDRESS:25 in [Socket]");
}

static void
destination(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	if (setting->value.n > 0)
		translate_warn(t,
			"mail for these went to mailboxes of this host, of which Postern has "
			"none: mail for users goes by /etc/aliases, or by a route with protocol = "
			"lmtp");
}

static void
restrictions(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	static const char *const ours[] = { "permit_mynetworks", "permit_sasl_authenticated",
		"permit", "defer_unauth_destination", "reject_unauth_destination", "reject",
		"reject_unauth_pipelining", "reject_non_fqdn_recipient", "reject_non_fqdn_sender" };
	(void)s;
	(void)key;
	if (is_empty_or(setting->value, ours, sizeof(ours) / sizeof(ours[0])))
		translate_say(t, "relay_nets, users and relay_domains say who may send where");
	else
		translate_warn(t,
			"of restrictions there are relay_nets, auth_users, relay_domains, and the "
			"programs of recipient_check and sender_check");
}

static void
aliases(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	static const char *const usual[] = { "hash:/etc/aliases", "lmdb:/etc/aliases",
		"btree:/etc/aliases", "texthash:/etc/aliases", "cdb:/etc/aliases" };
	(void)s;
	(void)key;
	if (is_empty_or(setting->value, usual, sizeof(usual) / sizeof(usual[0])))
		translate_say(
			t, "sendmail reads /etc/aliases itself; it takes addresses and names");
	else
		translate_warn(t, "aliases are read from /etc/aliases");
}

static void
origin(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	if (span_eq(setting->value, span_of("/etc/mailname")))
		translate_say(t, "sendmail does the same");
	else
		translate_warn(t, "bare names get the domain of /etc/mailname: write %.*s there",
			(int)setting->value.n, setting->value.p);
}

static void
server_tls(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	if (span_eq(setting->value, span_of("encrypt")))
		translate_set(t, key, span_of("required"));
	else if (span_eq(setting->value, span_of("none")) || setting->value.n == 0)
		translate_set(t, key, span_of("off"));
	else
		translate_say(t, "it is offered where there is a certificate");
}

static void
server_sasl(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	struct span path = translate_value(s, "smtpd_sasl_path");
	if (!translate_yes(setting->value))
		return;
	if (!span_eq(translate_value(s, "smtpd_sasl_type"), span_of("dovecot")))
		translate_warn(
			t, "a saslauthd is named by auth_saslauthd, a file of users by auth_users");
	else if (path.n > 0 && path.p[0] == '/')
		translate_set(t, key, path);
	else
		translate_setf(
			t, key, "/var/spool/postfix/%.*s", (int)path.n, path.n > 0 ? path.p : "");
}

static void
certificate(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	if (memmem(setting->value.p, setting->value.n, "snakeoil", 8) != NULL) {
		translate_say(
			t, "left out: nobody trusts this certificate, which its package made");
	} else if (setting->value.n > 0 && !span_eq(setting->value, span_of("none"))) {
		translate_set(t, key, setting->value);
		translate_say(
			t, "the user of Postern must be able to read it, or it is a credential");
	}
}

static void
directory(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	if (span_eq(setting->value, span_of("/etc/ssl/certs")))
		translate_say(t, "%s has the same, in one file", key);
	else if (setting->value.n > 0)
		translate_warn(t, "%s is one file", key);
}

/* What is below one of these is called by it. */
static void
masquerade(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	auto_buf list = buf_new(TRANSLATE_LINE);
	struct span rest = setting->value;
	(void)s;
	for (struct span word; (word = span_word(&rest, " \t,\n")).n > 0;) {
		if (word.p[0] == '!')
			translate_warn(t, "%.*s: there are no exceptions for domains",
				(int)word.n, word.p);
		else
			buf_printf(&list, "%s.%.*s=%.*s", list.n > 0 ? " " : "", (int)word.n,
				word.p, (int)word.n, word.p);
	}
	if (list.n > 0)
		translate_set(t, key, buf_span(&list));
}

#define IN_ROUTE(name) { name, RULE_ROUTE, NULL, NULL }
#define NEEDLESS(name) { name, RULE_NEEDLESS, NULL, NULL }
#define NO_TABLE \
	"a table of a mail server; there are routes, masquerade, recipient_map and /etc/aliases"
#define TABLE(name) { name, RULE_CANNOT, NO_TABLE, NULL }

static const struct rule rules[] = {
	{ "myhostname", RULE_SAME, "hostname", NULL },
	{ "myorigin", RULE_BY, NULL, origin },
	{ "mynetworks", RULE_BY, "relay_nets", nets },
	{ "mynetworks_style", RULE_CANNOT, "networks are named, in relay_nets", NULL },
	{ "relay_domains", RULE_BY, "relay_domains", relay_domains },
	{ "mydestination", RULE_BY, NULL, destination },
	{ "inet_interfaces", RULE_BY, NULL, interfaces },
	{ "message_size_limit", RULE_BY, "max_size", size },
	{ "bounce_size_limit", RULE_SAME, "bounce_size", NULL },
	{ "smtpd_recipient_limit", RULE_SAME, "max_recipients", NULL },
	{ "maximal_queue_lifetime", RULE_BY, "expire", days },
	{ "bounce_queue_lifetime", RULE_CANNOT, "expire is for all mail", NULL },
	{ "delay_warning_time", RULE_BY, "delay_warning", hours },
	{ "queue_run_delay", RULE_CANNOT, "retry has the times between attempts", NULL },
	{ "minimal_backoff_time", RULE_CANNOT, "retry has the times between attempts", NULL },
	{ "maximal_backoff_time", RULE_CANNOT, "retry has the times between attempts", NULL },
	{ "2bounce_notice_recipient", RULE_SAME, "double_bounce", NULL },
	{ "smtp_tls_CAfile", RULE_SAME, "delivery_ca", NULL },
	{ "smtp_tls_CApath", RULE_BY, "delivery_ca", directory },
	{ "smtpd_tls_cert_file", RULE_BY, "tls_certificate", certificate },
	{ "smtpd_tls_key_file", RULE_BY, "tls_key", certificate },
	{ "smtpd_tls_chain_files", RULE_BY, "tls_certificate", certificate },
	{ "smtpd_tls_security_level", RULE_BY, "tls", server_tls },
	{ "smtpd_use_tls", RULE_NEEDLESS, "TLS is offered where there is a certificate", NULL },
	{ "smtpd_tls_auth_only", RULE_NEEDLESS, "passwords are taken in TLS only", NULL },
	{ "smtpd_sasl_auth_enable", RULE_BY, "auth_dovecot", server_sasl },
	IN_ROUTE("smtpd_sasl_type"),
	IN_ROUTE("smtpd_sasl_path"),
	{ "smtpd_relay_restrictions", RULE_BY, NULL, restrictions },
	{ "smtpd_recipient_restrictions", RULE_BY, NULL, restrictions },
	{ "smtpd_client_restrictions", RULE_BY, NULL, restrictions },
	{ "smtpd_sender_restrictions", RULE_BY, NULL, restrictions },
	{ "smtpd_helo_restrictions", RULE_BY, NULL, restrictions },
	{ "alias_maps", RULE_BY, NULL, aliases },
	{ "alias_database", RULE_BY, NULL, aliases },
	{ "smtp_helo_name", RULE_CANNOT, "the name in EHLO is hostname", NULL },
	{ "local_transport", RULE_CANNOT, "there is no local delivery", NULL },
	{ "mailbox_transport", RULE_CANNOT,
		"there is no local delivery; see routes with protocol = lmtp", NULL },
	{ "mailbox_command", RULE_CANNOT, "there is no local delivery", NULL },
	{ "home_mailbox", RULE_CANNOT, "there is no local delivery", NULL },
	{ "content_filter", RULE_CANNOT, "there are no filters", NULL },
	{ "smtpd_milters", RULE_CANNOT, "there are no milters", NULL },
	{ "non_smtpd_milters", RULE_CANNOT, "there are no milters", NULL },
	{ "always_bcc", RULE_CANNOT, "no copies are made", NULL },
	{ "default_transport", RULE_CANNOT, "see routes", NULL },
	TABLE("transport_maps"),
	TABLE("smtp_generic_maps"),
	TABLE("canonical_maps"),
	TABLE("sender_canonical_maps"),
	TABLE("recipient_canonical_maps"),
	{ "masquerade_domains", RULE_BY, "masquerade", masquerade },
	{ "masquerade_exceptions", RULE_SAME, "masquerade_except", NULL },
	TABLE("virtual_alias_maps"),
	TABLE("virtual_alias_domains"),
	TABLE("virtual_mailbox_maps"),
	TABLE("virtual_mailbox_domains"),
	TABLE("local_recipient_maps"),
	TABLE("relay_recipient_maps"),
	TABLE("sender_bcc_maps"),
	TABLE("recipient_bcc_maps"),
	TABLE("header_checks"),
	TABLE("body_checks"),
	TABLE("smtp_header_checks"),
	TABLE("smtp_tls_policy_maps"),
	TABLE("sender_dependent_relayhost_maps"),
	TABLE("sender_dependent_default_transport_maps"),
	IN_ROUTE("relayhost"),
	IN_ROUTE("smtp_fallback_relay"),
	IN_ROUTE("inet_protocols"),
	IN_ROUTE("smtp_address_preference"),
	IN_ROUTE("smtp_bind_address"),
	IN_ROUTE("smtp_bind_address6"),
	IN_ROUTE("smtp_tls_security_level"),
	IN_ROUTE("smtp_use_tls"),
	IN_ROUTE("smtp_enforce_tls"),
	IN_ROUTE("smtp_tls_wrappermode"),
	IN_ROUTE("smtp_sasl_auth_enable"),
	IN_ROUTE("smtp_sasl_password_maps"),
	NEEDLESS("smtp_sasl_security_options"),
	NEEDLESS("smtp_sasl_tls_security_options"),
	NEEDLESS("smtp_sasl_mechanism_filter"),
	NEEDLESS("mydomain"),
	NEEDLESS("compatibility_level"),
	NEEDLESS("biff"),
	NEEDLESS("append_dot_mydomain"),
	NEEDLESS("readme_directory"),
	NEEDLESS("html_directory"),
	NEEDLESS("manpage_directory"),
	NEEDLESS("sample_directory"),
	NEEDLESS("queue_directory"),
	NEEDLESS("command_directory"),
	NEEDLESS("daemon_directory"),
	NEEDLESS("data_directory"),
	NEEDLESS("meta_directory"),
	NEEDLESS("shlib_directory"),
	NEEDLESS("mail_owner"),
	NEEDLESS("setgid_group"),
	NEEDLESS("sendmail_path"),
	NEEDLESS("newaliases_path"),
	NEEDLESS("mailq_path"),
	NEEDLESS("debug_peer_level"),
	NEEDLESS("debugger_command"),
	NEEDLESS("smtpd_banner"),
	NEEDLESS("recipient_delimiter"),
	NEEDLESS("mailbox_size_limit"),
	NEEDLESS("unknown_local_recipient_reject_code"),
	NEEDLESS("smtp_tls_session_cache_database"),
	NEEDLESS("smtpd_tls_session_cache_database"),
	NEEDLESS("smtp_tls_loglevel"),
	NEEDLESS("smtpd_tls_loglevel"),
	NEEDLESS("smtp_tls_note_starttls_offer"),
	NEEDLESS("smtputf8_enable"),
	NEEDLESS("maillog_file"),
};

/* ---- reading ------------------------------------------------------------------------------- */

/* "name = value", and lines behind it that begin with white space: one setting. */
static void
read_lines(struct sheet *s)
{
	struct span rest = buf_span(&s->text);
	for (int number = 1; rest.n > 0; number++) {
		struct span line = span_line(&rest);
		bool goes_on = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
		struct span value = span_trim(line);
		if (value.n == 0 || value.p[0] == '#')
			continue;
		if (goes_on && s->n > 0) {
			struct told *before = &s->v[s->n - 1];
			before->value = span_from(
				before->value.n > 0 ? before->value.p : value.p, value.p + value.n);
			continue;
		}
		struct span name = span_trim(span_cut(&value, '='));
		(void)translate_add(s, name, span_trim(value), number);
	}
}

/* The value on one line, without comments in the middle. False: there is no memory. */
static bool
join_lines(struct told *setting, struct buf *text)
{
	struct span rest = setting->value;
	*text = buf_new(TRANSLATE_FILE);
	while (rest.n > 0) {
		struct span line = span_trim(span_line(&rest));
		if (line.n == 0 || line.p[0] == '#')
			continue;
		buf_puts(text, text->n > 0 ? " " : "");
		buf_add(text, line);
	}
	setting->value = buf_span(text);
	return text->err == 0;
}

/* What names in it stand for takes their place. False: there is no memory. */
static bool
put_values(struct told *setting, struct buf *text)
{
	if (text->n == 0 || memchr(text->p, '$', text->n) == NULL)
		return true;
	struct buf whole = buf_new(TRANSLATE_FILE);
	int left = NAMES_MOST;
	expand(&whole, setting->value, 0, &left);
	buf_free(text);
	*text = whole;
	setting->value = buf_span(text);
	return text->err == 0;
}

static bool
make_plain(struct sheet *s, struct buf texts[TRANSLATE_SETTINGS])
{
	bool good = true;
	for (int i = 0; i < s->n; i++)
		good = join_lines(&s->v[i], &texts[i]) && good;
	for (int i = 0; i < s->n && good; i++)
		good = put_values(&s->v[i], &texts[i]);
	return good;
}

int
postfix_translate(struct translation *t, const char *path)
{
	static struct buf texts[TRANSLATE_SETTINGS];
	main_cf = (struct sheet){ .between = " = " };
	int r = translate_read(&main_cf, path);
	if (r == 0) {
		read_lines(&main_cf);
		struct told *map = translate_find(&main_cf, "smtp_sasl_password_maps");
		if (map != NULL)
			map->secret = span_starts(map->value, span_of("static:"));
		if (!make_plain(&main_cf, texts))
			r = -ENOMEM;
	}
	if (r == 0) {
		translate_by_rules(t, &main_cf, rules, (int)(sizeof(rules) / sizeof(rules[0])));
		postfix_route_put(t, &main_cf);
		t->source.setting = NULL;
	}
	for (int i = 0; i < TRANSLATE_SETTINGS; i++)
		buf_free(&texts[i]);
	buf_free(&main_cf.text);
	return r;
}

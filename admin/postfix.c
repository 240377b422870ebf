/*
 * postfix: main.cf of a host that forwards its mail. What is written here comes of one setting
 * alone; how addresses are rewritten and where mail goes is in modules of their own
 * (postfix_address.h, postfix_route.h), which read tables, too. master.cf is not read.
 */
#include "admin/formats.h"

#include <string.h>

#include "admin/maincf.h"
#include "admin/postfix_address.h"
#include "admin/postfix_lists.h"
#include "admin/postfix_route.h"
#include "lib/cleanup.h"

static struct sheet main_cf; /* large */

/* ---- settings that stand alone --------------------------------------------------------------- */

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
seconds(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	put_time(t, key, setting->value, "s");
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
		translate_say(t,
			"sendmail reads /etc/aliases alone; for other mail there is recipient_map");
}

static void
transport(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	if (span_eq(setting->value, span_of("smtp")) || span_eq(setting->value, span_of("relay")))
		translate_say(t, "mail goes by SMTP");
	else
		translate_warn(t, "see routes");
}

static void
nets_style(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	if (span_eq(setting->value, span_of("host")))
		translate_say(t, "this host itself may send anyway");
	else if (translate_find(s, "mynetworks") == NULL)
		translate_warn(t, "networks are named, in relay_nets");
	else
		translate_say(t, "mynetworks stands there, and counts");
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

#define IN_ROUTE(name) { name, RULE_ROUTE, NULL, NULL }
#define NEEDLESS(name) { name, RULE_NEEDLESS, NULL, NULL }
#define TLS_OF_OPENSSL(name) \
	{ name, RULE_NEEDLESS, \
		"TLS 1.2 and later is spoken, as OpenSSL has it; see tls_legacy", NULL }
#define NO_TABLE \
	"a table of a mail server; there are routes, masquerade, recipient_map and /etc/aliases"
#define TABLE(name) { name, RULE_CANNOT, NO_TABLE, NULL }

static const struct rule rules[] = {
	{ "myhostname", RULE_SAME, "hostname", NULL },
	{ "myorigin", RULE_BY, NULL, origin },
	{ "mynetworks", RULE_BY, "relay_nets", postfix_lists_nets },
	{ "mynetworks_style", RULE_BY, NULL, nets_style },
	{ "relay_domains", RULE_BY, "relay_domains", postfix_lists_domains },
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
	{ "smtp_connect_timeout", RULE_BY, "timeout_connect", seconds },
	{ "smtp_helo_timeout", RULE_BY, "timeout_helo", seconds },
	{ "smtp_mail_timeout", RULE_BY, "timeout_mail", seconds },
	{ "smtp_rcpt_timeout", RULE_BY, "timeout_rcpt", seconds },
	{ "smtp_data_init_timeout", RULE_BY, "timeout_data_start", seconds },
	{ "smtp_data_xfer_timeout", RULE_BY, "timeout_data_block", seconds },
	{ "smtp_data_done_timeout", RULE_BY, "timeout_data_end", seconds },
	{ "smtp_quit_timeout", RULE_BY, "timeout_quit", seconds },
	{ "smtpd_timeout", RULE_CANNOT, "see timeout_command and timeout_data", NULL },
	{ "smtp_destination_concurrency_limit", RULE_SAME, "max_connections_per_lane", NULL },
	{ "smtp_destination_rate_delay", RULE_CANNOT, "no mail is slowed down", NULL },
	{ "default_destination_rate_delay", RULE_CANNOT, "no mail is slowed down", NULL },
	{ "smtpd_client_connection_count_limit", RULE_CANNOT, "see busy_per_source", NULL },
	{ "smtpd_client_connection_rate_limit", RULE_CANNOT, "see limit_connections", NULL },
	{ "smtpd_client_message_rate_limit", RULE_CANNOT, "see limit_messages", NULL },
	{ "smtpd_client_recipient_rate_limit", RULE_CANNOT, "see limit_recipients", NULL },
	{ "2bounce_notice_recipient", RULE_SAME, "double_bounce", NULL },
	{ "smtp_tls_CAfile", RULE_SAME, "delivery_ca", NULL },
	{ "smtp_tls_CApath", RULE_BY, "delivery_ca", directory },
	{ "smtpd_tls_cert_file", RULE_BY, "tls_certificate", certificate },
	{ "smtpd_tls_key_file", RULE_BY, "tls_key", certificate },
	{ "smtpd_tls_chain_files", RULE_BY, "tls_certificate", certificate },
	{ "smtpd_tls_security_level", RULE_BY, "tls", server_tls },
	{ "smtpd_use_tls", RULE_NEEDLESS, "TLS is offered where there is a certificate", NULL },
	{ "smtpd_tls_auth_only", RULE_NEEDLESS, "passwords are taken in TLS only", NULL },
	{ "smtp_tls_cert_file", RULE_CANNOT, "hosts are shown no certificate of ours", NULL },
	{ "smtp_tls_key_file", RULE_CANNOT, "hosts are shown no certificate of ours", NULL },
	TLS_OF_OPENSSL("smtp_tls_protocols"),
	TLS_OF_OPENSSL("smtp_tls_mandatory_protocols"),
	TLS_OF_OPENSSL("smtp_tls_ciphers"),
	TLS_OF_OPENSSL("smtp_tls_mandatory_ciphers"),
	TLS_OF_OPENSSL("smtp_tls_exclude_ciphers"),
	TLS_OF_OPENSSL("smtpd_tls_protocols"),
	TLS_OF_OPENSSL("smtpd_tls_mandatory_protocols"),
	TLS_OF_OPENSSL("smtpd_tls_ciphers"),
	TLS_OF_OPENSSL("smtpd_tls_mandatory_ciphers"),
	TLS_OF_OPENSSL("smtpd_tls_exclude_ciphers"),
	TLS_OF_OPENSSL("tls_preempt_cipherlist"),
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
	{ "default_transport", RULE_BY, NULL, transport },
	{ "relay_transport", RULE_BY, NULL, transport },
	IN_ROUTE("transport_maps"),
	IN_ROUTE("smtp_generic_maps"),
	IN_ROUTE("canonical_maps"),
	IN_ROUTE("sender_canonical_maps"),
	IN_ROUTE("recipient_canonical_maps"),
	IN_ROUTE("masquerade_domains"),
	IN_ROUTE("masquerade_exceptions"),
	IN_ROUTE("virtual_alias_maps"),
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
	IN_ROUTE("smtp_tls_policy_maps"),
	IN_ROUTE("sender_dependent_relayhost_maps"),
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
	IN_ROUTE("smtp_sender_dependent_authentication"),
	IN_ROUTE("parent_domain_matches_subdomains"),
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
	NEEDLESS("smtpd_tls_received_header"),
	NEEDLESS("smtpd_helo_required"),
	NEEDLESS("disable_vrfy_command"),
	NEEDLESS("strict_rfc821_envelopes"),
	NEEDLESS("header_size_limit"),
	NEEDLESS("smtpd_sasl_security_options"),
	NEEDLESS("smtpd_sasl_tls_security_options"),
	NEEDLESS("smtpd_sasl_local_domain"),
	NEEDLESS("broken_sasl_auth_clients"),
	NEEDLESS("smtp_sasl_tls_verified_security_options"),
	NEEDLESS("smtp_always_send_ehlo"),
	NEEDLESS("notify_classes"),
	NEEDLESS("default_process_limit"),
	NEEDLESS("mail_name"),
	NEEDLESS("config_directory"),
	NEEDLESS("default_database_type"),
	NEEDLESS("tls_random_source"),
	NEEDLESS("smtpd_tls_session_cache_timeout"),
	NEEDLESS("smtp_tls_session_cache_timeout"),
	NEEDLESS("smtp_host_lookup"),
	NEEDLESS("unknown_address_reject_code"),
	NEEDLESS("unknown_client_reject_code"),
	NEEDLESS("unknown_hostname_reject_code"),
	NEEDLESS("postscreen_access_list"),
	NEEDLESS("smtp_dns_support_level"),
	NEEDLESS("allow_min_user"),
	NEEDLESS("mail_spool_directory"),
	NEEDLESS("default_privs"),
	NEEDLESS("local_header_rewrite_clients"),
	NEEDLESS("error_notice_recipient"),
	NEEDLESS("bounce_notice_recipient"),
	NEEDLESS("delay_notice_recipient"),
	NEEDLESS("default_destination_concurrency_limit"),
	NEEDLESS("maillog_file"),
};

static bool
contains(struct span s, const char *what)
{
	return s.n > 0 && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* Some tables are the value of the setting, and so may be what is no name of a file. */
static bool
holds_passwords(struct span maps)
{
	bool holds = contains(maps, "static:") || contains(maps, "inline:");
	for (struct span word; (word = span_word(&maps, " \t,\n")).n > 0;)
		holds = holds || (word.p[0] != '/' && !contains(word, ":/"));
	return holds;
}

int
postfix_translate(struct translation *t, const char *path)
{
	int r = maincf_read(&main_cf, path);
	struct told *map = translate_find(&main_cf, "smtp_sasl_password_maps");
	if (map != NULL)
		map->secret = holds_passwords(map->value);
	if (r == 0) {
		translate_by_rules(t, &main_cf, rules, (int)(sizeof(rules) / sizeof(rules[0])));
		postfix_address_put(t, &main_cf);
		postfix_route_put(t, &main_cf);
	}
	maincf_free(&main_cf);
	return r;
}

/*
 * ssmtp: ssmtp.conf, "key=value" lines. It hands each message to one host at once, and never looks
 * at a certificate. revaliases, beside it, has addresses of users.
 */
#include "admin/formats.h"

#include "lib/cleanup.h"

static void
rewrite(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	if (setting->value.n > 0)
		translate_warn(t, "bare names get the domain of /etc/mailname: write %.*s there",
			(int)setting->value.n, setting->value.p);
}

static void
name_of_root(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	(void)s;
	(void)key;
	if (setting->value.n > 0)
		translate_warn(t,
			"who gets mail for root and other users of this host stands in "
			"/etc/aliases: \"root: %.*s\"",
			(int)setting->value.n, setting->value.p);
}

static const struct rule rules[] = {
	{ "hostname", RULE_SAME, "hostname", NULL },
	{ "root", RULE_BY, NULL, name_of_root },
	{ "rewriteDomain", RULE_BY, NULL, rewrite },
	{ "FromLineOverride", RULE_NEEDLESS, "a From field is never changed", NULL },
	{ "Debug", RULE_NEEDLESS, "the log has each step of a delivery", NULL },
	{ "TLSCert", RULE_CANNOT, "no certificate of ours is shown to hosts", NULL },
	{ "TLSKey", RULE_CANNOT, "no certificate of ours is shown to hosts", NULL },
	{ "TLS_CA_File", RULE_SAME, "delivery_ca", NULL },
	{ "TLS_CA_Dir", RULE_CANNOT, "delivery_ca is one file", NULL },
	{ "AddHeader", RULE_CANNOT, "no fields are added", NULL },
	{ "mailhub", RULE_ROUTE, NULL, NULL },
	{ "port", RULE_ROUTE, NULL, NULL },
	{ "UseTLS", RULE_ROUTE, NULL, NULL },
	{ "UseTLSCert", RULE_ROUTE, NULL, NULL },
	{ "UseSTARTTLS", RULE_ROUTE, NULL, NULL },
	{ "AuthUser", RULE_ROUTE, NULL, NULL },
	{ "AuthPass", RULE_ROUTE, NULL, NULL },
	{ "AuthMethod", RULE_ROUTE, NULL, NULL },
};

static void
read_lines(struct sheet *s)
{
	struct span rest = buf_span(&s->text);
	int number = 0;
	for (struct span value; translate_line(&rest, &number, &value);) {
		struct span name = span_trim(span_cut(&value, '='));
		(void)translate_add(s, name, span_trim(value), number);
	}
	struct told *password = translate_find(s, "AuthPass");
	if (password != NULL)
		password->secret = true;
}

static void
put_login(struct translation *t, struct sheet *s)
{
	const struct told *user = translate_find(s, "AuthUser");
	const struct told *method = translate_find(s, "AuthMethod");
	if (user == NULL || user->value.n == 0)
		return;
	translate_from(t, s, user);
	translate_login(t, user->value, translate_value(s, "AuthPass"));
	if (method == NULL)
		return;
	translate_from(t, s, method);
	translate_say(t, "of what the host offers the best is taken (SCRAM, PLAIN, LOGIN)");
}

static void
put_tls(struct translation *t, struct sheet *s)
{
	const struct told *tls = translate_find(s, "UseTLS");
	const struct told *start = translate_find(s, "UseSTARTTLS");
	bool starts = start != NULL && translate_yes(start->value);
	bool uses = starts || (tls != NULL && translate_yes(tls->value));
	translate_from(t, s, tls != NULL ? tls : start);
	translate_set(t, "delivery_tls", span_of(uses ? "encrypt" : "none"));
	if (uses && !starts)
		translate_set(t, "delivery_tls_implicit", span_of("yes"));
	if (uses)
		translate_say(t, "ssmtp looks at no certificate; delivery_tls = verify is better. "
				 "A password is shown only to a host whose certificate is good");
	else if (translate_value(s, "AuthUser").n > 0)
		translate_warn(t, "the password went in clear; here it does not, unless "
				  "delivery_auth_clear = yes. Try delivery_tls = verify");
}

static void
put_route(struct translation *t, struct sheet *s)
{
	const struct told *hub = translate_find(s, "mailhub");
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	struct span port = translate_value(s, "mailhub");
	struct span host = hub != NULL && port.n > 0 ? span_cut(&port, ':') : span_of("mail");
	if (port.n == 0)
		port = translate_value(s, "port");
	translate_host(&hosts, host, port.n > 0 ? port : span_of("25"));
	translate_route(t, "smarthost", "domains", span_of("*"));
	translate_from(t, s, hub);
	translate_set(t, "hosts", buf_span(&hosts));
	if (hub == NULL)
		translate_warn(t, "there is no mailhub in the file, which means the host \"mail\"");
	put_tls(t, s);
	put_login(t, s);
}

/* revaliases: "user:address[:host]". */
static void
put_aliases(struct translation *t, const char *conf)
{
	struct sheet s = { .between = ":" };
	const char *slash = strrchr(conf, '/');
	auto_buf path = buf_new(TRANSLATE_LINE);
	buf_printf(&path, "%.*srevaliases", slash != NULL ? (int)(slash + 1 - conf) : 0, conf);
	buf_add(&path, (struct span){ "", 1 });
	if (path.err == 0 && translate_read(&s, path.p) == 0) {
		struct span rest = buf_span(&s.text);
		int number = 0;
		for (struct span value; translate_line(&rest, &number, &value);) {
			struct span name = span_cut(&value, ':');
			if (translate_add(&s, name, value, number)) {
				translate_from(t, &s, &s.v[s.n - 1]);
				translate_warn(t, "senders are not renamed by user here; see "
						  "masquerade and senders of routes");
			}
		}
		translate_from_nothing(t);
	}
	buf_free(&s.text);
}

int
ssmtp_translate(struct translation *t, const char *path)
{
	struct sheet s = { .between = "=" };
	int r = translate_read(&s, path);
	if (r == 0) {
		read_lines(&s);
		translate_by_rules(t, &s, rules, (int)(sizeof(rules) / sizeof(rules[0])));
		put_aliases(t, path);
		put_route(t, &s);
		translate_from_nothing(t);
	}
	buf_free(&s.text);
	return r;
}

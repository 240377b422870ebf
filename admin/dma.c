/*
 * dma: dma.conf, "NAME value" lines, and the file of logins that AUTHPATH names,
 * "user|host:password" lines.
 */
#include "admin/formats.h"

#include "lib/cleanup.h"
#include "mail/address.h"

/* A name, or a file whose first line it is. */
static void
name_host(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	struct sheet file = { .n = 0 };
	auto_buf path = buf_new(TRANSLATE_LINE);
	(void)s;
	if (setting->value.n == 0 || setting->value.p[0] != '/') {
		translate_set(t, key, setting->value);
		return;
	}
	buf_add(&path, setting->value);
	buf_add(&path, (struct span){ "", 1 });
	int r = path.err == 0 ? translate_read(&file, path.p) : path.err;
	struct span text = buf_span(&file.text);
	if (r == 0)
		translate_set(t, key, span_trim(span_line(&text)));
	else
		translate_warn(t, "that file cannot be read: %s", strerror(-r));
	buf_free(&file.text);
}

static void
masquerade(struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	struct address a;
	(void)s;
	if (address_mailbox(setting->value, &a) == 0) {
		translate_set(t, key, setting->value);
		translate_say(
			t, "dma changed the sender of the envelope alone, this changes From too");
	} else if (setting->value.n > 0)
		translate_warn(t,
			"senders are not renamed by this; see masquerade, and /etc/mailname "
			"for bare names");
}

#define IN_ROUTE(name) { name, RULE_ROUTE, NULL, NULL }

static const struct rule rules[] = {
	{ "MAILNAME", RULE_BY, "hostname", name_host },
	{ "MASQUERADE", RULE_BY, "force_from", masquerade },
	{ "ALIASES", RULE_NEEDLESS, "aliases are read from /etc/aliases", NULL },
	{ "SPOOLDIR", RULE_NEEDLESS,
		"the queue is another one; let dma empty its own first: dma -q", NULL },
	{ "CERTFILE", RULE_CANNOT, "no certificate of ours is shown to hosts", NULL },
	{ "FULLBOUNCE", RULE_NEEDLESS,
		"a message comes back whole where that was asked for, up to bounce_size", NULL },
	{ "SECURE", RULE_NEEDLESS, "a password goes only where TLS is good", NULL },
	{ "NULLCLIENT", RULE_NEEDLESS, "there is no local delivery", NULL },
	IN_ROUTE("SMARTHOST"),
	IN_ROUTE("PORT"),
	IN_ROUTE("AUTHPATH"),
	IN_ROUTE("SECURETRANSFER"),
	IN_ROUTE("SECURETRANS"),
	IN_ROUTE("STARTTLS"),
	IN_ROUTE("OPPORTUNISTIC_TLS"),
	IN_ROUTE("FINGERPRINT"),
	IN_ROUTE("INSECURE"),
	IN_ROUTE("DEFER"),
};

static void
read_lines(struct sheet *s)
{
	struct span rest = buf_span(&s->text);
	int number = 0;
	for (struct span value; translate_line(&rest, &number, &value);) {
		struct span name = span_word(&value, " \t");
		(void)translate_add(s, name, span_trim(value), number);
	}
}

static void
put_tls(struct translation *t, struct sheet *s)
{
	struct told *secure = translate_find(s, "SECURETRANSFER");
	const struct told *start = translate_find(s, "STARTTLS");
	const struct told *may = translate_find(s, "OPPORTUNISTIC_TLS");
	const struct told *print = translate_find(s, "FINGERPRINT");
	if (secure == NULL)
		secure = translate_find(s, "SECURETRANS");
	translate_from(t, s, may != NULL ? may : secure);
	if (secure == NULL)
		translate_set(t, "delivery_tls", span_of("none"));
	else
		translate_set(t, "delivery_tls", span_of(may != NULL ? "may" : "encrypt"));
	if (secure != NULL && start == NULL)
		translate_set(t, "delivery_tls_implicit", span_of("yes"));
	if (secure == NULL)
		translate_warn(t,
			"mail went in clear; delivery_tls = verify is better, if the host "
			"has TLS");
	else if (may == NULL)
		translate_say(t, "dma looks at no certificate of a host, but by its fingerprint; "
				 "delivery_tls = verify is better");
	if (print == NULL)
		return;
	translate_from(t, s, print);
	translate_warn(t, "certificates are not known by their fingerprint; let delivery_ca be a "
			  "file with this one, and delivery_tls = verify");
}

/* The line of this host. */
static bool
find_login(struct sheet *logins, struct span host, struct span *user, struct span *password)
{
	struct span rest = buf_span(&logins->text);
	int number = 0;
	for (struct span line; translate_line(&rest, &number, &line);) {
		*user = span_cut(&line, '|');
		if (span_ieq(span_cut(&line, ':'), host)) {
			*password = line;
			return true;
		}
	}
	return false;
}

static void
put_login(struct translation *t, struct sheet *s, struct span host)
{
	struct sheet logins = { .n = 0 };
	struct span user, password;
	const struct told *file = translate_find(s, "AUTHPATH");
	const struct told *clear = translate_find(s, "INSECURE");
	auto_buf path = buf_new(TRANSLATE_LINE);
	if (file == NULL)
		return;
	buf_add(&path, file->value);
	buf_add(&path, (struct span){ "", 1 });
	translate_from(t, s, file);
	int r = path.err == 0 ? translate_read(&logins, path.p) : path.err;
	if (r < 0)
		translate_warn(t,
			"that file cannot be read: %s; a login, if there is one, is "
			"delivery_user and delivery_password_file",
			strerror(-r));
	else if (find_login(&logins, host, &user, &password))
		translate_login(t, user, password);
	else
		translate_say(t, "it has no login for %.*s", (int)host.n, host.p);
	if (clear != NULL) {
		translate_from(t, s, clear);
		translate_set(t, "delivery_auth_clear", span_of("yes"));
	}
	buf_free(&logins.text);
}

static void
put_route(struct translation *t, struct sheet *s)
{
	const struct told *host = translate_find(s, "SMARTHOST");
	struct span port = translate_value(s, "PORT");
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	bool smart = host != NULL && host->value.n > 0;
	if (smart) {
		translate_host(&hosts, host->value, port.n > 0 ? port : span_of("25"));
		translate_route(t, "smarthost", "domains", span_of("*"));
		translate_from(t, s, host);
		translate_set(t, "hosts", buf_span(&hosts));
	} else if (port.n > 0) {
		translate_from(t, s, translate_find(s, "PORT"));
		translate_set(t, "smtp_port", port);
	}
	put_tls(t, s);
	if (smart)
		put_login(t, s, host->value);
	const struct told *defer = translate_find(s, "DEFER");
	if (defer == NULL)
		return;
	t->to = &t->common;
	translate_from(t, s, defer);
	translate_set(t, "max_connections", span_of("0"));
	translate_say(
		t, "nothing is delivered but by \"relay -o max_connections=500 --due --now\"");
}

int
dma_translate(struct translation *t, const char *path)
{
	struct sheet s = { .n = 0 };
	int r = translate_read(&s, path);
	if (r == 0) {
		read_lines(&s);
		translate_by_rules(t, &s, rules, (int)(sizeof(rules) / sizeof(rules[0])));
		put_route(t, &s);
		translate_from_nothing(t);
	}
	buf_free(&s.text);
	return r;
}

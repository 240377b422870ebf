#include "admin/postfix_route.h"

#include <string.h>

#include "lib/cleanup.h"

static struct span
port_of(struct span word)
{
	if (span_eq(word, span_of("submission")))
		return span_of("587");
	if (span_eq(word, span_of("smtps")) || span_eq(word, span_of("submissions")))
		return span_of("465");
	return span_eq(word, span_of("smtp")) ? span_of("25") : word;
}

/* "[host]:port", "[host]", "host:port" or "domain"; a login wants a host that is named. */
static void
put_hop(struct translation *t, struct buf *hosts, struct span hop, bool login)
{
	struct span port = hop, host = hop;
	bool named = hop.n > 0 && hop.p[0] == '[';
	if (named) {
		host = span_cut(&port, ']');
		host = span_skip(host, 1);
		(void)span_cut(&port, ':');
	} else {
		host = span_cut(&port, ':');
	}
	if (port.n > 0 && !named)
		translate_warn(t,
			"of %.*s the MX records were asked; a host with a port is that host",
			(int)host.n, host.p);
	else if (!named && login)
		translate_warn(t,
			"of %.*s the MX records were asked; a host that hears a password is "
			"named",
			(int)host.n, host.p);
	if (port.n > 0 || named || login)
		translate_host(hosts, host, port.n > 0 ? port_of(port) : span_of("25"));
	else
		buf_printf(hosts, "%s%.*s", hosts->n > 0 ? " " : "", (int)host.n, host.p);
}

static void
put_tls(struct translation *t, struct sheet *s)
{
	static const struct {
		const char *level, *ours, *but;
	} levels[] = {
		{ "none", "none", NULL },
		{ "may", "may", NULL },
		{ "encrypt", "encrypt", NULL },
		{ "verify", "verify", NULL },
		{ "secure", "verify", NULL },
		{ "dane", "may", "there is no DANE here" },
		{ "dane-only", "verify",
			"there is no DANE here: such mail goes only to hosts of routes" },
		{ "fingerprint", "verify",
			"certificates are not known by their fingerprint; let "
			"delivery_ca be a file with this one" },
	};
	const struct told *level = translate_find(s, "smtp_tls_security_level");
	const struct told *may = translate_find(s, "smtp_use_tls");
	const struct told *must = translate_find(s, "smtp_enforce_tls");
	const struct told *from = level != NULL && level->value.n > 0 ? level
				  : must != NULL		      ? must
								      : may;
	bool said = level != NULL && level->value.n > 0;
	struct span value = said ? level->value
				 : span_of(must != NULL && translate_yes(must->value) ? "encrypt"
					   : may != NULL && translate_yes(may->value) ? "may"
										      : "none");
	translate_from(t, s, from);
	/* Where nobody said anything mail went in clear; our default is better. */
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]) && from != NULL; i++) {
		if (!span_eq(value, span_of(levels[i].level)))
			continue;
		translate_set(t, "delivery_tls", span_of(levels[i].ours));
		if (levels[i].but != NULL)
			translate_warn(t, "%s", levels[i].but);
	}
	const struct told *wrapped = translate_find(s, "smtp_tls_wrappermode");
	if (wrapped == NULL || !translate_yes(wrapped->value))
		return;
	translate_from(t, s, wrapped);
	translate_set(t, "delivery_tls_implicit", span_of("yes"));
}

static void
put_addresses(struct translation *t, struct sheet *s)
{
	const struct told *four = translate_find(s, "smtp_bind_address");
	const struct told *six = translate_find(s, "smtp_bind_address6");
	const struct told *family = translate_find(s, "inet_protocols");
	const struct told *first = translate_find(s, "smtp_address_preference");
	struct span a = translate_value(s, "smtp_bind_address");
	struct span b = translate_value(s, "smtp_bind_address6");
	translate_from(t, s, four != NULL ? four : six);
	if (a.n + b.n > 0)
		translate_setf(t, "source", "%.*s%s%.*s", (int)a.n, a.n > 0 ? a.p : "",
			a.n > 0 && b.n > 0 ? " " : "", (int)b.n, b.n > 0 ? b.p : "");
	translate_from(t, s, family);
	if (family != NULL && (span_eq(family->value, span_of("ipv4")) ||
				      span_eq(family->value, span_of("ipv6"))))
		translate_set(t, "family", family->value);
	else if (first != NULL && span_eq(first->value, span_of("ipv4"))) {
		translate_from(t, s, first);
		translate_set(t, "family", span_of("prefer-ipv4"));
	}
}

/* The map of passwords as it was written: "host user:password" lines. */
static bool
find_login(struct sheet *map, struct span hop, struct span *user, struct span *password)
{
	struct span rest = buf_span(&map->text), host = hop;
	(void)span_cut(&host, ']');
	host = hop.n > 0 && hop.p[0] == '[' ? (struct span){ hop.p, hop.n - host.n } : hop;
	for (int pass = 0; pass < 2; pass++) {
		for (struct span text = rest; text.n > 0;) {
			struct span line = span_trim(span_line(&text));
			struct span key = span_word(&line, " \t");
			if (key.n == 0 || key.p[0] == '#' || !span_ieq(key, pass == 0 ? hop : host))
				continue;
			*password = span_trim(line);
			*user = span_cut(password, ':');
			return true;
		}
	}
	return false;
}

static void
put_login(struct translation *t, struct sheet *s, struct span hop)
{
	struct sheet map = { .n = 0 };
	struct span user, password, path;
	const struct told *maps = translate_find(s, "smtp_sasl_password_maps");
	if (!translate_yes(translate_value(s, "smtp_sasl_auth_enable")))
		return;
	translate_from(t, s, maps != NULL ? maps : translate_find(s, "smtp_sasl_auth_enable"));
	path = maps != NULL ? maps->value : (struct span){ "", 0 };
	struct span kind = span_cut(&path, ':');
	auto_buf name = buf_new(TRANSLATE_LINE);
	buf_add(&name, path.n > 0 ? path : kind);
	buf_add(&name, (struct span){ "", 1 });
	if (span_eq(kind, span_of("static"))) {
		password = path;
		user = span_cut(&password, ':');
		translate_login(t, user, password);
		return;
	}
	int r = name.err == 0 ? translate_read(&map, name.p) : name.err;
	if (r < 0)
		translate_warn(t,
			"that file cannot be read: %s; a login is delivery_user and "
			"delivery_password_file",
			strerror(-r));
	else if (find_login(&map, hop, &user, &password))
		translate_login(t, user, password);
	else
		translate_warn(t, "it has no line for %.*s", (int)hop.n, hop.p);
	buf_free(&map.text);
}

void
postfix_route_put(struct translation *t, struct sheet *s)
{
	const struct told *hop = translate_find(s, "relayhost");
	const struct told *more = translate_find(s, "smtp_fallback_relay");
	bool login = translate_yes(translate_value(s, "smtp_sasl_auth_enable"));
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	if (hop == NULL || hop->value.n == 0) {
		put_tls(t, s);
		put_addresses(t, s);
		return;
	}
	translate_route(t, "smarthost", "domains", span_of("*"));
	translate_from(t, s, hop);
	put_hop(t, &hosts, hop->value, login);
	struct span rest = more != NULL ? more->value : (struct span){ "", 0 };
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;)
		put_hop(t, &hosts, word, login);
	translate_set(t, "hosts", buf_span(&hosts));
	put_tls(t, s);
	put_addresses(t, s);
	put_login(t, s, hop->value);
}

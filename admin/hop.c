#include "admin/hop.h"

#include <string.h>

#include "lib/cleanup.h"

#define QUEUE "/var/spool/postfix/" /* to which names of sockets are relative */

static struct span
name_of_port(struct span word)
{
	if (span_eq(word, span_of("submission")))
		return span_of("587");
	if (span_eq(word, span_of("smtps")) || span_eq(word, span_of("submissions")))
		return span_of("465");
	return span_eq(word, span_of("smtp")) ? span_of("25") : word;
}

/* "[host]:port" and the like in their parts; brackets stay. */
static struct span
cut_host(struct span *hop)
{
	struct span rest = *hop;
	if (hop->n == 0 || hop->p[0] != '[')
		return span_cut(hop, ':');
	(void)span_cut(&rest, ']');
	struct span host = { hop->p, hop->n - rest.n };
	(void)span_cut(&rest, ':');
	*hop = rest;
	return host;
}

void
hop_read(struct hops *h, struct translation *t, struct sheet *s)
{
	const struct told *maps = translate_find(s, "smtp_sasl_password_maps");
	const struct told *policies = translate_find(s, "smtp_tls_policy_maps");
	*h = (struct hops){ .main = s };
	h->login = translate_yes(translate_value(s, "smtp_sasl_auth_enable"));
	h->by_sender = translate_yes(translate_value(s, "smtp_sender_dependent_authentication"));
	if (h->login && maps != NULL) {
		translate_from(t, s, maps);
		postmap_read(&h->passwords, t, maps->value, POSTMAP_PAIRS);
		/* what has no place is not shown */
		for (int i = 0; i < h->passwords.n; i++)
			h->passwords.v[i].path = NULL;
	}
	if (policies != NULL) {
		translate_from(t, s, policies);
		postmap_read(&h->policies, t, policies->value, POSTMAP_PAIRS);
	}
	translate_from_nothing(t);
}

void
hop_free(struct hops *h)
{
	postmap_free(&h->passwords);
	postmap_free(&h->policies);
}

/* By sender, by his domain, by the hop as it was written, by its host. */
static const struct postmap_row *
find_login(const struct hops *h, struct span hop, struct span sender)
{
	struct span rest = hop, host = cut_host(&rest), at = sender;
	const struct postmap_row *row = NULL;
	if (h->by_sender && sender.n > 0) {
		(void)span_cut(&at, '@');
		row = postmap_find(&h->passwords, sender);
		if (row == NULL && at.n > 0)
			row = postmap_find(&h->passwords, (struct span){ at.p - 1, at.n + 1 });
	}
	if (row == NULL)
		row = postmap_find(&h->passwords, hop);
	if (row == NULL)
		row = postmap_find(&h->passwords, host);
	return row != NULL ? row : postmap_find(&h->passwords, span_unbracket(host));
}

bool
hop_login_is_his(const struct hops *h, struct span sender)
{
	struct span at = sender;
	(void)span_cut(&at, '@');
	return h->by_sender && at.n > 0 &&
	       (postmap_find(&h->passwords, sender) != NULL ||
		       postmap_find(&h->passwords, (struct span){ at.p - 1, at.n + 1 }) != NULL);
}

/* ---- hosts ------------------------------------------------------------------------------- */

/* "[host]:port", "[host]", "host:port" or "domain"; a login wants a host that is named. */
static void
put_hop(struct translation *t, struct buf *hosts, struct span hop, bool login)
{
	bool named = hop.n > 0 && hop.p[0] == '[';
	struct span port = hop, host = cut_host(&port), bare = span_unbracket(host);
	if (named && span_starts(bare, span_of("ipv6:")))
		bare = span_skip(bare, sizeof("ipv6:") - 1);
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
		translate_host(hosts, bare, port.n > 0 ? name_of_port(port) : span_of("25"));
	else
		buf_printf(hosts, "%s%.*s", hosts->n > 0 ? " " : "", (int)host.n, host.p);
}

void
hop_put_lmtp(struct translation *t, struct span hop)
{
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	translate_set(t, "protocol", span_of("lmtp"));
	if (span_starts(hop, span_of("unix:"))) {
		struct span path = span_skip(hop, sizeof("unix:") - 1);
		translate_setf(t, "hosts", "unix:%s%.*s",
			path.n > 0 && path.p[0] == '/' ? "" : QUEUE, (int)path.n, path.p);
		return;
	}
	if (span_starts(hop, span_of("inet:")))
		hop = span_skip(hop, sizeof("inet:") - 1);
	struct span port = hop, host = cut_host(&port);
	translate_host(&hosts, host, port.n > 0 ? port : span_of("24"));
	translate_set(t, "hosts", buf_span(&hosts));
}

void
hop_put_hosts(struct translation *t, const struct hops *h, struct span list, struct span more,
	struct span sender)
{
	auto_buf hosts = buf_new(TRANSLATE_LINE);
	struct span rest = list, first = span_word(&rest, " \t,");
	/* A map that cannot be read is to have one. */
	bool login = h->login && (h->passwords.n == 0 || find_login(h, first, sender) != NULL);
	for (struct span word; (word = span_word(&list, " \t,")).n > 0;)
		put_hop(t, &hosts, word, login);
	for (struct span word; (word = span_word(&more, " \t,")).n > 0;)
		put_hop(t, &hosts, word, login);
	translate_set(t, "hosts", buf_span(&hosts));
}

/* ---- TLS --------------------------------------------------------------------------------- */

static void
set_dane(struct translation *t, const char *dane)
{
	translate_set(t, "dane", span_of(dane));
	translate_say(t, "it takes a resolver that validates, on this host or in dnssec_trusted");
}

static void
set_level(struct translation *t, struct span level, bool named)
{
	static const struct {
		const char *level, *ours, *dane, *but;
	} levels[] = {
		{ "none", "none", NULL, NULL },
		{ "may", "may", NULL, NULL },
		{ "encrypt", "encrypt", NULL, NULL },
		{ "verify", "verify", NULL, NULL },
		{ "secure", "verify", NULL, NULL },
		{ "dane", "may", "auto", NULL },
		{ "dane-only", "encrypt", "only", NULL },
		{ "half-dane", "may", "auto",
			"there is no DANE here for hosts that an unsigned MX record names" },
		{ "fingerprint", "verify", NULL,
			"certificates are not known by their fingerprint; let "
			"delivery_ca be a file with this one" },
	};
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!span_eq(level, span_of(levels[i].level)))
			continue;
		translate_set(t, "delivery_tls", span_of(levels[i].ours));
		if (levels[i].dane != NULL)
			set_dane(t, levels[i].dane);
		if (levels[i].but != NULL)
			translate_warn(t, "%s", levels[i].but);
		else if (!named && span_eq(level, span_of("verify")))
			translate_say(t, "a certificate is to be for the domain of the mail, for "
					 "the DNS may "
					 "be forged that names the host");
		return;
	}
	translate_warn(t, "%.*s is no level of TLS that is known here", (int)level.n, level.p);
}

/* The policy for a hop, or NULL. */
static const struct postmap_row *
find_policy(const struct hops *h, struct span hop)
{
	const struct postmap_row *row = postmap_find(&h->policies, hop);
	struct span rest = hop;
	/* Those above it count for a domain only. */
	if (hop.n == 0 || hop.p[0] == '[' || memchr(hop.p, ':', hop.n) != NULL)
		return row;
	while (row == NULL && rest.n > 1) {
		const char *dot = memchr(rest.p + 1, '.', rest.n - 1);
		if (dot == NULL)
			break;
		rest = span_skip(rest, (size_t)(dot - rest.p));
		row = postmap_find(&h->policies, rest);
	}
	return row;
}

/* The words behind the level: other names of the certificate, and kinds of TLS. */
static void
look_at_attributes(struct translation *t, struct span rest)
{
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		if (span_starts(word, span_of("match=")))
			translate_warn(t,
				"%.*s: a certificate is for the host or domain that is named, and "
				"for no other name",
				(int)word.n, word.p);
		else if (span_starts(word, span_of("tafile=")))
			translate_warn(
				t, "%.*s: delivery_ca is for all hosts", (int)word.n, word.p);
		else
			translate_say(t, "%.*s: TLS 1.2 and later is spoken, as OpenSSL has it",
				(int)word.n, word.p);
	}
}

/* The setting that says how it is where no policy does; NULL: none does. */
static const struct told *
common_level(struct sheet *s, struct span *level)
{
	const struct told *said = translate_find(s, "smtp_tls_security_level");
	const struct told *may = translate_find(s, "smtp_use_tls");
	const struct told *must = translate_find(s, "smtp_enforce_tls");
	if (said != NULL && said->value.n > 0) {
		*level = said->value;
		return said;
	}
	*level = span_of(must != NULL && translate_yes(must->value) ? "encrypt"
			 : may != NULL && translate_yes(may->value) ? "may"
								    : "none");
	return must != NULL ? must : may;
}

void
hop_put_tls(struct translation *t, const struct hops *h, struct span hop)
{
	bool named = hop.n > 0 && hop.p[0] == '[';
	const struct postmap_row *policy = find_policy(h, hop);
	const struct told *wrapped = translate_find(h->main, "smtp_tls_wrappermode");
	struct span level;
	if (policy != NULL) {
		struct span rest = policy->value;
		level = span_word(&rest, " \t,");
		postmap_from(t, policy);
		set_level(t, level, named);
		look_at_attributes(t, rest);
	} else {
		const struct told *from = common_level(h->main, &level);
		translate_from(t, h->main, from);
		/* Where nobody said anything mail went in clear; our default is better. */
		if (from != NULL)
			set_level(t, level, named || hop.n == 0);
	}
	if (wrapped == NULL || !translate_yes(wrapped->value))
		return;
	translate_from(t, h->main, wrapped);
	translate_set(t, "delivery_tls_implicit", span_of("yes"));
}

/* ---- the login --------------------------------------------------------------------------- */

void
hop_put_login(struct translation *t, const struct hops *h, struct span hop, struct span sender,
	bool expected)
{
	const struct told *maps = translate_find(h->main, "smtp_sasl_password_maps");
	if (!h->login)
		return;
	const struct postmap_row *row = find_login(h, hop, sender);
	if (row == NULL && !expected)
		return;
	translate_from(
		t, h->main, maps != NULL ? maps : translate_find(h->main, "smtp_sasl_auth_enable"));
	if (row == NULL) {
		translate_warn(t,
			"it has no line for %.*s; a login is delivery_user and "
			"delivery_password_file",
			(int)hop.n, hop.n > 0 ? hop.p : "");
		return;
	}
	struct span password = row->value, user = span_cut(&password, ':');
	translate_login(t, user, password);
}

/* ---- addresses --------------------------------------------------------------------------- */

void
hop_put_addresses(struct translation *t, struct sheet *s)
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

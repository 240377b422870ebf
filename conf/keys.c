/*
 * One table has a row for each key: name, type, where it stands, default, and the range of numbers.
 * Checking and printing go by it; nothing else knows a key's name. What a value may be is value.c's
 * business, where values come from is load.c's.
 */
#include "conf/keys.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "conf/value.h"

enum { VALUE_QUOTED = 100 };

static const struct key keys[] = {
#define ROW(place, key, base, member, type, preset, min, max) \
	{ #key, type, place, offsetof(struct base, member), preset, min, max },
#define KEY(key, member, type, preset, min, max) \
	ROW(COMMON, key, conf, member, type, preset, min, max)
#define DELIVERY(place, key, member, type, preset, min, max) \
	ROW(place, key, conf_delivery, member, type, preset, min, max)
	KEY(hostname, who.hostname, HOSTNAME, NULL, 0, 0)
	KEY(spool, who.spool, PATHNAME, POSTERN_LOCALSTATE "/spool/postern", 0, 0)
	KEY(postmaster, who.postmaster, MAILBOX, NULL, 0, 0)
	KEY(user, who.user, TEXT, "postern", 0, 0)
	KEY(relay_path, who.relay_path, PATHNAME, NULL, 0, 0)
	KEY(tls_path, who.tls_path, PATHNAME, NULL, 0, 0)
	KEY(auth_path, who.auth_path, PATHNAME, NULL, 0, 0)
	KEY(sign_path, who.sign_path, PATHNAME, NULL, 0, 0)
	KEY(fetch_path, who.fetch_path, PATHNAME, NULL, 0, 0)
	KEY(tlsreport_path, who.tlsreport_path, PATHNAME, NULL, 0, 0)
	KEY(runtime, who.runtime, PATHNAME, POSTERN_RUNSTATE "/postern", 0, 0)
	KEY(relay_local, receive.relay_local, YESNO, "yes", 0, 0)
	KEY(local_users, receive.local_users, YESNO, "no", 0, 0)
	KEY(local_senders, receive.local_senders, LOCAL_SENDERS, "*=*", 0, 0)
	KEY(relay_nets, receive.relay_nets, NETS, "", 0, 0)
	KEY(open_relay, receive.open_relay, YESNO, "no", 0, 0)
	KEY(relay_domains, receive.relay_domains, DOMAINS, "", 0, 0)
	KEY(proxy_nets, receive.proxies, PROXIES, "", 0, 0)
	KEY(recipient_check, receive.recipient_check, PATHNAME, NULL, 0, 0)
	KEY(sender_check, receive.sender_check, PATHNAME, NULL, 0, 0)
	KEY(timeout_check, receive.timeout_check, SECONDS, "10s", 1, DAY)
	KEY(min_free, receive.min_free, SIZE, "16M", 0, HUGE_SIZE)
	KEY(limit_window, receive.limit_window, SECONDS, "10m", 1, DAY)
	KEY(limit_connections, receive.limit_connections, NUMBER, "3000", 0, UINT32_MAX / 2)
	KEY(limit_messages, receive.limit_messages, NUMBER, "0", 0, UINT32_MAX / 2)
	KEY(limit_recipients, receive.limit_recipients, NUMBER, "0", 0, UINT32_MAX / 2)
	KEY(limit_errors, receive.limit_errors, NUMBER, "300", 0, UINT32_MAX / 2)
	KEY(limit_auth_failures, receive.limit_auth_failures, NUMBER, "30", 0, UINT32_MAX / 2)
	/* RFC 5321 sections 4.5.3.1.7 and 4.5.3.1.8 */
	KEY(max_size, receive.max_size, SIZE, "50M", 64 * KIB, HUGE_SIZE)
	KEY(max_recipients, receive.max_recipients, NUMBER, "1000", 100, 10000)
	KEY(max_errors, receive.max_errors, NUMBER, "20", 1, 1000000)
	KEY(timeout_command, receive.timeout_command, SECONDS, "5m", 1, DAY)
	KEY(timeout_data, receive.timeout_data, SECONDS, "5m", 1, DAY)
	KEY(timeout_session, receive.timeout_session, SECONDS, "2h", 1, 30 * DAY)
	KEY(min_data_rate, receive.min_data_rate, NUMBER, "100", 1, HUGE_SIZE)
	KEY(max_hold, receive.max_hold, SECONDS, "7d", 0, 365 * DAY)
	KEY(requiretls, receive.requiretls, YESNO, "no", 0, 0)
	KEY(add_missing, submission.add_missing, SUBMITTERS, "local auth", 0, 0)
	KEY(masquerade, submission.masquerade, MASQUERADE, NULL, 0, 0)
	KEY(masquerade_except, submission.masquerade_except, EXCEPTIONS, NULL, 0, 0)
	KEY(force_from, submission.force_from, MAILBOX, NULL, 0, 0)
	KEY(recipient_map, submission.recipient_map, PATHNAME, NULL, 0, 0)
	KEY(guard, submission.guard, GUARD, NULL, 0, 0)
	KEY(busy_sessions, busy.sessions, NUMBER, "1000", 1, 10000)
	KEY(busy_per_source, busy.per_source, NUMBER, "50", 0, 10000)
	KEY(busy_spare, busy.spare, NUMBER, "8", 1, 1000)
	KEY(busy_reuse, busy.reuse, NUMBER, "100", 1, 1000000)
	KEY(busy_idle, busy.idle, SECONDS, "1m", 1, 30 * DAY)
	KEY(tls, tls.mode, TLS, "starttls", 0, 0)
	KEY(tls_certificate, tls.certificate, SECRETS, NULL, 0, 0)
	KEY(tls_key, tls.key, SECRETS, NULL, 0, 0)
	KEY(tls_client_ca, tls.client_ca, PATHNAME, NULL, 0, 0)
	KEY(tls_legacy, tls.legacy, YESNO, "no", 0, 0)
	KEY(timeout_tls, tls.timeout, SECONDS, "1m", 1, DAY)
	KEY(auth_users, auth.users, SECRET, NULL, 0, 0)
	KEY(auth_saslauthd, auth.saslauthd, PATHNAME, NULL, 0, 0)
	KEY(auth_dovecot, auth.dovecot, PATHNAME, NULL, 0, 0)
	KEY(auth_clear, auth.clear, YESNO, "no", 0, 0)
	KEY(auth_case_sensitive, auth.case_sensitive, YESNO, "no", 0, 0)
	KEY(nameserver, relay.nameserver, SERVERS, "", 0, 0)
	KEY(dnssec_trusted, relay.dnssec_trusted, NETS, "", 0, 0)
	DELIVERY(BOTH, family, family, FAMILY, "any", 0, 0)
	DELIVERY(BOTH, source, source, SOURCES, "", 0, 0)
	KEY(smtp_port, relay.smtp_port, NUMBER, "25", 1, 65535)
	KEY(allow_destinations, relay.allow_destinations, NETS, "", 0, 0)
	KEY(max_connections, relay.max_connections, NUMBER, "500", 0, 10000)
	DELIVERY(BOTH, max_connections_per_lane, max_connections_per_lane, NUMBER, "5", 1, 1000)
	KEY(max_connections_per_host, relay.max_connections_per_host, NUMBER, "20", 1, 1000)
	DELIVERY(BOTH, delivery_tls, tls, DELIVERY_TLS, CONF_HAS_TLS ? "may" : "none", 0, 0)
	DELIVERY(BOTH, delivery_tls_implicit, tls_implicit, YESNO, "no", 0, 0)
	DELIVERY(BOTH, dane, dane, DANE, CONF_HAS_TLS ? "auto" : "off", 0, 0)
	DELIVERY(BOTH, delivery_without, without, EXTENSIONS, "", 0, 0)
	DELIVERY(BOTH, dkim, dkim, DKIM_SIGN, "yes", 0, 0)
	KEY(dkim_keys, dkim.keys, PATHNAME, NULL, 0, 0)
	KEY(dkim_missing, dkim.missing, DKIM_MISSING, "wait", 0, 0)
	KEY(dkim_lifetime, dkim.lifetime, SECONDS, "0", 0, 365 * DAY)
	KEY(tls_reports, tls_reports.on, YESNO, "no", 0, 0)
	KEY(tls_reports_from, tls_reports.from, MAILBOX, NULL, 0, 0)
	KEY(delivery_ca, relay.ca, PATHNAME, "/etc/ssl/certs/ca-certificates.crt", 0, 0)
	KEY(mta_sts, relay.mta_sts, YESNO, CONF_HAS_FETCH ? "yes" : "no", 0, 0)
	KEY(mta_sts_port, relay.mta_sts_port, NUMBER, "443", 1, 65535)
	DELIVERY(BOTH, mx_order, mx_order, MX_ORDER, "latency", 0, 0)
	KEY(remember_hosts, relay.remember_hosts, SECONDS, "5m", 1, 30 * DAY)
	KEY(window_messages, relay.window_messages, NUMBER, "50", 1, 1000)
	KEY(window_size, relay.window_size, SIZE, "4M", 1, HUGE_SIZE)
	KEY(linger, relay.linger, SECONDS, "1s", 0, DAY)
	DELIVERY(BOTH, timeout_dns, timeout_dns, SECONDS, "1m", 1, DAY)
	DELIVERY(BOTH, timeout_connect, timeout_connect, SECONDS, "30s", 1, DAY)
	DELIVERY(BOTH, timeout_greeting, timeout_greeting, SECONDS, "5m", 1, DAY)
	DELIVERY(BOTH, timeout_helo, timeout_helo, SECONDS, "5m", 1, DAY)
	DELIVERY(BOTH, timeout_mail, timeout_mail, SECONDS, "5m", 1, DAY)
	DELIVERY(BOTH, timeout_rcpt, timeout_rcpt, SECONDS, "5m", 1, DAY)
	DELIVERY(BOTH, timeout_data_start, timeout_data_start, SECONDS, "2m", 1, DAY)
	DELIVERY(BOTH, timeout_data_block, timeout_data_block, SECONDS, "3m", 1, DAY)
	DELIVERY(BOTH, timeout_data_end, timeout_data_end, SECONDS, "10m", 1, DAY)
	DELIVERY(BOTH, timeout_quit, timeout_quit, SECONDS, "10s", 1, DAY)
	KEY(retry, relay.retry, SCHEDULE, "1m 5m 15m 1h 2h 4h", 1, 30 * DAY)
	KEY(expire, relay.expire, SECONDS, "5d", 1, 365 * DAY)
	KEY(delay_warning, relay.delay_warning, SECONDS, "4h", 0, 365 * DAY)
	KEY(bounce_size, relay.bounce_size, SIZE, "64K", 0, 16 * KIB * KIB) /* held in memory */
	KEY(double_bounce, relay.double_bounce, MAILBOX, NULL, 0, 0)
	KEY(log, log, LOG, "auto", 0, 0)
	KEY(log_format, log_format, LOG_FORMAT, "postern", 0, 0)
	ROW(MATCH, domains, route, domains, DESTINATIONS, "", 0, 0)
	ROW(MATCH, senders, route, senders, SENDERS, "", 0, 0)
	DELIVERY(ROUTE, hosts, hosts, HOSTS, "", 0, 0)
	DELIVERY(ROUTE, protocol, protocol, PROTOCOL, "smtp", 0, 0)
	DELIVERY(LOGIN, delivery_user, user, TEXT, NULL, 0, 0)
	DELIVERY(LOGIN, delivery_password_file, password_file, PASSWORD, NULL, 0, 0)
	DELIVERY(LOGIN, delivery_token_command, token_command, TEXT, NULL, 0, 0)
	DELIVERY(LOGIN, delivery_auth_clear, auth_clear, YESNO, "no", 0, 0)
#undef DELIVERY
#undef KEY
#undef ROW
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
_Static_assert((int)KEYS <= (int)CONF_KEYS_MAX, "there are too few places for origins");

/* ---- setting --------------------------------------------------------------------------- */

int
conf_find(struct span name)
{
	char first = name.n > 0 ? ascii_lower(name.p[0]) : '\0';
	for (int i = 0; i < KEYS; i++)
		if (keys[i].name[0] == first && span_ieq(name, span_of(keys[i].name)))
			return i;
	return -1;
}

const char *
conf_name(int key)
{
	return keys[key].name;
}

int
conf_complain(struct buf *why, struct conf_origin at, struct span name, const char *wrong,
	struct span v)
{
	buf_printf(why, at.line != 0 ? "%s:%d: " : "%s: ", at.where, at.line);
	buf_escape(why, name, VALUE_QUOTED);
	buf_printf(why, ": %s", wrong);
	if (v.p != NULL) {
		buf_puts(why, ": \"");
		buf_escape(why, v, VALUE_QUOTED);
		buf_puts(why, "\"");
	}
	return -EINVAL;
}

int
conf_complain_of(struct setting *s, const char *name, const char *wrong)
{
	struct span key = span_of(name);
	return conf_complain(s->why, s->from->of[conf_find(key)], key, wrong, (struct span){ 0 });
}

void
conf_doubt(struct setting *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&s->c->doubts, fmt, ap);
	va_end(ap);
	buf_puts(&s->c->doubts, "\n");
}

/* NUL would cut a text, CR comes from a file with the wrong line ends. */
static bool
holds_control(struct span v)
{
	for (size_t i = 0; i < v.n; i++)
		if (((unsigned char)v.p[i] < ' ' && v.p[i] != '\t') || v.p[i] == 0x7f)
			return true;
	return false;
}

/* Why a key may not stand in a route's section, or in none. NULL: it may. */
static const char *
misplaced(enum key_place place, bool in_route)
{
	if (in_route)
		return place == COMMON ? "is the same for all routes" : NULL;
	if (place == LOGIN)
		return "a login belongs to hosts that you name: it stands in a route, such as "
		       "\"[route smarthost]\", \"domains = *\", \"hosts = mail.example.net:587\", "
		       "\"delivery_user = ...\", \"delivery_password_file = ...\"";
	return place == ROUTE || place == MATCH ? "stands behind \"[route NAME]\" only" : NULL;
}

int
conf_check_place(struct setting *s, int key, struct conf_origin at)
{
	const char *wrong = misplaced(keys[key].place, false);
	if (wrong == NULL)
		return 0;
	return conf_complain(s->why, at, span_of(keys[key].name), wrong, (struct span){ 0 });
}

/* The struct that a key's offset is in; `r` is the route whose section it stands in, or NULL. */
static void *
home_of(const struct key *k, struct conf *c, struct route *r)
{
	switch (k->place) {
	case COMMON:
		return c;
	case MATCH:
		return r;
	default:
		return r != NULL ? &r->delivery : &c->delivery;
	}
}

/* What a key of an older version is called now; NULL: it is none. */
static const char *
find_successor(struct span name)
{
	static const char *const renamed[][2] = {
		{ "max_relays", "unknown key; see max_connections" },
		{ "max_relays_per_lane", "unknown key; it is max_connections_per_lane now" },
	};
	for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++)
		if (span_eq(name, span_of(renamed[i][0])))
			return renamed[i][1];
	return NULL;
}

static int
set_key(struct setting *s, struct route *r, struct span name, struct span v, struct conf_origin at)
{
	static const struct span none = { NULL, 0 };
	int i = conf_find(name);
	if (i < 0) {
		const char *now = find_successor(name);
		return conf_complain(s->why, at, name, now != NULL ? now : "unknown key", none);
	}
	const char *wrong = misplaced(keys[i].place, r != NULL);
	if (wrong != NULL)
		return conf_complain(s->why, at, name, wrong, none);
	wrong = holds_control(v) ? "holds a control character"
				 : value_set(home_of(&keys[i], s->c, r), &keys[i], v);
	if (wrong != NULL)
		return conf_complain(s->why, at, name, wrong, v);
	if (r != NULL)
		r->line[i] = (uint16_t)at.line;
	else
		s->from->of[i] = at;
	return 0;
}

int
conf_set(struct setting *s, struct span name, struct span v, struct conf_origin at)
{
	return set_key(s, NULL, name, v, at);
}

int
conf_set_route(struct setting *s, struct route *r, struct span line, struct conf_origin at)
{
	const char *eq = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;
	if (eq == NULL)
		return conf_complain(s->why, at, line, "not \"key = value\"", (struct span){ 0 });
	return set_key(s, r, span_trim(span_from(line.p, eq)),
		span_trim(span_from(eq + 1, line.p + line.n)), at);
}

int
conf_set_pair(struct setting *s, struct span line, struct conf_origin at)
{
	return conf_set_route(s, NULL, line, at);
}

int
conf_set_defaults(struct setting *s)
{
	static const struct conf_origin at = { "default", 0 };
	for (int i = 0; i < KEYS; i++) {
		const struct key *k = &keys[i];
		s->from->of[i] = at;
		if (k->preset == NULL || k->place == MATCH)
			continue;
		const char *wrong = value_set(home_of(k, s->c, NULL), k, span_of(k->preset));
		if (wrong != NULL)
			return conf_complain(s->why, at, span_of(k->name), wrong,
				span_of(k->preset));
	}
	return 0;
}

/* ---- printing --------------------------------------------------------------------------- */

static void
print_key(const void *home, const struct key *k, struct conf_origin at, FILE *out)
{
	fprintf(out, "%s = ", k->name);
	value_print(home, k, out);
	fprintf(out, at.line != 0 ? "  # %s:%d\n" : "  # %s\n", at.where, at.line);
}

void
conf_print(const struct conf *c, const struct conf_origins *from, FILE *out)
{
	for (int i = 0; i < KEYS; i++)
		if (keys[i].place == COMMON)
			print_key(c, &keys[i], from->of[i], out);
		else if (keys[i].place == BOTH)
			print_key(&c->delivery, &keys[i], from->of[i], out);
	for (struct route *r = c->routes; r != NULL; r = r->next) {
		fprintf(out, "\n[route %s]\n", r->name);
		for (int i = 0; i < KEYS; i++)
			if (r->line[i] != 0)
				print_key(home_of(&keys[i], NULL, r), &keys[i],
					(struct conf_origin){ from->file, r->line[i] }, out);
	}
}

/* ---- routes ----------------------------------------------------------------------------- */

void
conf_delivery_of(struct conf_delivery *out, const struct conf *c, const struct route *r)
{
	*out = c->delivery;
	for (int i = 0; i < KEYS && r != NULL; i++)
		if (r->line[i] != 0 && keys[i].place != MATCH)
			value_copy(out, &r->delivery, &keys[i]);
}

static void
free_route(struct route *r)
{
	for (int i = 0; i < KEYS; i++)
		if (keys[i].place != COMMON)
			value_free(home_of(&keys[i], NULL, r), &keys[i]);
	free(r);
}

void
conf_free(struct conf *c)
{
	for (struct route *r = c->routes, *next; r != NULL; r = next) {
		next = r->next;
		free_route(r);
	}
	for (int i = 0; i < KEYS; i++)
		if (keys[i].place != MATCH)
			value_free(home_of(&keys[i], c, NULL), &keys[i]);
	buf_free(&c->submission.map);
	buf_free(&c->doubts);
	*c = (struct conf){ 0 };
}

/*
 * One table has a row for each key: name, type, place in struct conf, default, and the range of
 * numbers. Checking and printing go by it; nothing else knows a key's name. What a value may be is
 * conf_value.c's business, where values come from conf_load.c's.
 */
#include "conf/keys.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "conf/value.h"

enum { VALUE_QUOTED = 100 };

static const struct key keys[] = {
#define ROW(place, field, type, preset, min, max) \
	{ #field, type, place, offsetof(struct conf, field), preset, min, max },
#define KEY(field, type, preset, min, max) ROW(COMMON, field, type, preset, min, max)
	KEY(hostname, HOSTNAME, NULL, 0, 0)
	KEY(spool, PATHNAME, "/var/spool/postern", 0, 0)
	KEY(postmaster, MAILBOX, NULL, 0, 0)
	KEY(user, TEXT, "postern", 0, 0)
	KEY(relay_path, PATHNAME, NULL, 0, 0)
	KEY(tls_path, PATHNAME, NULL, 0, 0)
	KEY(auth_path, PATHNAME, NULL, 0, 0)
	KEY(runtime, PATHNAME, "/run/postern", 0, 0)
	KEY(relay_nets, NETS, "", 0, 0)
	KEY(open_relay, YESNO, "no", 0, 0)
	KEY(relay_domains, DOMAINS, "", 0, 0)
	KEY(proxy_nets, NETS, "", 0, 0)
	KEY(recipient_check, PATHNAME, NULL, 0, 0)
	KEY(sender_check, PATHNAME, NULL, 0, 0)
	KEY(timeout_check, SECONDS, "10s", 1, DAY)
	KEY(min_free, SIZE, "16M", 0, HUGE_SIZE)
	KEY(limit_window, SECONDS, "10m", 1, DAY)
	KEY(limit_connections, NUMBER, "3000", 0, UINT32_MAX / 2)
	KEY(limit_messages, NUMBER, "0", 0, UINT32_MAX / 2)
	KEY(limit_recipients, NUMBER, "0", 0, UINT32_MAX / 2)
	KEY(limit_errors, NUMBER, "300", 0, UINT32_MAX / 2)
	KEY(limit_auth_failures, NUMBER, "30", 0, UINT32_MAX / 2)
	KEY(max_size, SIZE, "50M", 64 * KIB, HUGE_SIZE) /* RFC 5321 section 4.5.3.1.7 */
	KEY(max_recipients, NUMBER, "1000", 100, 10000) /* section 4.5.3.1.8 */
	KEY(max_errors, NUMBER, "20", 1, 1000000)
	KEY(timeout_command, SECONDS, "5m", 1, DAY)
	KEY(timeout_data, SECONDS, "5m", 1, DAY)
	KEY(timeout_session, SECONDS, "2h", 1, 30 * DAY)
	KEY(min_data_rate, NUMBER, "100", 1, HUGE_SIZE)
	KEY(max_hold, SECONDS, "7d", 0, 365 * DAY)
	KEY(requiretls, YESNO, "no", 0, 0)
	KEY(tls, TLS, "starttls", 0, 0)
	KEY(tls_certificate, SECRET, NULL, 0, 0)
	KEY(tls_key, SECRET, NULL, 0, 0)
	KEY(tls_client_ca, PATHNAME, NULL, 0, 0)
	KEY(tls_legacy, YESNO, "no", 0, 0)
	KEY(timeout_tls, SECONDS, "1m", 1, DAY)
	KEY(auth_users, SECRET, NULL, 0, 0)
	KEY(auth_saslauthd, PATHNAME, NULL, 0, 0)
	KEY(auth_dovecot, PATHNAME, NULL, 0, 0)
	KEY(auth_clear, YESNO, "no", 0, 0)
	{ "nameserver", SERVERS, COMMON, offsetof(struct conf, nameserver), "", 0, 0 },
	ROW(BOTH, family, FAMILY, "any", 0, 0)
	ROW(BOTH, source, SOURCES, "", 0, 0)
	KEY(smtp_port, NUMBER, "25", 1, 65535)
	KEY(allow_destinations, NETS, "", 0, 0)
	KEY(max_relays, NUMBER, "20", 0, 1000)
	ROW(BOTH, max_relays_per_lane, NUMBER, "5", 1, 100)
	ROW(BOTH, delivery_tls, DELIVERY_TLS, "may", 0, 0)
	ROW(BOTH, delivery_tls_implicit, YESNO, "no", 0, 0)
	KEY(delivery_ca, PATHNAME, "/etc/ssl/certs/ca-certificates.crt", 0, 0)
	ROW(BOTH, mx_order, MX_ORDER, "latency", 0, 0)
	KEY(remember_hosts, SECONDS, "5m", 1, 30 * DAY)
	KEY(window_messages, NUMBER, "50", 1, 1000)
	KEY(window_size, SIZE, "4M", 1, HUGE_SIZE)
	KEY(linger, SECONDS, "1s", 0, DAY)
	ROW(BOTH, timeout_dns, SECONDS, "1m", 1, DAY)
	ROW(BOTH, timeout_connect, SECONDS, "30s", 1, DAY)
	ROW(BOTH, timeout_greeting, SECONDS, "5m", 1, DAY)
	ROW(BOTH, timeout_helo, SECONDS, "5m", 1, DAY)
	ROW(BOTH, timeout_mail, SECONDS, "5m", 1, DAY)
	ROW(BOTH, timeout_rcpt, SECONDS, "5m", 1, DAY)
	ROW(BOTH, timeout_data_start, SECONDS, "2m", 1, DAY)
	ROW(BOTH, timeout_data_block, SECONDS, "3m", 1, DAY)
	ROW(BOTH, timeout_data_end, SECONDS, "10m", 1, DAY)
	ROW(BOTH, timeout_quit, SECONDS, "10s", 1, DAY)
	{ "retry", SCHEDULE, COMMON, offsetof(struct conf, retry), "1m 5m 15m 1h 2h 4h", 1, 30 * DAY },
	KEY(expire, SECONDS, "5d", 1, 365 * DAY)
	KEY(delay_warning, SECONDS, "4h", 0, 365 * DAY)
	KEY(bounce_size, SIZE, "64K", 0, 16 * KIB * KIB) /* held in memory */
	KEY(double_bounce, MAILBOX, NULL, 0, 0)
	{ "log", LOG, COMMON, offsetof(struct conf, log), "auto", 0, 0 },
	ROW(ROUTE, domains, DESTINATIONS, "", 0, 0)
	ROW(ROUTE, senders, SENDERS, "", 0, 0)
	ROW(ROUTE, hosts, HOSTS, "", 0, 0)
	ROW(ROUTE, protocol, PROTOCOL, "smtp", 0, 0)
	ROW(LOGIN, delivery_user, TEXT, NULL, 0, 0)
	ROW(LOGIN, delivery_password_file, PASSWORD, NULL, 0, 0)
	ROW(LOGIN, delivery_token_command, TEXT, NULL, 0, 0)
	ROW(LOGIN, delivery_auth_clear, YESNO, "no", 0, 0)
#undef KEY
#undef ROW
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
_Static_assert((int)KEYS <= (int)CONF_KEYS_MAX, "struct conf has too few places for origins");

/* ---- setting --------------------------------------------------------------------------- */

int
conf_find(struct span name)
{
	for (int i = 0; i < KEYS; i++)
		if (span_ieq(name, span_of(keys[i].name)))
			return i;
	return -1;
}

const char *
conf_name(int key)
{
	return keys[key].name;
}

int
conf_complain(struct buf *why, const char *origin, struct span name, const char *wrong, struct span v)
{
	buf_printf(why, "%s: ", origin);
	buf_escape(why, name, VALUE_QUOTED);
	buf_printf(why, ": %s", wrong);
	if (v.p != NULL) {
		buf_puts(why, ": \"");
		buf_escape(why, v, VALUE_QUOTED);
		buf_puts(why, "\"");
	}
	return -EINVAL;
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
	return place == ROUTE ? "stands behind \"[route NAME]\" only" : NULL;
}

static int
set_key(struct conf *c, bool in_route, struct span name, struct span v, const char *origin,
	struct buf *why)
{
	int i = conf_find(name);
	if (i < 0)
		return conf_complain(why, origin, name, "unknown key", (struct span){ 0 });
	const char *place = misplaced(keys[i].place, in_route);
	if (place != NULL)
		return conf_complain(why, origin, name, place, (struct span){ 0 });
	const char *wrong = holds_control(v) ? "holds a control character"
					     : value_set(c, &keys[i], v);
	if (wrong != NULL)
		return conf_complain(why, origin, name, wrong, v);
	snprintf(c->origin[i], sizeof(c->origin[i]), "%s", origin);
	return 0;
}

int
conf_set(struct conf *c, struct span name, struct span v, const char *origin, struct buf *why)
{
	return set_key(c, false, name, v, origin, why);
}

/* "key = value" */
static int
set_pair(struct conf *c, bool in_route, struct span line, const char *origin, struct buf *why)
{
	const char *eq = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;
	if (eq == NULL)
		return conf_complain(why, origin, line, "not \"key = value\"", (struct span){ 0 });
	return set_key(c, in_route, span_trim(span_from(line.p, eq)),
		span_trim(span_from(eq + 1, line.p + line.n)), origin, why);
}

int
conf_set_pair(struct conf *c, struct span line, const char *origin, struct buf *why)
{
	return set_pair(c, false, line, origin, why);
}

int
conf_set_route(struct route *r, struct span line, const char *origin, struct buf *why)
{
	return set_pair(&r->own, true, line, origin, why);
}

int
conf_set_defaults(struct conf *c, struct buf *why)
{
	for (int i = 0; i < KEYS; i++) {
		snprintf(c->origin[i], sizeof(c->origin[i]), "default");
		if (keys[i].preset == NULL)
			continue;
		const char *wrong = value_set(c, &keys[i], span_of(keys[i].preset));
		if (wrong != NULL)
			return conf_complain(why, "default", span_of(keys[i].name), wrong,
				span_of(keys[i].preset));
	}
	return 0;
}

/* ---- printing --------------------------------------------------------------------------- */

static void
print_key(const struct conf *c, int i, FILE *out)
{
	fprintf(out, "%s = ", keys[i].name);
	value_print(c, &keys[i], out);
	fprintf(out, "  # %s\n", c->origin[i]);
}

void
conf_print(const struct conf *c, FILE *out)
{
	for (int i = 0; i < KEYS; i++)
		if (keys[i].place == COMMON || keys[i].place == BOTH)
			print_key(c, i, out);
	for (const struct route *r = c->routes; r != NULL; r = r->next) {
		fprintf(out, "\n[route %s]\n", r->name);
		for (int i = 0; i < KEYS; i++)
			if (r->own.origin[i][0] != '\0')
				print_key(&r->own, i, out);
	}
}

/* ---- routes ----------------------------------------------------------------------------- */

void
conf_for_route(struct conf *out, const struct conf *common, const struct route *r)
{
	*out = *common;
	for (int i = 0; i < KEYS && r != NULL; i++)
		if (r->own.origin[i][0] != '\0')
			value_copy(out, &r->own, &keys[i]);
}

void
conf_free(struct conf *c)
{
	for (struct route *r = c->routes, *next; r != NULL; r = next) {
		next = r->next;
		conf_free(&r->own);
		free(r);
	}
	for (int i = 0; i < KEYS; i++)
		value_free(c, &keys[i]);
	*c = (struct conf){ 0 };
}

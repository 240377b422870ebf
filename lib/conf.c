/*
 * One table has a row for each key: name, type, place in struct conf, default, and the range of
 * numbers. Checking and printing go by it; nothing else knows a key's name. Where values come from is
 * conf_load.c's business.
 */
#include "conf_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "cleanup.h"
#include "credential.h"

enum { VALUE_QUOTED = 100 };

enum type {
	TEXT, HOSTNAME, MAILBOX, PATHNAME, SECRET, DOMAINS, /* texts; SECRET: a path or a credential */
	NUMBER, SIZE, SECONDS, NETS, SERVERS, SCHEDULE,
	LOG, TLS, DELIVERY_TLS, YESNO, MX_ORDER, /* choices */
};

#define SEC  INT64_C(1)
#define DAY  (86400 * SEC)
#define KIB  INT64_C(1024)
#define HUGE_SIZE (KIB * KIB * KIB * KIB)

static const struct key {
	const char *name;
	enum type type;
	size_t offset;
	const char *preset; /* NULL: worked out by conf_complete */
	int64_t min, max;
} keys[] = {
#define KEY(field, type, preset, min, max) \
	{ #field, type, offsetof(struct conf, field), preset, min, max },
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
	{ "nameserver", SERVERS, offsetof(struct conf, nameserver), "", 0, 0 },
	KEY(smtp_port, NUMBER, "25", 1, 65535)
	KEY(allow_destinations, NETS, "", 0, 0)
	KEY(max_relays, NUMBER, "20", 0, 1000)
	KEY(max_relays_per_lane, NUMBER, "5", 1, 100)
	KEY(delivery_tls, DELIVERY_TLS, "may", 0, 0)
	KEY(delivery_tls_implicit, YESNO, "no", 0, 0)
	KEY(delivery_ca, PATHNAME, "/etc/ssl/certs/ca-certificates.crt", 0, 0)
	KEY(delivery_user, TEXT, NULL, 0, 0)
	KEY(delivery_password_file, SECRET, NULL, 0, 0)
	KEY(delivery_token_command, TEXT, NULL, 0, 0)
	KEY(delivery_auth_clear, YESNO, "no", 0, 0)
	KEY(mx_order, MX_ORDER, "latency", 0, 0)
	KEY(remember_hosts, SECONDS, "5m", 1, 30 * DAY)
	KEY(window_messages, NUMBER, "50", 1, 1000)
	KEY(window_size, SIZE, "4M", 1, HUGE_SIZE)
	KEY(linger, SECONDS, "1s", 0, DAY)
	KEY(timeout_dns, SECONDS, "1m", 1, DAY)
	KEY(timeout_connect, SECONDS, "30s", 1, DAY)
	KEY(timeout_greeting, SECONDS, "5m", 1, DAY)
	KEY(timeout_helo, SECONDS, "5m", 1, DAY)
	KEY(timeout_mail, SECONDS, "5m", 1, DAY)
	KEY(timeout_rcpt, SECONDS, "5m", 1, DAY)
	KEY(timeout_data_start, SECONDS, "2m", 1, DAY)
	KEY(timeout_data_block, SECONDS, "3m", 1, DAY)
	KEY(timeout_data_end, SECONDS, "10m", 1, DAY)
	KEY(timeout_quit, SECONDS, "10s", 1, DAY)
	{ "retry", SCHEDULE, offsetof(struct conf, retry), "1m 5m 15m 1h 2h 4h", 1, 30 * DAY },
	KEY(expire, SECONDS, "5d", 1, 365 * DAY)
	KEY(delay_warning, SECONDS, "4h", 0, 365 * DAY)
	KEY(bounce_size, SIZE, "64K", 0, 16 * KIB * KIB) /* held in memory */
	KEY(double_bounce, MAILBOX, NULL, 0, 0)
	{ "log", LOG, offsetof(struct conf, log), "auto", 0, 0 },
#undef KEY
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
_Static_assert((int)KEYS <= (int)CONF_KEYS_MAX, "struct conf has too few places for origins");

/* The words of a choice, each at the place of its value; the last one is NULL. */
static const char *const log_words[] = { [LOG_TO_AUTO] = "auto", [LOG_TO_JOURNAL] = "journal",
	[LOG_TO_SYSLOG] = "syslog", [LOG_TO_STDERR] = "stderr", [LOG_TO_NONE] = "none", NULL };
static const char *const tls_words[] = { [TLS_OFF] = "off", [TLS_STARTTLS] = "starttls",
	[TLS_REQUIRED] = "required", [TLS_IMPLICIT] = "implicit", NULL };
static const char *const delivery_tls_words[] = { [DELIVERY_TLS_NONE] = "none",
	[DELIVERY_TLS_MAY] = "may", [DELIVERY_TLS_ENCRYPT] = "encrypt",
	[DELIVERY_TLS_VERIFY] = "verify", NULL };
static const char *const mx_order_words[] = { [MX_LATENCY] = "latency", [MX_RANDOM] = "random",
	NULL };
static const char *const yesno_words[] = { [CONF_NO] = "no", [CONF_YES] = "yes", NULL };

static const char *const *
words_of(enum type t)
{
	switch (t) {
	case LOG:
		return log_words;
	case TLS:
		return tls_words;
	case DELIVERY_TLS:
		return delivery_tls_words;
	case MX_ORDER:
		return mx_order_words;
	default:
		return yesno_words;
	}
}

/* ---- values: each returns NULL, or what is wrong with it -------------------------------- */

/* Digits and an optional unit letter; -1 if it is neither. What is huge stays huge. */
static int64_t
scaled(struct span v, const char *units, const int64_t *scale)
{
	int64_t n = 0;
	size_t i = 0;
	for (; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		n = n > HUGE_SIZE ? n : n * 10 + (v.p[i] - '0');
	if (i == 0 || i + 1 < v.n)
		return -1;
	if (i == v.n)
		return n;
	const char *unit = v.p[i] != '\0' ? strchr(units, v.p[i]) : NULL;
	if (unit == NULL)
		return -1;
	return n > HUGE_SIZE / scale[unit - units] ? HUGE_SIZE + 1 : n * scale[unit - units];
}

static int64_t
parse_seconds(struct span v)
{
	static const int64_t scale[] = { 1, 60, 3600, DAY };
	return scaled(v, "smhd", scale);
}

static int64_t
parse_size(struct span v)
{
	static const int64_t scale[] = { KIB, KIB * KIB, KIB * KIB * KIB };
	return scaled(v, "KMG", scale);
}

static const char *
set_number(const struct key *k, int64_t n, void *place, const char *wrong)
{
	if (n < 0)
		return wrong;
	if (n < k->min)
		return "too small";
	if (n > k->max)
		return "too large";
	*(int64_t *)place = n;
	return NULL;
}

/* Each perhaps with a dot in front, which stands for all that is below. */
static bool
are_domains(struct span v)
{
	for (struct span word; (word = span_word(&v, " \t,")).n > 0;)
		if (!address_is_domain(span_skip(word, word.p[0] == '.')))
			return false;
	return true;
}

static const char *
set_text(const struct key *k, struct span v, char **place)
{
	struct address a;
	if (k->type == HOSTNAME && !address_is_domain(v))
		return "not a host name";
	if (k->type != HOSTNAME && v.n == 0 && k->preset == NULL) { /* as if nobody had set it */
		free(*place);
		*place = NULL;
		return NULL;
	}
	if (k->type == MAILBOX && address_mailbox(v, &a) < 0)
		return "not an address";
	bool path = k->type == PATHNAME || k->type == SECRET;
	if (path && (v.n == 0 || v.p[0] != '/') && !(k->type == SECRET && credential_named(v)))
		return "not an absolute path";
	if (k->type == DOMAINS && !are_domains(v))
		return "not a list of domains like example.org .example.net";
	if (v.n == 0 && k->type != DOMAINS)
		return "empty";
	char *copy = strndup(v.p, v.n);
	if (copy == NULL)
		return "out of memory";
	free(*place);
	*place = copy;
	return NULL;
}

static const char *
set_nets(struct span v, struct netlist *place)
{
	struct netlist l;
	if (netlist_parse(v, &l) < 0)
		return "not a list of networks like 192.0.2.0/24 2001:db8::/32";
	netlist_free(place);
	*place = l;
	return NULL;
}

/* "address", "address:port", "[address]:port" */
static const char *
parse_server(struct span word, struct sockaddr_storage *out)
{
	struct netaddr a;
	struct span host = word, port = { 0 };
	const char *bracket = memchr(word.p, ']', word.n);
	const char *colon = memchr(word.p, ':', word.n);
	if (word.p[0] == '[' && bracket != NULL) {
		host = span_from(word.p + 1, bracket);
		port = span_from(bracket + 1, word.p + word.n);
	} else if (colon != NULL && memchr(colon + 1, ':', (size_t)(word.p + word.n - colon - 1)) == NULL) {
		host = span_from(word.p, colon);
		port = span_from(colon, word.p + word.n);
	}
	int64_t number = 53;
	if (port.n > 0)
		number = port.p[0] == ':' ? scaled(span_skip(port, 1), "", NULL) : -1;
	if (netaddr_parse(host, &a) < 0 || number < 1 || number > 65535)
		return "not an address, address:port or [address]:port";
	netaddr_to(&a, (uint16_t)number, out);
	return NULL;
}

static const char *
set_servers(struct span v, struct conf *c)
{
	c->nameservers = 0;
	for (struct span word; (word = span_word(&v, " \t,")).n > 0;) {
		if (c->nameservers == CONF_NAMESERVER_MAX)
			return "too many";
		const char *wrong = parse_server(word, &c->nameserver[c->nameservers]);
		if (wrong != NULL)
			return wrong;
		c->nameservers++;
	}
	return NULL;
}

static const char *
set_schedule(const struct key *k, struct span v, struct conf *c)
{
	int n = 0;
	for (struct span word; (word = span_word(&v, " \t,")).n > 0; n++) {
		if (n == CONF_RETRY_MAX)
			return "too many";
		const char *wrong = set_number(k, parse_seconds(word), &c->retry[n],
			"not a list of times like 1m 5m 1h");
		if (wrong != NULL)
			return wrong;
	}
	c->retries = n;
	return n > 0 ? NULL : "empty";
}

/* Enumerations are ints: the compilers and ABIs in question make them so. */
static const char *
set_choice(enum type t, struct span v, int *place)
{
	const char *const *words = words_of(t);
	for (int i = 0; words[i] != NULL; i++) {
		if (span_eq(v, span_of(words[i]))) {
			*place = i;
			return NULL;
		}
	}
	switch (t) {
	case LOG:
		return "not one of auto, journal, syslog, stderr, none";
	case TLS:
		return "not one of off, starttls, required, implicit";
	case DELIVERY_TLS:
		return "not one of none, may, encrypt, verify";
	case MX_ORDER:
		return "neither latency nor random";
	default:
		return "neither yes nor no";
	}
}

static const char *
set_value(struct conf *c, const struct key *k, struct span v)
{
	void *place = (char *)c + k->offset;
	switch (k->type) {
	case NUMBER:
		return set_number(k, scaled(v, "", NULL), place, "not a number");
	case SIZE:
		return set_number(k, parse_size(v), place, "not a size like 50M");
	case SECONDS:
		return set_number(k, parse_seconds(v), place, "not a time like 30s or 5m");
	case NETS:
		return set_nets(v, place);
	case SERVERS:
		return set_servers(v, c);
	case SCHEDULE:
		return set_schedule(k, v, c);
	case LOG:
	case TLS:
	case DELIVERY_TLS:
	case YESNO:
	case MX_ORDER:
		return set_choice(k->type, v, place);
	default:
		return set_text(k, v, place);
	}
}

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

int
conf_set(struct conf *c, struct span name, struct span v, const char *origin, struct buf *why)
{
	int i = conf_find(name);
	if (i < 0)
		return conf_complain(why, origin, name, "unknown key", (struct span){ 0 });
	const char *wrong = holds_control(v) ? "holds a control character"
					     : set_value(c, &keys[i], v);
	if (wrong != NULL)
		return conf_complain(why, origin, name, wrong, v);
	snprintf(c->origin[i], sizeof(c->origin[i]), "%s", origin);
	return 0;
}

/* "key = value" */
int
conf_set_pair(struct conf *c, struct span line, const char *origin, struct buf *why)
{
	const char *eq = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;
	if (eq == NULL)
		return conf_complain(why, origin, line, "not \"key = value\"", (struct span){ 0 });
	return conf_set(c, span_trim(span_from(line.p, eq)),
		span_trim(span_from(eq + 1, line.p + line.n)), origin, why);
}

int
conf_set_defaults(struct conf *c, struct buf *why)
{
	for (int i = 0; i < KEYS; i++) {
		snprintf(c->origin[i], sizeof(c->origin[i]), "default");
		if (keys[i].preset == NULL)
			continue;
		const char *wrong = set_value(c, &keys[i], span_of(keys[i].preset));
		if (wrong != NULL)
			return conf_complain(why, "default", span_of(keys[i].name), wrong,
				span_of(keys[i].preset));
	}
	return 0;
}

/* ---- printing --------------------------------------------------------------------------- */

static void
print_nets(const struct netlist *l, FILE *out)
{
	char text[NETADDR_TEXT];
	for (size_t i = 0; i < l->n; i++) {
		const struct netblock *b = &l->v[i];
		netaddr_text(&b->addr, text);
		fprintf(out, "%s%s/%d", i > 0 ? " " : "", text,
			b->bits - (netaddr_is_v4(&b->addr) ? 96 : 0));
	}
}

static void
print_servers(const struct conf *c, FILE *out)
{
	for (int i = 0; i < c->nameservers; i++) {
		struct netaddr a;
		char text[NETADDR_TEXT];
		const struct sockaddr_storage *ss = &c->nameserver[i];
		if (netaddr_from((const struct sockaddr *)ss, &a) < 0)
			continue;
		netaddr_text(&a, text);
		uint16_t port = 0; /* stands at the same place in both families */
		memcpy(&port, (const char *)ss + sizeof(sa_family_t), sizeof(port));
		fprintf(out, netaddr_is_v4(&a) ? "%s%s:%d" : "%s[%s]:%d", i > 0 ? " " : "", text,
			(port & 0xff) << 8 | port >> 8);
	}
}

static void
print_value(const struct conf *c, const struct key *k, FILE *out)
{
	const void *place = (const char *)c + k->offset;
	const char *text;
	switch (k->type) {
	case NUMBER:
	case SIZE:
		fprintf(out, "%lld", (long long)*(const int64_t *)place);
		break;
	case SECONDS:
		fprintf(out, "%llds", (long long)*(const int64_t *)place);
		break;
	case NETS:
		print_nets(place, out);
		break;
	case SERVERS:
		print_servers(c, out);
		break;
	case SCHEDULE:
		for (int i = 0; i < c->retries; i++)
			fprintf(out, "%s%llds", i > 0 ? " " : "", (long long)c->retry[i]);
		break;
	case LOG:
	case TLS:
	case DELIVERY_TLS:
	case YESNO:
	case MX_ORDER:
		fputs(words_of(k->type)[*(const int *)place], out);
		break;
	default:
		text = *(char *const *)place;
		fputs(text != NULL ? text : "", out);
	}
}

void
conf_print(const struct conf *c, FILE *out)
{
	for (int i = 0; i < KEYS; i++) {
		fprintf(out, "%s = ", keys[i].name);
		print_value(c, &keys[i], out);
		fprintf(out, "  # %s\n", c->origin[i]);
	}
}

bool
domains_contain(const char *list, const char *domain)
{
	struct span rest = span_of(list), name = span_of(domain);
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		if (span_ieq(word, name))
			return true;
		if (word.p[0] == '.' && name.n > word.n &&
			span_ieq(word, span_skip(name, name.n - word.n)))
			return true;
	}
	return false;
}

void
conf_free(struct conf *c)
{
	free(c->hostname);
	free(c->spool);
	free(c->postmaster);
	free(c->double_bounce);
	free(c->user);
	free(c->relay_path);
	free(c->relay_domains);
	free(c->tls_path);
	free(c->auth_path);
	free(c->auth_users);
	free(c->auth_saslauthd);
	free(c->auth_dovecot);
	free(c->runtime);
	free(c->tls_certificate);
	free(c->tls_key);
	free(c->tls_client_ca);
	free(c->delivery_ca);
	free(c->delivery_user);
	free(c->delivery_password_file);
	free(c->delivery_token_command);
	netlist_free(&c->relay_nets);
	netlist_free(&c->allow_destinations);
	netlist_free(&c->proxy_nets);
	free(c->recipient_check);
	free(c->sender_check);
	*c = (struct conf){ 0 };
}

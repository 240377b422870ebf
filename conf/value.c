/*
 * The functions that set return NULL, or what is wrong with the value.
 */
#include "conf/value.h"

#include <stdlib.h>

#include "conf/credential.h"
#include "conf/guard.h"
#include "conf/nameserver.h"
#include "conf/submission.h"
#include "conf/target.h"
#include "lib/cleanup.h"
#include "mail/address.h"
#include "mail/extension.h"
#include "mail/masquerade.h"
#include "mail/match.h"

/* The words of a choice, each at the place of its value; the last one is NULL. */
static const char *const log_words[] = { [LOG_TO_AUTO] = "auto", [LOG_TO_JOURNAL] = "journal",
	[LOG_TO_SYSLOG] = "syslog", [LOG_TO_STDERR] = "stderr", [LOG_TO_NONE] = "none", NULL };
static const char *const format_words[] = { [LOG_FORMAT_POSTERN] = "postern",
	[LOG_FORMAT_POSTFIX] = "postfix", [LOG_FORMAT_JSON] = "json", NULL };
static const char *const tls_words[] = { [TLS_OFF] = "off", [TLS_STARTTLS] = "starttls",
	[TLS_REQUIRED] = "required", [TLS_IMPLICIT] = "implicit", NULL };
static const char *const delivery_tls_words[] = { [DELIVERY_TLS_NONE] = "none",
	[DELIVERY_TLS_MAY] = "may", [DELIVERY_TLS_ENCRYPT] = "encrypt",
	[DELIVERY_TLS_VERIFY] = "verify", NULL };
static const char *const mx_order_words[] = { [MX_LATENCY] = "latency", [MX_RANDOM] = "random",
	NULL };
static const char *const family_words[] = { [FAMILY_ANY] = "any", [FAMILY_IPV4] = "ipv4",
	[FAMILY_IPV6] = "ipv6", [FAMILY_PREFER_IPV4] = "prefer-ipv4", NULL };
static const char *const protocol_words[] = { [PROTOCOL_SMTP] = "smtp", [PROTOCOL_LMTP] = "lmtp",
	NULL };
static const char *const dkim_sign_words[] = { [DKIM_SIGN_NO] = "no", [DKIM_SIGN_YES] = "yes",
	[DKIM_SIGN_AGAIN] = "again", NULL };
static const char *const dkim_missing_words[] = { [DKIM_MISSING_WAIT] = "wait",
	[DKIM_MISSING_SEND] = "send", NULL };
static const char *const dane_words[] = { [CONF_DANE_OFF] = "off", [CONF_DANE_AUTO] = "auto",
	[CONF_DANE_ONLY] = "only", NULL };
static const char *const yesno_words[] = { [CONF_NO] = "no", [CONF_YES] = "yes", NULL };

static const char *const *
words_of(enum key_type t)
{
	static const char *const *const words[] = { [LOG] = log_words,
		[LOG_FORMAT] = format_words, [TLS] = tls_words,
		[DELIVERY_TLS] = delivery_tls_words,
		[YESNO] = yesno_words, [MX_ORDER] = mx_order_words, [FAMILY] = family_words,
		[PROTOCOL] = protocol_words, [DKIM_SIGN] = dkim_sign_words,
		[DKIM_MISSING] = dkim_missing_words, [DANE] = dane_words };
	return words[t];
}

static bool
is_text(const struct key *k)
{
	return k->type <= LAST_TEXT;
}

/* ---- setting -------------------------------------------------------------------------- */

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

/* A domain, perhaps with a dot in front, which stands for all that is below. */
static bool
is_domain(struct span word)
{
	return address_is_domain(span_skip(word, word.p[0] == '.'));
}

static bool
is_destination(struct span word)
{
	return is_domain(word) || address_is_literal(word) || span_eq(word, span_of("*"));
}

static bool
is_sender(struct span word)
{
	struct address a;
	return is_domain(word) || address_mailbox(word, &a) == 0;
}

static bool
is_host(struct span word)
{
	struct target t;
	return target_parse(word, &t) == 0;
}

/* An address that one host has, to which there is a way: of a link in IPv6 nobody knows which. */
static bool
is_within_reach(struct span word)
{
	struct target t;
	if (target_parse(word, &t) < 0 || t.kind != TARGET_ADDRESS)
		return true;
	enum netclass class = netaddr_class(&t.addr);
	return class != NET_UNSPECIFIED && class != NET_MULTICAST &&
		(class != NET_LINK_LOCAL || netaddr_is_v4(&t.addr));
}

/* An address, or the local part of one. */
static bool
is_user(struct span word)
{
	struct address a;
	return memchr(word.p, '@', word.n) == NULL || address_mailbox(word, &a) == 0;
}

static bool
is_secret(struct span word)
{
	return word.p[0] == '/' || credential_named(word);
}

static bool
are(struct span v, bool (*is)(struct span word))
{
	for (struct span word; (word = span_word(&v, " \t,")).n > 0;)
		if (!is(word))
			return false;
	return true;
}

/* ... of one that says what becomes of mail that is submitted. */
static const char *
check_submission(enum key_type t, struct span v)
{
	unsigned submitters;
	switch (t) {
	case SUBMITTERS:
		return submission_submitters(v, &submitters) ? NULL
			: "neither no, nor some of local auth nets";
	case MASQUERADE:
		return masquerade_valid(v) ? NULL
			: "not a list like host.example.org=example.org .example.net=example.org";
	case EXCEPTIONS:
		return are(v, is_user) ? NULL : "not a list of users like root a@example.org";
	default:
		return NULL;
	}
}

/* What is wrong with the words of a list. */
static const char *
check_words(enum key_type t, struct span v)
{
	struct sources s;
	unsigned extensions;
	switch (t) {
	case SECRETS:
		return are(v, is_secret) ? NULL : "not an absolute path";
	case DOMAINS:
		return are(v, is_domain) ? NULL
			: "not a list of domains like example.org .example.net";
	case DESTINATIONS:
		return are(v, is_destination) ? NULL
			: "not a list of domains like example.org .example.net, nor *";
	case SENDERS:
		return are(v, is_sender) ? NULL
			: "not a list of addresses and domains like a@example.org .example.net";
	case HOSTS:
		return !are(v, is_host) ? "not a list of hosts like [192.0.2.1]:25 "
					  "mail.example.org:587 example.org unix:/run/lmtp"
			: !are(v, is_within_reach) ? "no host can be reached at an address like "
						     "0.0.0.0, 224.0.0.1 or fe80::1"
						   : NULL;
	case EXTENSIONS:
		return extension_list(v, &extensions) ? NULL
			: "not a list of extensions like pipelining chunking 8bitmime size dsn";
	case SOURCES:
		return target_sources(v, &s) == 0 ? NULL
			: "not an IPv4 address, an IPv6 address, or one of each";
	case LOCAL_SENDERS:
		return are(v, match_is_local_rule) ? NULL
			: "not a list like *=self www-data=@example.org 0-999=*";
	default:
		return check_submission(t, v);
	}
}

static const char *
set_text(const struct key *k, struct span v, char **place)
{
	struct address a;
	struct guard g;
	if (k->type == HOSTNAME && !address_is_hostname(v))
		return "not a host name";
	if (k->type != HOSTNAME && v.n == 0 && k->preset == NULL) { /* as if nobody had set it */
		free(*place);
		*place = NULL;
		return NULL;
	}
	if (k->type == MAILBOX && address_mailbox(v, &a) < 0)
		return "not an address";
	bool path = k->type == PATHNAME || k->type == SECRET || k->type == PASSWORD;
	bool handed = (k->type != PATHNAME && credential_named(v)) ||
		(k->type == PASSWORD && credential_variable_named(v));
	if (path && (v.n == 0 || v.p[0] != '/') && !handed)
		return "not an absolute path";
	if (path && v.n > CONF_PATH_MAX)
		return "longer than 900 octets";
	const char *wrong = check_words(k->type, v);
	if (wrong != NULL)
		return wrong;
	if (v.n == 0 && k->type < FIRST_LIST)
		return "empty";
	char *copy = strndup(v.p, v.n);
	if (copy == NULL)
		return "out of memory";
	if (k->type == GUARD && !guard_parse(copy, &g)) {
		free(copy);
		return "neither no, nor allow and a list of addresses and domains, nor redirect "
			"and an address, nor sink and a directory";
	}
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

/* Behind "unix:" a path, the name of an abstract socket, or "*". */
static bool
is_socket_name(struct span s)
{
	return s.n > 0 && (s.p[0] == '/' || (s.p[0] == '@' && s.n > 1) || span_eq(s, span_of("*")));
}

/* Networks, and UNIX sockets behind "unix:". */
static const char *
set_proxies(struct span v, struct conf_proxies *place)
{
	static const struct span prefix = { "unix:", 5 };
	auto_buf nets = buf_new(v.n + 1), sockets = buf_new(v.n + 1);
	for (struct span word; (word = span_word(&v, " \t,")).n > 0;) {
		bool is_socket = span_istarts(word, prefix);
		struct buf *b = is_socket ? &sockets : &nets;
		if (is_socket)
			word = span_skip(word, prefix.n);
		if (is_socket && !is_socket_name(word))
			return "not a socket like unix:/run/proxy.sock";
		buf_add(b, word);
		buf_puts(b, " ");
	}
	if (nets.err != 0 || sockets.err != 0)
		return "out of memory";
	free(place->sockets);
	place->sockets = sockets.n > 0 ? strndup(sockets.p, sockets.n - 1) : NULL;
	if (sockets.n > 0 && place->sockets == NULL)
		return "out of memory";
	return set_nets(buf_span(&nets), &place->nets);
}

static const char *
set_servers(struct span v, struct conf_servers *place)
{
	place->n = 0;
	for (struct span word; (word = span_word(&v, " \t,")).n > 0;) {
		if (place->n == CONF_NAMESERVER_MAX)
			return "too many";
		if (nameserver_parse(word, &place->v[place->n]) < 0)
			return "not an address, address:port or [address]:port";
		place->n++;
	}
	return NULL;
}

static const char *
set_schedule(const struct key *k, struct span v, struct conf_schedule *place)
{
	int n = 0;
	for (struct span word; (word = span_word(&v, " \t,")).n > 0; n++) {
		if (n == CONF_RETRY_MAX)
			return "too many";
		const char *wrong = set_number(k, parse_seconds(word), &place->v[n],
			"not a list of times like 1m 5m 1h");
		if (wrong != NULL)
			return wrong;
	}
	place->n = n;
	return n > 0 ? NULL : "empty";
}

/* A promise of TLS, in a build that has none. */
static bool
is_empty_promise(enum key_type t, int choice)
{
	return !CONF_HAS_TLS && ((t == DELIVERY_TLS && choice != DELIVERY_TLS_NONE) ||
		(t == DANE && choice != CONF_DANE_OFF) ||
		(t == TLS && (choice == TLS_REQUIRED || choice == TLS_IMPLICIT)));
}

/* Enumerations are ints: the compilers and ABIs in question make them so. */
static const char *
set_choice(enum key_type t, struct span v, int *place)
{
	const char *const *words = words_of(t);
	for (int i = 0; words[i] != NULL; i++) {
		if (span_eq(v, span_of(words[i]))) {
			if (is_empty_promise(t, i))
				return VALUE_NO_TLS;
			*place = i;
			return NULL;
		}
	}
	static const char *const wrong[] = {
		[LOG] = "not one of auto, journal, syslog, stderr, none",
		[LOG_FORMAT] = "not one of postern, postfix, json",
		[TLS] = "not one of off, starttls, required, implicit",
		[DELIVERY_TLS] = "not one of none, may, encrypt, verify",
		[YESNO] = "neither yes nor no",
		[MX_ORDER] = "neither latency nor random",
		[FAMILY] = "not one of any, ipv4, ipv6, prefer-ipv4",
		[PROTOCOL] = "neither smtp nor lmtp",
		[DKIM_SIGN] = "not one of no, yes, again",
		[DKIM_MISSING] = "neither wait nor send",
		[DANE] = "not one of off, auto, only",
	};
	return wrong[t];
}

const char *
value_set(void *home, const struct key *k, struct span v)
{
	void *place = (char *)home + k->offset;
	switch (k->type) {
	case NUMBER:
		return set_number(k, scaled(v, "", NULL), place, "not a number");
	case SIZE:
		return set_number(k, parse_size(v), place, "not a size like 50M");
	case SECONDS:
		return set_number(k, parse_seconds(v), place, "not a time like 30s or 5m");
	case NETS:
		return set_nets(v, place);
	case PROXIES:
		return set_proxies(v, place);
	case SERVERS:
		return set_servers(v, place);
	case SCHEDULE:
		return set_schedule(k, v, place);
	default:
		return is_text(k) ? set_text(k, v, place) : set_choice(k->type, v, place);
	}
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
print_proxies(const struct conf_proxies *proxies, FILE *out)
{
	struct span list = span_of(proxies->sockets != NULL ? proxies->sockets : "");
	const char *between = proxies->nets.n > 0 ? " " : "";
	print_nets(&proxies->nets, out);
	for (struct span word; (word = span_word(&list, " ")).n > 0; between = " ")
		fprintf(out, "%sunix:%.*s", between, (int)word.n, word.p);
}

static void
print_servers(const struct conf_servers *servers, FILE *out)
{
	for (int i = 0; i < servers->n; i++) {
		if (i > 0)
			fputc(' ', out);
		nameserver_print(&servers->v[i], out);
	}
}

static void
print_schedule(const struct conf_schedule *schedule, FILE *out)
{
	for (int i = 0; i < schedule->n; i++)
		fprintf(out, "%s%llds", i > 0 ? " " : "", (long long)schedule->v[i]);
}

void
value_print(const void *home, const struct key *k, FILE *out)
{
	const void *place = (const char *)home + k->offset;
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
	case PROXIES:
		print_proxies(place, out);
		break;
	case SERVERS:
		print_servers(place, out);
		break;
	case SCHEDULE:
		print_schedule(place, out);
		break;
	default:
		if (!is_text(k))
			fputs(words_of(k->type)[*(const int *)place], out);
		else if (*(char *const *)place != NULL)
			fputs(*(char *const *)place, out);
	}
}

/* ---- as memory --------------------------------------------------------------------------- */

void
value_copy(void *to, const void *from, const struct key *k)
{
	size_t n = is_text(k)			? sizeof(char *)
		: words_of(k->type) != NULL	? sizeof(int)
						: sizeof(int64_t);
	memcpy((char *)to + k->offset, (const char *)from + k->offset, n);
}

void
value_free(void *home, const struct key *k)
{
	void *place = (char *)home + k->offset;
	if (is_text(k))
		free(*(char **)place);
	else if (k->type == NETS)
		netlist_free(place);
	else if (k->type == PROXIES) {
		struct conf_proxies *proxies = place;
		netlist_free(&proxies->nets);
		free(proxies->sockets);
	}
}

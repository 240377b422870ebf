/* conf: each type good and bad, what is looked at together, what the operator is told. */
#include "tests/unit/conf/loaded.h"

#include <sys/stat.h>

static const struct row {
	const char *key, *value;
	const char *want;  /* as printed, or NULL */
	const char *wrong; /* what is wrong with it, or NULL */
} rows[] = {
	{ "hostname", "Mail-1.example", "Mail-1.example", NULL },
	{ "hostname", "", NULL, "not a host name" },
	{ "hostname", "a_b", NULL, "not a host name" },
	{ "hostname", "a..b", NULL, "not a host name" },
	{ "hostname", "[192.0.2.1]", NULL, "not a host name" },
	{ "spool", "/x", "/x", NULL },
	{ "spool", "/with blank", "/with blank", NULL },
	{ "spool", "x", NULL, "not an absolute path" },
	{ "spool", "", NULL, "not an absolute path" },
	{ "relay_path", "./relay", NULL, "not an absolute path" }, /* K11 */
	{ "postmaster", "\"a b\"@h.example", "\"a b\"@h.example", NULL },
	{ "postmaster", "root", NULL, "not an address" },
	{ "postmaster", "<a@b>", NULL, "not an address" },
	{ "postmaster", "a@b c", NULL, "not an address" },
	{ "user", "mail", "mail", NULL },
	{ "user", "", NULL, "empty" },
	{ "relay_nets", "", "", NULL },
	{ "relay_nets", "192.0.2.0/24, 2001:db8::/32\t10.1.2.3",
		"192.0.2.0/24 2001:db8::/32 10.1.2.3/32", NULL },
	{ "relay_nets", "192.0.2.1/24", NULL, "not a list of networks like 192.0.2.0/24" },
	{ "relay_nets", "localhost", NULL, "not a list of networks like 192.0.2.0/24" },
	{ "allow_destinations", "::1", "::1/128", NULL },
	{ "relay_local", "no", "no", NULL },
	/* what becomes of mail that is submitted */
	{ "add_missing", "local, AUTH nets", "local, AUTH nets", NULL },
	{ "add_missing", "no", "no", NULL },
	{ "add_missing", "", "", NULL },
	{ "add_missing", "yes", NULL, "neither no, nor some of local auth nets" },
	{ "add_missing", "no local", NULL, "neither no, nor some of local auth nets" },
	{ "masquerade", "a.example=b.example, .c=d", "a.example=b.example, .c=d", NULL },
	{ "masquerade", "", "", NULL },
	{ "masquerade", "a.example", NULL, "not a list like host.example.org=example.org" },
	{ "masquerade", "a.example = b.example", NULL, "not a list like host.example.org" },
	{ "masquerade_except", "root a@b.example", "root a@b.example", NULL },
	{ "masquerade_except", "root@", NULL, "not a list of users like root a@example.org" },
	{ "force_from", "a@b.example", "a@b.example", NULL },
	{ "force_from", "", "", NULL },
	{ "force_from", "root", NULL, "not an address" },
	{ "recipient_map", "/a", "/a", NULL },
	{ "recipient_map", "a", NULL, "not an absolute path" },
	{ "guard", "no", "no", NULL },
	{ "guard", "", "", NULL },
	{ "guard", "allow b.example .c.example a@d.example", "allow b.example .c.example a@d.example",
		NULL },
	{ "guard", "redirect a@b.example", "redirect a@b.example", NULL },
	{ "guard", "sink /var/lib/sunk mail", "sink /var/lib/sunk mail", NULL },
	{ "guard", "sink mail", NULL, "neither no, nor allow and a list" },
	{ "guard", "allow", NULL, "neither no, nor allow and a list of addresses and domains" },
	{ "guard", "redirect b.example", NULL, "neither no, nor allow and a list" },
	{ "local_users", "yes", "yes", NULL },
	{ "local_users", "", NULL, "neither yes nor no" },
	{ "local_senders", "", "", NULL },
	{ "local_senders", "0-999=* *=self", "0-999=* *=self", NULL },
	{ "local_senders", "joe", NULL, "not a list like *=self" },
	{ "local_senders", "joe=*, *=nobody", NULL, "not a list like *=self" },
	/* L50: UNIX sockets that are a proxy's */
	{ "proxy_nets", "", "", NULL },
	{ "proxy_nets", "192.0.2.1", "192.0.2.1/32", NULL },
	{ "proxy_nets", "unix:/run/proxy, 192.0.2.1 UNIX:@abstract unix:*",
		"192.0.2.1/32 unix:/run/proxy unix:@abstract unix:*", NULL },
	{ "proxy_nets", "unix:", NULL, "not a socket like unix:/run/proxy.sock" },
	{ "proxy_nets", "unix:@", NULL, "not a socket like unix:/run/proxy.sock" },
	{ "proxy_nets", "unix:proxy", NULL, "not a socket like unix:/run/proxy.sock" },
	{ "proxy_nets", "/run/proxy", NULL, "not a list of networks like 192.0.2.0/24" },
	{ "allow_destinations", "0.0.0.0/0 ::/0", "0.0.0.0/0 ::/0", NULL },
	{ "max_size", "64K", "65536", NULL },
	{ "max_size", "65536", "65536", NULL },
	{ "max_size", "65535", NULL, "too small" },
	{ "max_size", "1024G", "1099511627776", NULL },
	{ "max_size", "1099511627776", "1099511627776", NULL },
	{ "max_size", "1099511627777", NULL, "too large" },
	{ "max_size", "1025G", NULL, "too large" },
	{ "max_size", "1099511627776G", NULL, "too large" },
	{ "max_size", "99999999999999999999999", NULL, "too large" },
	{ "max_size", "50m", NULL, "not a size like 50M" },
	{ "max_size", "50MB", NULL, "not a size like 50M" },
	{ "max_size", "50 M", NULL, "not a size like 50M" },
	{ "max_size", "M", NULL, "not a size like 50M" },
	{ "max_size", "-1", NULL, "not a size like 50M" },
	{ "max_size", "0x10000", NULL, "not a size like 50M" },
	{ "max_size", "", NULL, "not a size like 50M" },
	{ "max_recipients", "100", "100", NULL },
	{ "max_recipients", "99", NULL, "too small" },
	{ "max_recipients", "10000", "10000", NULL },
	{ "max_recipients", "10001", NULL, "too large" },
	{ "max_recipients", "1K", NULL, "not a number" },
	{ "max_recipients", "1e3", NULL, "not a number" },
	{ "max_errors", "1", "1", NULL },
	{ "max_errors", "0", NULL, "too small" },
	{ "max_errors", "1000001", NULL, "too large" },
	{ "max_connections", "0", "0", NULL },
	{ "max_connections", "10000", "10000", NULL },
	{ "max_connections", "10001", NULL, "too large" },
	{ "busy_per_source", "0", "0", NULL },
	{ "busy_per_source", "10000", "10000", NULL },
	{ "busy_per_source", "10001", NULL, "too large" },
	{ "max_connections_per_lane", "0", NULL, "too small" },
	{ "max_connections_per_lane", "1000", "1000", NULL },
	{ "max_connections_per_lane", "1001", NULL, "too large" },
	{ "max_connections_per_host", "0", NULL, "too small" },
	{ "max_connections_per_host", "1000", "1000", NULL },
	{ "max_connections_per_host", "1001", NULL, "too large" },
	{ "smtp_port", "0", NULL, "too small" },
	{ "smtp_port", "65535", "65535", NULL },
	{ "smtp_port", "65536", NULL, "too large" },
	{ "mta_sts", "yes", "yes", NULL },
	{ "mta_sts", "no", "no", NULL },
	{ "mta_sts", "on", NULL, "neither yes nor no" },
	{ "mta_sts_port", "0", NULL, "too small" },
	{ "mta_sts_port", "1", "1", NULL },
	{ "mta_sts_port", "65535", "65535", NULL },
	{ "mta_sts_port", "65536", NULL, "too large" },
	{ "timeout_command", "1", "1s", NULL },
	{ "timeout_command", "0", NULL, "too small" },
	{ "timeout_command", "90s", "90s", NULL },
	{ "timeout_command", "1d", "86400s", NULL },
	{ "timeout_command", "24h", "86400s", NULL },
	{ "timeout_command", "1441m", NULL, "too large" },
	{ "timeout_command", "2d", NULL, "too large" },
	{ "timeout_command", "1w", NULL, "not a time like 30s or 5m" },
	{ "timeout_command", "1h30m", NULL, "not a time like 30s or 5m" },
	{ "timeout_command", "soon", NULL, "not a time like 30s or 5m" },
	{ "expire", "365d", "31536000s", NULL },
	{ "expire", "366d", NULL, "too large" },
	{ "nameserver", "", "", NULL },
	{ "nameserver", "192.0.2.53", "192.0.2.53:53", NULL },
	{ "nameserver", "192.0.2.53:5353, [2001:db8::1]:54 2001:db8::2 [::1]",
		"192.0.2.53:5353 [2001:db8::1]:54 [2001:db8::2]:53 [::1]:53", NULL },
	{ "nameserver", "192.0.2.53:65535", "192.0.2.53:65535", NULL },
	{ "nameserver", "192.0.2.53:0", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "192.0.2.53:65536", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "192.0.2.53:", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "[::1", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "[::1]53", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "]", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", ":", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "dns.example", NULL, "not an address, address:port or [address]:port" },
	{ "nameserver", "1.1.1.1 2.2.2.2 3.3.3.3 4.4.4.4 5.5.5.5 6.6.6.6",
		"1.1.1.1:53 2.2.2.2:53 3.3.3.3:53 4.4.4.4:53 5.5.5.5:53 6.6.6.6:53", NULL },
	{ "nameserver", "1.1.1.1 2.2.2.2 3.3.3.3 4.4.4.4 5.5.5.5 6.6.6.6 7.7.7.7", NULL, "too many" },
	{ "retry", "1", "1s", NULL },
	{ "retry", "1m, 5m 1h\t30d", "60s 300s 3600s 2592000s", NULL },
	{ "retry", "31d", NULL, "too large" },
	{ "retry", "0", NULL, "too small" },
	{ "retry", "", NULL, "empty" },
	{ "retry", " , ", NULL, "empty" },
	{ "retry", "1m often", NULL, "not a list of times like 1m 5m 1h" },
	{ "retry", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
		"1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s "
		"1s 1s 1s 1s", NULL },
	{ "retry", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", NULL,
		"too many" },
	{ "runtime", "", NULL, "not an absolute path" },
	{ "tls", "off", "off", NULL },
	{ "tls", "starttls", "starttls", NULL },
	{ "tls", "yes", NULL, "not one of off, starttls, required, implicit" },
	{ "tls_legacy", "yes", "yes", NULL },
	{ "tls_legacy", "no", "no", NULL },
	{ "tls_legacy", "1", NULL, "neither yes nor no" },
	{ "tls_certificate", "/c.pem", "/c.pem", NULL },
	{ "tls_certificate", "", "", NULL },
	{ "tls_certificate", "c.pem", NULL, "not an absolute path" },
	{ "tls_key", "credential:key.pem", "credential:key.pem", NULL },
	{ "tls_key", "credential:a/b", NULL, "not an absolute path" },
	{ "tls_certificate", "/a.pem credential:b", "/a.pem credential:b", NULL }, /* L45 */
	{ "tls_certificate", "/a.pem b.pem", NULL, "not an absolute path" },
	{ "auth_users", "credential:users", "credential:users", NULL },
	{ "spool", "credential:spool", NULL, "not an absolute path" },
	/* S1: a login stands in a route, and nowhere else. */
	{ "delivery_password_file", "/p", NULL, "a login belongs to hosts that you name: it stands in a route" },
	{ "delivery_token_command", "/t", NULL, "a login belongs to hosts that you name: it stands in a route" },
	{ "delivery_auth_clear", "yes", NULL, "a login belongs to hosts that you name: it stands in a route" },
	{ "delivery_user", "us", NULL, "a login belongs to hosts that you name: it stands in a route" },
	{ "tls_key", "environment:KEY", NULL, "not an absolute path" },
	{ "tls_client_ca", "", "", NULL },
	{ "log", "auto", "auto", NULL },
	{ "log", "journal", "journal", NULL },
	{ "log", "syslog", "syslog", NULL },
	{ "log", "stderr", "stderr", NULL },
	{ "log", "none", "none", NULL },
	{ "delivery_tls", "verify", "verify", NULL },
	{ "delivery_tls", "starttls", NULL, "not one of none, may, encrypt, verify" },
	{ "dane", "off", "off", NULL },
	{ "dane", "auto", "auto", NULL },
	{ "dane", "only", "only", NULL },
	{ "dane", "on", NULL, "not one of off, auto, only" },
	{ "dnssec_trusted", "", "", NULL },
	{ "dnssec_trusted", "192.0.2.53 2001:db8::/64", "192.0.2.53/32 2001:db8::/64", NULL },
	{ "dnssec_trusted", "ns.example", NULL, "not a list of networks" },
	{ "delivery_without", "", "", NULL },
	{ "delivery_without", "pipelining, CHUNKING 8bitmime", "pipelining, CHUNKING 8bitmime",
		NULL },
	{ "delivery_without", "size dsn smtputf8 deliverby mt-priority binarymime requiretls",
		"size dsn smtputf8 deliverby mt-priority binarymime requiretls", NULL },
	{ "delivery_without", "starttls", NULL, "not a list of extensions" },
	{ "delivery_without", "pipe", NULL, "not a list of extensions" },
	{ "mx_order", "may", NULL, "neither latency nor random" },
	{ "dkim", "no", "no", NULL },
	{ "dkim", "yes", "yes", NULL },
	{ "dkim", "again", "again", NULL },
	{ "dkim", "always", NULL, "not one of no, yes, again" },
	{ "dkim_missing", "wait", "wait", NULL },
	{ "dkim_missing", "no", NULL, "neither wait nor send" },
	{ "delivery_ca", "", NULL, "not an absolute path" },
	{ "log_format", "postern", "postern", NULL },
	{ "log_format", "postfix", "postfix", NULL },
	{ "log_format", "json", "json", NULL },
	{ "log_format", "JSON", NULL, "not one of postern, postfix, json" },
	{ "log", "Journal", NULL, "not one of auto, journal, syslog, stderr, none" },
	{ "log", "", NULL, "not one of auto, journal, syslog, stderr, none" },
	{ "spool", "/a\x1b[2J", NULL, "holds a control character" }, /* E5 */
};

/* The same value by file, by option and by environment: the same verdict. */
static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *row = &rows[i];
		if (strcmp(row->key, "hostname") == 0 || strcmp(row->key, "relay_path") == 0)
			continue; /* in test_completed */
		char text[512], want[700], env[64];
		struct buf why = buf_new(1000);
		struct conf c;
		snprintf(text, sizeof(text), "# 1\n\n %s = %s \n", row->key, row->value);
		int r = load(&c, span_of(text), NULL, &why);
		if (row->wrong != NULL)
			snprintf(want, sizeof(want), "%s:3: %s: %s", path, row->key, row->wrong);
		else
			snprintf(want, sizeof(want), "%s  # %s:3", row->want, path);
		assert_int_equal(r, row->wrong != NULL ? -EINVAL : 0);
		if (row->wrong != NULL)
			assert_memory_equal(why.p, want, strlen(want));
		else
			assert_string_equal(printed(&c, row->key), want);
		conf_free(&c);

		snprintf(text, sizeof(text), "%s=%s", row->key, row->value);
		r = load(&c, span_of(""), text, &why);
		assert_int_equal(r, row->wrong != NULL ? -EINVAL : 0);
		if (row->wrong != NULL)
			snprintf(want, sizeof(want), "command line: %s: %s", row->key, row->wrong);
		if (row->wrong != NULL)
			assert_memory_equal(why.p, want, strlen(want));
		conf_free(&c);

		snprintf(env, sizeof(env), "POSTERN_%s", row->key);
		for (char *e = env; *e != '\0'; e++)
			*e = *e >= 'a' && *e <= 'z' ? (char)(*e - 'a' + 'A') : *e;
		setenv(env, row->value, 1);
		r = load(&c, span_of(""), NULL, &why);
		unsetenv(env);
		bool set = row->value[0] != '\0'; /* L61: else nobody set it */
		assert_int_equal(r, row->wrong != NULL && set ? -EINVAL : 0);
		conf_free(&c);
		buf_free(&why);
	}
}

/* hostname and relay_path, which the other tests set to be independent of the machine. */
static void
test_completed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char text[512];
		if (strcmp(rows[i].key, "hostname") != 0 && strcmp(rows[i].key, "relay_path") != 0)
			continue;
		struct buf why = buf_new(1000);
		struct conf c;
		snprintf(text, sizeof(text), "%s=%s", rows[i].key, rows[i].value);
		int r = load(&c, span_of(""), text, &why);
		assert_int_equal(r, rows[i].wrong != NULL ? -EINVAL : 0);
		if (r == 0)
			assert_string_equal(c.who.hostname, rows[i].value);
		conf_free(&c);
		buf_free(&why);
	}
	struct buf why = buf_new(1000);
	struct conf c = { 0 };
	const char *options[] = { "hostname=h.example" };
	struct conf_args args = { .file = path, .options = options, .n = 1 };
	assert_int_equal(conf_load(&c, &args, &from, &why), 0);
	assert_string_equal(c.who.postmaster, "postmaster@h.example");
	assert_int_equal(c.who.relay_path[0], '/');
	assert_string_equal(strrchr(c.who.relay_path, '/'), "/relay");
	assert_string_equal(printed(&c, "max_size"), "52428800  # default");
	conf_free(&c);
	buf_free(&why);
}

#define LONG_LINE 4096

static const struct {
	const char *name;
	struct span text;
	const char *wrong; /* behind "path:", or NULL */
} files[] = {
#define FILE_ROW(name, text, wrong) { name, { text, sizeof(text) - 1 }, wrong },
	FILE_ROW("empty", "", NULL)
	FILE_ROW("comments", "#max_size = x\n  # user = \n\t#\nmax_size = 1M # max_size = x\n", NULL)
	FILE_ROW("# inside a word is no comment", "spool = /a#b\n", NULL)
	FILE_ROW("a # of its own is one", "spool = # /a\n", "1: spool: not an absolute path: \"\"")
	FILE_ROW("no newline at the end", "max_size = 1M", NULL)
	FILE_ROW("no blanks", "max_size=1M\n", NULL)
	FILE_ROW("name in capitals", "MAX_SIZE = 1M\n", NULL)
	FILE_ROW("a second =", "spool = /a=b\n", NULL)
	FILE_ROW("unknown key", "\nmax_sise = 1M\n", "2: max_sise: unknown key")
	/* of an older version: what is meant is said, and nothing guessed */
	FILE_ROW("old key", "max_relays = 20\n", "1: max_relays: unknown key; see max_connections")
	FILE_ROW("old key of a lane", "max_relays_per_lane = 5\n",
		"1: max_relays_per_lane: unknown key; it is max_connections_per_lane now")
	FILE_ROW("no key", "= 1M\n", "1: : unknown key")
	FILE_ROW("no =", "max_size 1M\n", "1: max_size 1M: not \"key = value\"")
	FILE_ROW("twice", "max_size = 1M\n\nMax_Size = 2M\n", "3: max_size: set before at ")
	FILE_ROW("NUL in a value", "user = a\0b\n", "1: user: holds a control character: \"a\\x00b\"")
	FILE_ROW("NUL in a line", "\0\n", "1: \\x00: not \"key = value\"")
	/* L63: files of Windows */
	FILE_ROW("CRLF", "user = mail\r\n# comment\r\n\r\nmax_size = 1M # x\r\n[own]\r\n", NULL)
	FILE_ROW("CRLF, and a cut last line", "user = mail\r", NULL)
	FILE_ROW("a mark", "\xef\xbb\xbfuser = mail\r\n", NULL)
	FILE_ROW("a mark and a section", "\xef\xbb\xbf[route r]\r\ndomains = *\r\nhosts = h.example\r\n", NULL)
	FILE_ROW("a mark alone", "\xef\xbb\xbf", NULL)
	FILE_ROW("a second mark", "\n\xef\xbb\xbfuser = mail\n", "2: \\xef\\xbb\\xbfuser: unknown key")
	FILE_ROW("CR alone", "# comment\ruser = mail\r", "1: # comment\\x0duser = mai: a CR that ends no line")
	FILE_ROW("CR alone in a value", "user = a\rb\n", "1: user = a\\x0db: a CR that ends no line")
	FILE_ROW("CR CR LF", "user = a\r\r\n", "1: user = a\\x0d: a CR that ends no line")
	FILE_ROW("8 bit", "user = \xc3\xa9\n", NULL)
	FILE_ROW("8 bit key", "\xc3\xa9 = 1\n", "1: \\xc3\\xa9: unknown key")
#undef FILE_ROW
};

static void
check_file(const char *name, struct span text, const char *wrong)
{
	char want[256];
	struct buf why = buf_new(4000);
	struct conf c;
	int r = load(&c, text, NULL, &why);
	snprintf(want, sizeof(want), "%s:%s", path, wrong != NULL ? wrong : "");
	bool same = wrong == NULL ? r == 0 && why.n == 0
				  : r == -EINVAL && why.n >= strlen(want) &&
			memcmp(why.p, want, strlen(want)) == 0;
	if (!same)
		fail_msg("%s: %d %.*s", name, r, (int)why.n, why.p);
	assert_true(why.n == 0 || memchr(why.p, '\n', why.n) == NULL); /* one line */
	conf_free(&c);
	buf_free(&why);
}

static void
test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(files); i++)
		check_file(files[i].name, files[i].text, files[i].wrong);

	static char text[64 * 1024 + 1];
	memset(text, '#', sizeof(text));
	check_file("line at the limit", (struct span){ text, LONG_LINE }, NULL);
	check_file("line too long", (struct span){ text, LONG_LINE + 1 },
		"1: ####################: line too long");
	for (size_t i = 1; i < sizeof(text); i += 2)
		text[i] = '\n';
	check_file("64 KiB", (struct span){ text, sizeof(text) - 1 }, NULL);
	check_file("more", (struct span){ text, sizeof(text) }, " larger than 64 KiB"); /* K13 */
}

/* Keys that contradict each other; a NULL: they do not. */
static const struct {
	const char *file, *wrong;
} together[] = {
	{ "tls = off\n", NULL },
	{ "tls = starttls\n", NULL },
	{ "tls = required\n", "tls: needs tls_certificate" },
	{ "tls = implicit\n", "tls: needs tls_certificate" },
	{ "tls = required\ntls_certificate = /c.pem\n", NULL },
	{ "tls_certificate = /a /b\ntls_key = /a\n", "tls_key: needs as many files as tls_certificate has" },
	{ "tls_certificate = /a\ntls_key = /a /b\n", "tls_key: needs as many files as tls_certificate has" },
	{ "tls_certificate = /a /b\ntls_key = /c /d\n", NULL },
	{ "tls_certificate = /a /b\n", NULL },
	{ "tls_key = /a\n", NULL },
	{ "dane = only\n", NULL },
	{ "dane = only\ndelivery_tls = verify\n", NULL },
	{ "dane = auto\ndelivery_tls = none\n", NULL },
	{ "dane = only\ndelivery_tls = none\n", "dane: only needs TLS, and delivery_tls is none" },
	{ "dane = only\n[route r]\ndomains = *\nhosts = h.example:25\ndelivery_tls = none\n",
		"dane: only needs TLS" },
	{ "delivery_tls = none\n[route r]\ndomains = *\nhosts = h.example:25\ndane = only\n",
		"dane: only needs TLS" },
	{ "delivery_tls = none\n[route r]\ndomains = *\nhosts = h.example:25\ndane = only\n"
		"delivery_tls = encrypt\n", NULL },
	{ "auth_dovecot = /d\nauth_saslauthd = /s\n", "auth_dovecot: is for hosts without" },
	{ "force_from = \xc3\xa4@b.example\n", "force_from: is beyond ASCII" },
	{ "force_from = a@b.example\n", NULL },
	{ "[route guard]\ndomains = a.example\nhosts = b.example\n",
		"guard: is where guard = sink has its mail" },
	{ "[route guards]\ndomains = a.example\nhosts = b.example\n", NULL },
	/* L48: mail for these would wait for ever */
	{ "[route r]\ndomains = *\nhosts = b.example 0.0.0.0:25\n", "hosts: no host can be reached" },
	{ "[route r]\ndomains = *\nhosts = [::]:25\n", "hosts: no host can be reached" },
	{ "[route r]\ndomains = *\nhosts = 224.0.0.1\n", "hosts: no host can be reached" },
	{ "[route r]\ndomains = *\nhosts = [fe80::1]:25\n", "hosts: no host can be reached" },
	{ "[route r]\ndomains = *\nhosts = 169.254.1.1 10.0.0.1:25 ::1\n", NULL },
	{ "auth_dovecot = /d\n", NULL },
	{ "relay_nets = 0.0.0.0/0\n", "relay_nets: makes an open relay" }, /* H6 */
	{ "relay_nets = 10.0.0.0/7\n", "relay_nets: makes an open relay" },
	{ "relay_nets = 10.0.0.0/8\n", NULL },
	{ "relay_nets = ::/0\n", "relay_nets: makes an open relay" },
	{ "relay_nets = 2000::/15\n", "relay_nets: makes an open relay" },
	{ "relay_nets = 2001::/16\n", NULL },
	{ "relay_nets = 192.0.2.0/24 ::/1\n", "relay_nets: makes an open relay" },
	/* L65: wide, but nobody's on the Internet */
	{ "relay_nets = fe80::/10 fc00::/7 fd00::/8 fec0::/10\n", NULL },
	{ "relay_nets = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128\n", NULL }, /* Debian's Postfix */
	{ "relay_nets = 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10\n", NULL },
	{ "relay_nets = fc00::/6\n", "relay_nets: makes an open relay" },
	{ "relay_nets = ::ffff:0.0.0.0/96\n", "relay_nets: makes an open relay" },
	{ "relay_nets = 64:ff9b::/96\n", "relay_nets: makes an open relay" }, /* all of IPv4 */
	{ "relay_nets = 2002::/16\n", "relay_nets: makes an open relay" },
	{ "relay_nets = 2002:a00::/24 64:ff9b::a00:0/104\n", NULL },
	{ "relay_nets = ::/0\nopen_relay = yes\n", NULL },
};

static void
test_together(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(together); i++) {
		struct buf why = buf_new(1000);
		struct conf c;
		int r = load(&c, span_of(together[i].file), NULL, &why);
		const char *wrong = together[i].wrong;
		if ((r < 0) != (wrong != NULL) ||
			(wrong != NULL && memmem(why.p, why.n, wrong, strlen(wrong)) == NULL))
			fail_msg("%s: %.*s", together[i].file, (int)why.n, why.p);
		conf_free(&c);
		buf_free(&why);
	}
}

/* What works, but is not what anybody would want. */
static void
test_doubts(void **state)
{
	(void)state;
	static const struct {
		const char *file, *doubt;
	} doubts[] = {
		{ "proxy_nets = 0.0.0.0/0\nrelay_nets = 10.0.0.0/8\n", "proxy_nets is as wide as the world" },
		{ "proxy_nets = ::/0\nrelay_nets = 10.0.0.0/8\n", "proxy_nets is as wide as the world" },
		{ "proxy_nets = 0.0.0.0/0\n", "" },
		{ "proxy_nets = 10.0.0.0/8 fc00::/7 unix:*\nrelay_nets = 10.0.0.0/8\n", "" },
	};
	for (size_t i = 0; i < ROWS(doubts); i++) {
		struct buf why = buf_new(1000);
		struct conf c;
		assert_int_equal(load(&c, span_of(doubts[i].file), NULL, &why), 0);
		assert_int_equal(c.doubts.n > 0, doubts[i].doubt[0] != '\0');
		assert_true(span_starts(buf_span(&c.doubts), span_of(doubts[i].doubt)));
		conf_free(&c);
		buf_free(&why);
	}
}

static void
test_missing(void **state)
{
	(void)state;
	static const char *const bad[] = { "/tmp/postern-no-such-file", "/tmp" };
	static const char *const wrong[] = { "No such file or directory", "Is a directory" };
	for (size_t i = 0; i < ROWS(bad); i++) {
		char want[200];
		struct buf why = buf_new(1000);
		struct conf c = { 0 };
		struct conf_args args = { .file = bad[i], .options = lines_that_complete, .n = 2 };
		snprintf(want, sizeof(want), "%s: %s", bad[i], wrong[i]);
		assert_int_equal(conf_load(&c, &args, &from, &why), -EINVAL);
		assert_true(span_eq(buf_span(&why), span_of(want)));
		conf_free(&c);
		buf_free(&why);
	}
}

/* What is printed can be read again, and says the same. */
static void
test_print(void **state)
{
	(void)state;
	struct buf why = buf_new(1000);
	struct conf c, again;
	char *text = NULL, *text2 = NULL;
	size_t n = 0, n2 = 0;
	assert_int_equal(load(&c, span_of("relay_nets = 10.0.0.0/8\nnameserver = [::1]:54\n"), NULL,
		&why), 0);
	FILE *f = open_memstream(&text, &n);
	conf_print(&c, &from, f);
	fclose(f);
	assert_int_equal(load(&again, (struct span){ text, n }, NULL, &why), 0);
	assert_int_equal(again.relay.nameserver.n, 1);
	f = open_memstream(&text2, &n2);
	conf_print(&again, &from, f);
	fclose(f);
	char *a = text, *b = text2;
	while (*a != '\0') { /* line by line, without the origins */
		size_t la = strcspn(a, "#"), lb = strcspn(b, "#");
		assert_int_equal(la, lb);
		assert_memory_equal(a, b, la);
		a += strcspn(a, "\n") + 1;
		b += strcspn(b, "\n") + 1;
	}
	free(text);
	free(text2);
	conf_free(&c);
	conf_free(&again);
	buf_free(&why);
}

/* The shipped example is all defaults. */
static void
test_example(void **state)
{
	(void)state;
	struct buf why = buf_new(1000);
	struct conf c = { 0 };
	struct conf_args args = { .file = "units/postern.conf", .options = lines_that_complete, .n = 2 };
	if (access(args.file, R_OK) < 0)
		skip();
	assert_int_equal(conf_load(&c, &args, &from, &why), 0);
	conf_free(&c);
	buf_free(&why);
}

/* What is said of a path stands in a line, or nobody would hear what is wrong. */
static void
test_long_paths(void **state)
{
	(void)state;
	static const char *const names[] = { "spool", "runtime", "recipient_map", "auth_users" };
	for (size_t i = 0; i < ROWS(names); i++)
		for (int n = 900; n <= 901; n++) {
			struct conf c;
			struct buf why = buf_new(1000);
			char line[1000];
			int named = snprintf(line, sizeof(line), "%s=/", names[i]);
			memset(line + named, 'a', (size_t)n - 1);
			line[named + n - 1] = '\0';
			assert_int_equal(load(&c, span_of(""), line, &why), n > 900 ? -EINVAL : 0);
			assert_int_equal(n > 900, why.n > 0 &&
				memmem(why.p, why.n, ": longer than 900 octets: ", 26) != NULL);
			conf_free(&c);
			buf_free(&why);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_completed),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_example),
	};
	return cmocka_run_group_tests_name("conf", tests, make_file, remove_file);
}

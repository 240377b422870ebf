/*
 * Where values come from, in order: defaults, the file's common part, a profile's presets and
 * section, the environment, the command line, the machine. The file is read at each connection, so
 * it is read once, whole, and small.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/credential.h"
#include "conf/guard.h"
#include "conf/hostname.h"
#include "conf/keys.h"
#include "conf/nameserver.h"
#include "conf/target.h"
#include "conf/value.h"
#include "lib/cleanup.h"
#include "lib/self.h"
#include "mail/address.h"

extern char **environ;

enum {
	FILE_MAX = 64 * 1024,
	LINE_LIMIT = 4096,
	DOUBTS_MAX = 3 * 1024, /* octets of all of them: each is a line of the log */
	DOUBT_WORDS = 200,
	NAME_SHOWN = 100,
};
_Static_assert((int)FILE_MAX <= UINT16_MAX + 1, "struct route keeps numbers of lines in 16 bits");

/* What works, though somebody ought to look at it, for the operator to hear (conf.h). */
static void __attribute__((format(printf, 2, 3)))
doubt(struct setting *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&s->c->doubts, fmt, ap);
	va_end(ap);
	buf_puts(&s->c->doubts, "\n");
}

/* ---- the file ----------------------------------------------------------------------------- */

/* Without what stands behind a "#" at the start or after white space. */
static struct span
without_comment(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '#' && (i == 0 || line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
			line.n = i;
	return span_trim(line);
}

/* Where in the file we are, and for whom it is read. */
struct reading {
	struct setting set;
	const char *profile;      /* NULL: none */
	bool common;              /* before the first section */
	bool ours;                /* in a part that concerns us: the common one, or our profile's */
	bool known;               /* the profile is one: it has presets or a section */
	bool seen[CONF_KEYS_MAX]; /* keys of this part */
	struct route *route;      /* whose section this is, or NULL */
	int route_line;           /* where it began */
};

static int
set_again(struct reading *r, int key, struct conf_origin before, struct conf_origin at)
{
	auto_buf again = buf_new(LINE_LIMIT);
	buf_printf(&again, before.line != 0 ? "set before at %s:%d" : "set before at %s",
		before.where, before.line);
	buf_add(&again, (struct span){ "", 1 });
	return conf_complain(r->set.why, at, span_of(conf_name(key)), again.p, (struct span){ 0 });
}

/* What a profile is without a word in the file. */
static const struct preset {
	const char *profile, *pair;
} presets[] = {
	{ "smtp", NULL },
	{ "postern", NULL },               /* the unit without a name of its own */
	{ "submission", "tls=required" },  /* RFC 6409, RFC 8314 */
	{ "submissions", "tls=implicit" },
	{ "lan", "tls_legacy=yes" },       /* printers and cameras */
	{ "local", "local_users=yes" },    /* a UNIX socket, for sendmail */
	{ "local", "relay_local=yes" },    /* who else is on loopback does not matter there */
	{ "local", "tls=off" },            /* no network lies between */
};

/* The common part is over. */
static int
apply_presets(struct reading *r)
{
	r->common = false;
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]) && r->profile != NULL; i++) {
		if (strcmp(r->profile, presets[i].profile) != 0)
			continue;
		r->known = true;
		int err = presets[i].pair == NULL
			? 0 : conf_set_pair(&r->set, span_of(presets[i].pair),
				(struct conf_origin){ r->profile, 0 });
		if (err < 0)
			return err;
	}
	return 0;
}

/* The section that ends here says what a route needs. */
static int
end_route(struct reading *r)
{
	const struct route *route = r->route;
	const char *wrong = NULL;
	r->route = NULL;
	if (route == NULL)
		return 0;
	if (route->delivery.hosts == NULL || route->delivery.hosts[0] == '\0')
		wrong = "has no hosts";
	else if (route->domains == NULL && route->senders == NULL)
		wrong = "has neither domains nor senders";
	else if (route->delivery.protocol == PROTOCOL_LMTP &&
		 !target_all_have_ports(route->delivery.hosts))
		wrong = "LMTP needs hosts with ports, or sockets";
	else if (route->delivery.user != NULL && !target_all_named(route->delivery.hosts))
		wrong = "a login needs hosts that are named (mail.example.net:587): whose mail "
			"exchanger a host is says the DNS";
	if (wrong == NULL)
		return 0;
	return conf_complain(r->set.why, (struct conf_origin){ r->set.from->file, r->route_line },
		span_of(route->name), wrong, (struct span){ 0 });
}

/* "[route NAME]": what follows is where some mail goes. */
static int
begin_route(struct reading *r, struct span name, struct conf_origin at)
{
	struct route **end = &r->set.c->routes;
	if (span_ieq(name, span_of(GUARD_ROUTE)))
		return conf_complain(r->set.why, at, name, "is where guard = sink has its mail",
			(struct span){ 0 });
	if (name.n > ROUTE_NAME || !address_is_domain(name))
		return conf_complain(r->set.why, at, name, "not a name for a route",
			(struct span){ 0 });
	for (; *end != NULL; end = &(*end)->next)
		if (span_ieq(name, span_of((*end)->name)))
			return conf_complain(r->set.why, at, name, "there is a route of this name",
				(struct span){ 0 });
	r->route = *end = calloc(1, sizeof(**end));
	if (r->route == NULL)
		return conf_complain(r->set.why, at, name, "out of memory", (struct span){ 0 });
	for (size_t i = 0; i < name.n; i++)
		r->route->name[i] = ascii_lower(name.p[i]);
	r->route_line = at.line;
	return 0;
}

static int
set_route_line(struct reading *r, struct span line, int key, struct conf_origin at)
{
	if (key >= 0 && r->route->line[key] != 0)
		return set_again(r, key, (struct conf_origin){ at.where, r->route->line[key] }, at);
	return conf_set_route(&r->set, r->route, line, at);
}

/* "[name]": what follows is for listeners of that profile. */
static int
begin_section(struct reading *r, struct span line, struct conf_origin at)
{
	static const struct span route = { "route ", 6 };
	struct span name = { line.p + 1, line.n > 2 ? line.n - 2 : 0 };
	int err = end_route(r);
	if (err == 0 && r->common)
		err = apply_presets(r);
	if (err < 0)
		return err;
	if (line.p[line.n - 1] == ']' && span_istarts(name, route))
		return begin_route(r, span_trim(span_skip(name, route.n)), at);
	if (line.p[line.n - 1] != ']' || name.n == 0 || !address_is_domain(name))
		return conf_complain(r->set.why, at, line,
			"neither \"[profile]\" nor \"[route NAME]\"", (struct span){ 0 });
	r->ours = r->profile != NULL && span_eq(name, span_of(r->profile));
	r->known = r->known || r->ours;
	memset(r->seen, 0, sizeof(r->seen));
	return 0;
}

/* As much of a line as says which one it is. */
static struct span
beginning(struct span line)
{
	enum { ENOUGH = 20 };
	return (struct span){ line.p, line.n < ENOUGH ? line.n : ENOUGH };
}

static int
set_line(struct reading *r, struct span line, struct conf_origin at)
{
	if (line.n > LINE_LIMIT)
		return conf_complain(r->set.why, at, beginning(line), "line too long",
			(struct span){ 0 });
	if (span_has_stray_cr(line))
		return conf_complain(r->set.why, at, beginning(line), "a CR that ends no line",
			(struct span){ 0 });
	line = without_comment(line);
	if (line.n == 0)
		return 0;
	if (line.p[0] == '[')
		return begin_section(r, line, at);
	const char *eq = memchr(line.p, '=', line.n);
	int i = eq != NULL ? conf_find(span_trim(span_from(line.p, eq))) : -1;
	if (r->route != NULL)
		return set_route_line(r, line, i, at);
	if (i >= 0 && r->ours && r->seen[i])
		return set_again(r, i, r->set.from->of[i], at);
	if (i >= 0 && !r->ours) /* another profile's: its values are its own matter */
		return 0;
	if (i >= 0)
		r->seen[i] = true;
	return conf_set_pair(&r->set, line, at);
}

static int
load_file(struct reading *r, const char *path, bool needed)
{
	static char text[FILE_MAX + 1]; /* the stack may be as small as this (K8) */
	auto_fd fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC); /* musl's open asks twice */
	if (fd < 0 && errno == ENOENT && !needed)
		return 0;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0 || n > FILE_MAX) {
		buf_printf(r->set.why, "%s: %s", path,
			n < 0 ? strerror(errno) : "larger than 64 KiB");
		return -EINVAL;
	}
	r->set.from->file = path;
	struct span rest = span_without_mark((struct span){ text, (size_t)n });
	for (int number = 1; rest.n > 0; number++) {
		int err = set_line(r, span_line(&rest), (struct conf_origin){ path, number });
		if (err < 0)
			return err;
	}
	return end_route(r);
}

/* ---- the environment ------------------------------------------------------------------------ */

static const char environment[] = "environment";

/* Lists of variables are read by shells, and by docker, which keeps quotes. No value has any. */
static struct span
unquoted(struct span value)
{
	bool both = value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
		value.p[value.n - 1] == value.p[0];
	return both ? span_trim((struct span){ value.p + 1, value.n - 2 }) : value;
}

/*
 * A value as it was meant: secrets and lists of variables come with ends of lines, from Windows
 * with CRs and a mark. Nothing is left of a template that had nothing to fill in.
 */
static struct span
plain(struct span value)
{
	return unquoted(span_trim(span_chomp(span_without_mark(value))));
}

/* What Kubernetes and Docker say of a port: POSTERN_SMTP_PORT, of a service called postern-smtp. */
static bool
is_link(struct span value)
{
	static const struct span links[] = { { "tcp://", 6 }, { "udp://", 6 }, { "sctp://", 7 } };
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (span_starts(value, links[i]))
			return true;
	return false;
}

/*
 * What the file holds that a variable names: for secrets that are mounted, which then stand in no
 * environment. Several lines are no value.
 */
static int
load_named_file(struct setting *s, int key, struct span named)
{
	static const struct conf_origin at = { "file named in the environment", 0 };
	struct span name = span_of(conf_name(key));
	char text[LINE_LIMIT + 1], path[PATH_MAX];
	snprintf(path, sizeof(path), "%.*s", (int)named.n, named.p);
	auto_fd fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0)
		return conf_complain(s->why, at, name, strerror(errno), named);
	if (n > LINE_LIMIT)
		return conf_complain(s->why, at, name, "line too long", named);
	if (s->from->of[key].where == environment)
		return conf_complain(s->why, at, name, "the variable is set, too", named);
	struct span value = plain((struct span){ text, (size_t)n });
	return value.n > 0 ? conf_set(s, name, value, at) : 0;
}

/* The key of a name that ends with "_FILE" and is none itself; -1: there is none. */
static int
find_key_of_file(struct span name)
{
	static const struct span end = { "_FILE", 5 };
	if (conf_find(name) >= 0 || name.n <= end.n ||
		!span_eq(span_skip(name, name.n - end.n), end))
		return -1;
	return conf_find((struct span){ name.p, name.n - end.n });
}

/*
 * Others have variables of these names too: Kubernetes sets POSTERN_PORT and more for a service
 * that is called postern. So what is no key is told, and no error as it is in the file.
 */
static int
load_variable(struct setting *s, struct span variable, bool from_files, struct buf *unknown)
{
	struct span value = variable, name = span_cut(&value, '=');
	value = plain(value);
	if (value.n == 0)
		return 0;
	int file = find_key_of_file(name);
	if (file >= 0) /* behind all others, so that it does not matter which came first */
		return from_files ? load_named_file(s, file, value) : 0;
	if (from_files)
		return 0;
	if (conf_find(name) >= 0 && !is_link(value))
		return conf_set(s, name, value, (struct conf_origin){ environment, 0 });
	buf_puts(unknown, unknown->n > 0 ? ", POSTERN_" : "POSTERN_");
	buf_escape(unknown, name, NAME_SHOWN);
	return 0;
}

static int
load_variables(struct setting *s, bool from_files, struct buf *unknown)
{
	static const struct span prefix = { "POSTERN_", 8 }, secret = { CREDENTIAL_VARIABLE,
		sizeof(CREDENTIAL_VARIABLE) - 1 };
	int r = 0;
	for (char **e = environ; *e != NULL && r == 0; e++) {
		if (strncmp(*e, prefix.p, prefix.n) != 0)
			continue;
		struct span var = span_of(*e + prefix.n);
		if (!span_starts(var, secret))
			r = load_variable(s, var, from_files, unknown);
	}
	return r;
}

/*
 * Has this process the rights of somebody else than whoever started it, who made the environment? A
 * program that is set-id calls sendmail so. (AT_SECURE says more than that: also of a service that
 * SELinux gives its domain, whose environment is its manager's.)
 */
static bool
is_set_id(void)
{
	return getuid() != geteuid() || getgid() != getegid();
}

/* What programs that are started from here would take for settings, too. */
static void
forget_environment(void)
{
	static const char *const ours[] = { "POSTERN_", CREDENTIAL_DIRECTORY };
	char **to = environ;
	for (char **e = environ; *e != NULL; e++) {
		bool forget = false;
		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			forget = forget || strncmp(*e, ours[i], strlen(ours[i])) == 0;
		if (!forget)
			*to++ = *e;
	}
	*to = NULL;
}

static int
load_environment(struct setting *s)
{
	if (is_set_id()) {
		forget_environment();
		return 0;
	}
	auto_buf unknown = buf_new(DOUBTS_MAX - DOUBT_WORDS);
	int r = load_variables(s, false, &unknown);
	if (r == 0)
		r = load_variables(s, true, &unknown);
	if (unknown.n > 0)
		doubt(s, "the environment has what is no key and is not looked at: %.*s%s",
			(int)unknown.n, unknown.p, unknown.err != 0 ? ", and more" : "");
	return r;
}

/* ---- the machine, and all together ----------------------------------------------------------- */

/*
 * The other programs lie beside this one; but those that people call are in a directory "bin" or
 * "sbin", and then the others may be in libexec/postern beside that. *n is what of `self` the path
 * begins with.
 */
static const char *
where_others_are(const char *self, int *n)
{
	const char *slash = strrchr(self, '/'), *before = slash;
	if (slash == NULL)
		return NULL;
	while (before > self && before[-1] != '/')
		before--;
	struct span directory = span_from(before, slash);
	bool called = span_eq(directory, span_of("bin")) || span_eq(directory, span_of("sbin"));
	if (called) { /* a session's smtpd is in no such directory, and so need not look */
		char beside[PATH_MAX];
		snprintf(beside, sizeof(beside), "%.*s/relay", (int)(slash - self), self);
		called = access(beside, X_OK) < 0;
	}
	*n = (int)((called ? before : slash + 1) - self);
	return called ? "libexec/postern/" : "";
}

/* Those, where nothing else was said. */
static int
complete_paths(struct conf *c)
{
	const struct {
		char **path;
		const char *program;
	} paths[] = { { &c->who.relay_path, "relay" }, { &c->who.tls_path, "tls" },
		{ &c->who.auth_path, "auth" }, { &c->who.sign_path, "sign" },
		{ &c->who.fetch_path, "fetch" },
		{ &c->who.tlsreport_path, "postern-tlsreport" } };
	char self[PATH_MAX];
	int n = 0;
	const char *where = self_path(self) == 0 ? where_others_are(self, &n) : NULL;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (*paths[i].path != NULL)
			continue;
		if (where == NULL)
			return -ENOENT;
		if (asprintf(paths[i].path, "%.*s%s%s", n, self, where, paths[i].program) < 0)
			return -ENOMEM;
	}
	return 0;
}

/*
 * Wider than any one owner has (a /8 of IPv4, a /16 of IPv6), and no network of private addresses:
 * whoever is in there may send anywhere, so that is half of the world's spam or a slip of the pen.
 */
static bool
is_world(const struct netlist *l)
{
	enum { WIDEST_V4 = 8, WIDEST_V6 = 16 };
	for (size_t i = 0; i < l->n; i++) {
		int v4 = netblock_v4_bits(&l->v[i]);
		bool wide = v4 >= 0 ? v4 < WIDEST_V4 : l->v[i].bits < WIDEST_V6;
		if (wide && !netblock_is_private(&l->v[i]))
			return true;
	}
	return false;
}

static int
complain_of(struct setting *s, const char *name, const char *wrong)
{
	struct span key = span_of(name);
	return conf_complain(s->why, s->from->of[conf_find(key)], key, wrong, (struct span){ 0 });
}

/* A proxy may say that its client is anywhere, in relay_nets too. */
static void
check_proxies(struct setting *s)
{
	const struct conf_receive *c = &s->c->receive;
	if (is_world(&c->proxies.nets) && c->relay_nets.n > 0)
		doubt(s, "proxy_nets is as wide as the world: whoever is in it may say to be in "
			"relay_nets, and send anywhere");
}

/* Certificates without TLS: of all mail, or of a route's. */
static bool
wants_dane_in_clear(const struct conf *c)
{
	struct conf_delivery d = c->delivery;
	const struct route *r = c->routes;
	while (!(d.dane == CONF_DANE_ONLY && d.tls == DELIVERY_TLS_NONE)) {
		if (r == NULL)
			return false;
		conf_delivery_of(&d, c, r);
		r = r->next;
	}
	return true;
}

/* Keys that contradict each other. */
static int
check_together(struct setting *s)
{
	const struct conf *c = s->c;
	if (is_world(&c->receive.relay_nets) && c->receive.open_relay == CONF_NO)
		return complain_of(s, "relay_nets",
			"makes an open relay; open_relay = yes if that is meant");
	if (!CONF_HAS_TLS && c->tls.certificate != NULL)
		return complain_of(s, "tls_certificate", VALUE_NO_TLS);
	if (!CONF_HAS_TLS && c->delivery.tls_implicit == CONF_YES)
		return complain_of(s, "delivery_tls_implicit", VALUE_NO_TLS);
	if (!CONF_HAS_FETCH && c->relay.mta_sts == CONF_YES)
		return complain_of(s, "mta_sts", VALUE_NO_STS);
	if (!CONF_HAS_TLS && c->tls_reports.on == CONF_YES)
		return complain_of(s, "tls_reports", VALUE_NO_TLS);
	if (wants_dane_in_clear(c))
		return complain_of(s, "dane", "only needs TLS, and delivery_tls is none");
	if (c->tls.key != NULL && c->tls.certificate != NULL &&
		span_words(span_of(c->tls.key)) != span_words(span_of(c->tls.certificate)))
		return complain_of(s, "tls_key", "needs as many files as tls_certificate has");
	bool needed = c->tls.mode == TLS_REQUIRED || c->tls.mode == TLS_IMPLICIT;
	if (c->tls.certificate == NULL && needed)
		return complain_of(s, "tls", "needs tls_certificate");
	if (c->submission.force_from != NULL && !span_is_ascii(span_of(c->submission.force_from)))
		return complain_of(s, "force_from", "is beyond ASCII, which few hosts take");
	if (c->tls_reports.from != NULL && !span_is_ascii(span_of(c->tls_reports.from)))
		return complain_of(s, "tls_reports_from", "is beyond ASCII, which few hosts take");
	if (c->auth.dovecot != NULL && c->auth.saslauthd != NULL)
		return complain_of(s, "auth_dovecot", "is for hosts without auth_saslauthd");
	return 0;
}

/* Nobody wrote this, so nothing about it is an error. */
static int
complete_hostname(struct setting *s)
{
	char name[HOSTNAME_SIZE];
	auto_buf wrong = buf_new(LINE_LIMIT);
	hostname_default(name, &wrong);
	if (wrong.n > 0)
		doubt(s, "%.*s", (int)wrong.n, wrong.p);
	s->c->who.hostname = strdup(name);
	s->from->of[conf_find(span_of("hostname"))] = (struct conf_origin){
		name[0] == '[' ? "an address of this host" : "the system's host name", 0 };
	return s->c->who.hostname != NULL ? 0 : -ENOMEM;
}

/* Defaults that depend on the machine or on other keys. */
static int
complete(struct setting *s)
{
	struct conf *c = s->c;
	if (c->who.hostname == NULL && complete_hostname(s) < 0)
		return complain_of(s, "hostname", "out of memory");
	if (complete_paths(c) < 0) {
		buf_puts(s->why, "relay_path: not set, and this program does not know where it is");
		return -EINVAL;
	}
	if (c->tls.key == NULL && c->tls.certificate != NULL) {
		c->tls.key = strdup(c->tls.certificate);
		if (c->tls.key == NULL)
			return complain_of(s, "tls_key", "out of memory");
	}
	c->who.no_postmaster = c->who.postmaster == NULL;
	if (c->who.no_postmaster &&
		asprintf(&c->who.postmaster, "postmaster@%s", c->who.hostname) < 0) {
		c->who.postmaster = NULL;
		return complain_of(s, "postmaster", "out of memory");
	}
	if (c->tls_reports.from == NULL &&
		asprintf(&c->tls_reports.from, "postmaster@%s", c->who.hostname) < 0) {
		c->tls_reports.from = NULL;
		return complain_of(s, "tls_reports_from", "out of memory");
	}
	return 0;
}

/* All that was written: the file, the environment, the command line. */
static int
load_all(struct reading *r, const struct conf_args *args)
{
	const char *file = args->file != NULL ? args->file : CONF_FILE;
	int err = load_file(r, file, args->file != NULL);
	if (err == 0 && r->common)
		err = apply_presets(r);
	if (err == 0 && args->profile != NULL && !r->known)
		err = conf_complain(r->set.why, (struct conf_origin){ "command line", 0 },
			span_of(args->profile), "no such profile", (struct span){ 0 });
	if (err == 0)
		err = load_environment(&r->set);
	for (int i = 0; i < args->n && err == 0; i++)
		err = conf_set_pair(&r->set, span_chomp(span_of(args->options[i])),
			(struct conf_origin){ "command line", 0 });
	return err;
}

int
conf_load(struct conf *c, const struct conf_args *args, struct conf_origins *from, struct buf *why)
{
	struct conf_origins ours = { 0 };
	struct reading r = { .set = { c, from != NULL ? from : &ours, why },
		.profile = args->profile, .common = true, .ours = true };
	c->doubts = buf_new(DOUBTS_MAX);
	int err = conf_set_defaults(&r.set);
	if (err == 0)
		err = load_all(&r, args);
	if (err == 0)
		err = check_together(&r.set);
	if (err == 0)
		check_proxies(&r.set);
	return err == 0 ? complete(&r.set) : err;
}

int
conf_find_nameservers(struct conf *c, struct conf_origins *from, struct buf *odd)
{
	if (c->relay.nameserver.n > 0)
		return 0;
	if (from != NULL)
		from->of[conf_find(span_of("nameserver"))] =
			(struct conf_origin){ CONF_RESOLVER, 0 };
	return nameserver_read(CONF_RESOLVER, &c->relay.nameserver, odd);
}

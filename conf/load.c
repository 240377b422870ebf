/*
 * Where values come from, in order: defaults, the file's common part, a profile's presets and
 * section, the environment, the command line, the machine. The file is read at each connection, so
 * it is small, and looked at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/environment.h"
#include "conf/guard.h"
#include "conf/hostname.h"
#include "conf/keys.h"
#include "conf/nameserver.h"
#include "conf/programs.h"
#include "conf/target.h"
#include "conf/together.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "mail/address.h"

enum { FILE_MAX = 64 * 1024 };
_Static_assert((int)FILE_MAX <= UINT16_MAX + 1, "struct route keeps numbers of lines in 16 bits");

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
	auto_buf again = buf_new(CONF_LINE);
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
	memset(r->seen, 0, sizeof(r->seen)); /* only now: a profile's section may be in pieces */
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]) && r->profile != NULL; i++) {
		if (!span_ieq(span_of(r->profile), span_of(presets[i].profile)))
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
	r->ours = r->profile != NULL && span_ieq(name, span_of(r->profile));
	r->known = r->known || r->ours;
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
	if (line.n > CONF_LINE)
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
	if (i >= 0 && conf_check_place(&r->set, i, at) < 0)
		return -EINVAL; /* "[smarthost]", meant as "[route smarthost]" */
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
	enum { HOW = O_RDONLY | O_NONBLOCK | O_CLOEXEC }; /* for a FIFO without a writer */
	static char text[FILE_MAX + 1]; /* the stack may be as small as this (K8) */
	auto_fd fd = openat(AT_FDCWD, path, HOW | O_NOFOLLOW); /* musl's open asks twice */
	if (fd < 0 && errno == ENOENT && !needed)
		return 0;
	if (fd < 0 && errno == ELOOP) /* a link, which may lead nowhere: then the file was lost */
		fd = openat(AT_FDCWD, path, HOW);
	ssize_t n = fd < 0 ? -1 : file_fill(fd, text, sizeof(text));
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

/* ---- what nobody wrote, and all together ---------------------------------------------------- */

/* Nobody wrote this, so nothing about it is an error. */
static int
complete_hostname(struct setting *s)
{
	char name[HOSTNAME_SIZE];
	auto_buf wrong = buf_new(CONF_LINE);
	hostname_default(name, &wrong);
	if (wrong.n > 0)
		conf_doubt(s, "%.*s", (int)wrong.n, wrong.p);
	s->c->who.hostname = strdup(name);
	s->from->of[conf_find(span_of("hostname"))] = (struct conf_origin){
		name[0] == '[' ? "an address of this host" : "the system's host name", 0 };
	return s->c->who.hostname != NULL ? 0 : -ENOMEM;
}

/* Written out, the default is no other address: nobody takes mail at this host for that. */
static bool
is_default_postmaster(const struct conf_who *who)
{
	struct address a;
	char room[LIMIT_ADDRESS];
	return address_mailbox(span_of(who->postmaster), &a) == 0 &&
		span_ieq(address_plain(a.local, room), span_of("postmaster")) &&
		span_ieq(a.domain, span_of(who->hostname));
}

/* Defaults that depend on the machine or on other keys. */
static int
complete(struct setting *s)
{
	struct conf *c = s->c;
	if (c->who.hostname == NULL && complete_hostname(s) < 0)
		return conf_complain_of(s, "hostname", "out of memory");
	if (programs_complete(c) < 0) {
		buf_puts(s->why, "relay_path: not set, and this program does not know where it is");
		return -EINVAL;
	}
	if (c->tls.key == NULL && c->tls.certificate != NULL) {
		c->tls.key = strdup(c->tls.certificate);
		if (c->tls.key == NULL)
			return conf_complain_of(s, "tls_key", "out of memory");
	}
	c->who.postmaster_unset = c->who.postmaster == NULL;
	if (c->who.postmaster_unset &&
		asprintf(&c->who.postmaster, "postmaster@%s", c->who.hostname) < 0) {
		c->who.postmaster = NULL;
		return conf_complain_of(s, "postmaster", "out of memory");
	}
	c->who.no_postmaster = c->who.postmaster_unset || is_default_postmaster(&c->who);
	if (c->tls_reports.from == NULL &&
		asprintf(&c->tls_reports.from, "postmaster@%s", c->who.hostname) < 0) {
		c->tls_reports.from = NULL;
		return conf_complain_of(s, "tls_reports_from", "out of memory");
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
		err = environment_load(&r->set);
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
	c->doubts = buf_new(CONF_DOUBTS);
	int err = conf_set_defaults(&r.set);
	if (err == 0)
		err = load_all(&r, args);
	if (err == 0)
		err = together_check(&r.set);
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

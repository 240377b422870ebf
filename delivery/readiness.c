#include "delivery/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/credential.h"
#include "conf/guard.h"
#include "conf/target.h"
#include "dns.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "process/check.h"
#include "sending/login.h"
#include "sending/tlsclient.h"

enum { WHY_SIZE = 1024 };

static void
check_nameservers(struct findings *f, const struct conf *c)
{
	struct conf copy = *c;
	auto_buf odd = buf_new(WHY_SIZE);
	int r = conf_find_nameservers(&copy, NULL, &odd);
	if (r < 0)
		check_fault(f, "no nameserver can be used: %.*s; set nameserver, or mend that",
			(int)odd.n, odd.p);
	else if (odd.n > 0)
		check_warning(f, "nameserver: left out: %.*s", (int)odd.n, odd.p);
}

bool
readiness_needs_authorities(const struct conf *c)
{
	bool needed = c->delivery.tls == DELIVERY_TLS_VERIFY || c->receive.requiretls == CONF_YES;
	struct conf_delivery d;
	for (const struct route *r = c->routes; r != NULL && !needed; r = r->next) {
		conf_delivery_of(&d, c, r);
		needed = d.tls == DELIVERY_TLS_VERIFY ||
			(d.user != NULL && d.auth_clear == CONF_NO);
	}
	return needed;
}

int
readiness_find(const char *path, int mode)
{
	struct stat st;
	if (access(path, mode) < 0 || stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

enum conf_dane
readiness_dane(const struct conf *c)
{
	enum conf_dane most = c->delivery.dane;
	struct conf_delivery d;
	for (const struct route *r = c->routes; r != NULL; r = r->next) {
		conf_delivery_of(&d, c, r);
		most = d.dane > most ? d.dane : most;
	}
	return most;
}

/*
 * What only who validates can say is believed of few (dns/resolver.h). Where it need not be there,
 * that is no fault of anything: doctor tells.
 */
static void
check_dnssec(struct findings *f, const struct conf *c)
{
	struct conf copy = *c;
	auto_buf odd = buf_new(WHY_SIZE);
	if (readiness_dane(c) != CONF_DANE_ONLY || conf_find_nameservers(&copy, NULL, &odd) < 0)
		return;
	for (int i = 0; i < copy.relay.nameserver.n; i++)
		if (!resolver_trusts(&c->relay.dnssec_trusted, &copy.relay.nameserver.v[i])) {
			check_fault(f, "dane = only: mail waits: " READINESS_UNTRUSTED);
			return;
		}
}

static void
check_authorities(struct findings *f, const struct conf *c)
{
	int r = readiness_find(c->relay.ca, R_OK);
	auto_fd fd = r < 0 ? -1 : file_open(c->relay.ca);
	if (r == 0 && fd < 0)
		r = -errno;
	if (r < 0)
		(readiness_needs_authorities(c) ? check_fault : check_warning)(f,
			"delivery_ca %s: %s; no certificate of a host can be verified",
			c->relay.ca, strerror(-r));
}

/* It is loaded, and not linked, so a relay begins without it, and then delivers nothing. */
static void
check_openssl(struct findings *f, const struct conf *c)
{
	(void)c;
	const char *missing = tlsclient_load();
	if (missing != NULL)
		check_fault(f, "cannot load OpenSSL: %s; nothing is delivered", missing);
}

static void
check_source(struct findings *f, const struct netaddr *a)
{
	struct sockaddr_storage ss;
	char text[NETADDR_TEXT];
	netaddr_to(a, 0, &ss);
	netaddr_text(a, text);
	auto_fd fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&ss, sizeof(ss)) < 0)
		check_fault(f, "source %s: %s; it must be an address of this host", text,
			strerror(errno));
}

/* The addresses that we connect from. */
static void
check_sources(struct findings *f, const char *list)
{
	struct sources s;
	if (list == NULL || target_sources(span_of(list), &s) < 0)
		return;
	if (s.has4)
		check_source(f, &s.v4);
	if (s.has6)
		check_source(f, &s.v6);
}

static void
check_common_sources(struct findings *f, const struct conf *c)
{
	check_sources(f, c->delivery.source);
}

/* They are looked up for each host that a stranger named: mail must not go in a circle. */
static void
check_own_addresses(struct findings *f, const struct conf *c)
{
	struct ifaddrs *list;
	(void)c;
	if (getifaddrs(&list) == 0)
		freeifaddrs(list);
	else
		check_fault(f, "addresses of this host: %s; the process needs AF_NETLINK",
			strerror(errno));
}

/* A credential or a variable that this process was not given, as the service is. */
static bool
is_handed_elsewhere(const char *file)
{
	return credential_hidden(span_of(file)) ||
		(credential_variable_named(span_of(file)) && credential_variable(file) == NULL);
}

static void
check_password_mode(struct findings *f, const struct route *route, const char *file)
{
	char place[WHY_SIZE];
	snprintf(place, sizeof(place), "[route %s] delivery_password_file", route->name);
	check_secret(f, place, file, "log in with it");
}

/* The password is read; a program for a token is not run, for it may have a price. */
static void
check_login(struct findings *f, const struct conf *c, const struct route *route)
{
	struct conf_delivery d;
	struct login login = { 0 };
	auto_buf why = buf_new(WHY_SIZE);
	conf_delivery_of(&d, c, route);
	if (d.token_command != NULL) {
		struct span rest = span_of(d.token_command), word = span_word(&rest, " \t");
		char *program = strndup(word.p, word.n);
		if (program != NULL && access(program, X_OK) < 0)
			check_fault(f, "[route %s] delivery_token_command %s: %s", route->name,
				program, strerror(errno));
		free(program);
	} else if (d.password_file != NULL && is_handed_elsewhere(d.password_file)) {
		check_warning(f,
			"[route %s] delivery_password_file %s: only where the service runs "
			"can it be looked at",
			route->name, d.password_file);
	} else if (login_load(&d, c->receive.timeout_check, &login, &why) < 0) {
		check_fault(f, "[route %s] %.*s (%s)", route->name, (int)why.n, why.p,
			d.password_file != NULL ? d.password_file : "it is not set");
	} else if (d.password_file != NULL) {
		check_password_mode(f, route, d.password_file);
	}
	login_free(&login);
}

/* A server that makes its socket may be started later than this is asked. */
static void
check_hosts(struct findings *f, const struct route *route)
{
	struct span rest = span_of(route->delivery.hosts);
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		struct target t;
		if (target_parse(word, &t) == 0 && t.kind == TARGET_SOCKET &&
			access(t.name, W_OK) < 0)
			check_warning(f, "[route %s] hosts %.*s: %s; is there a server?",
				route->name, (int)word.n, word.p, strerror(errno));
	}
}

static void
check_routes(struct findings *f, const struct conf *c)
{
	for (const struct route *r = c->routes; r != NULL; r = r->next) {
		check_hosts(f, r);
		check_sources(f, r->delivery.source);
		check_login(f, c, r);
	}
}

/* Mail for tests waits where its directory cannot be written. */
static void
check_guard(struct findings *f, const struct conf *c)
{
	struct guard g;
	if (!guard_parse(c->submission.guard, &g) || g.kind != GUARD_SINK)
		return;
	auto_fd fd = open(g.what, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || access(g.what, W_OK | X_OK) < 0)
		check_fault(f, "guard = sink %s: %s; mail waits for it", g.what, strerror(errno));
}

int
readiness_check(const struct options *o, struct conf *c, struct conf_origins *from)
{
	static const struct check checks[] = { { check_nameservers }, { check_dnssec },
		{ check_openssl }, { check_authorities }, { check_own_addresses },
		{ check_common_sources }, { check_routes }, { check_guard } };
	return check_all("relay", o, c, from, checks, CHECKS(checks));
}

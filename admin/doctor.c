/*
 * doctor: is all well? A line for each thing that was looked at: ok, warn or fail, and what to do.
 *
 * What the programs need they look at themselves (smtpd --check, which has the others do it); here
 * stands what is around them. What root alone may see is looked at first; then it becomes the user
 * of the service, and is locked in before it asks a nameserver.
 */
#include "admin/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/asking.h"
#include "admin/checked.h"
#include "admin/finding.h"
#include "admin/machine.h"
#include "admin/naming.h"
#include "delivery/fetchless.h"
#include "delivery/stscache.h"
#include "lib/cleanup.h"
#include "process/program.h"

enum {
	WHY_SIZE = 1024,
	WHO_MAX = 64 * 1024, /* octets of a list of networks */
	SMTP_PORT = 25,
};

/* ---- what the programs find ---------------------------------------------------------------- */

static void
tell_lines(struct teller *t, const struct buf *said)
{
	static const enum finding_state states[] = { [CHECKED_FINE] = FINDING_OK,
		[CHECKED_WARNING] = FINDING_WARN, [CHECKED_ERROR] = FINDING_FAIL,
		[CHECKED_ODD] = FINDING_WARN };
	struct span rest = buf_span(said);
	for (struct checked_line l; checked_next(&rest, &l);) {
		char name[16] = "programs";
		if (l.kind != CHECKED_ODD)
			snprintf(name, sizeof(name), "%.*s", (int)l.program.n, l.program.p);
		finding_tell(t, name, states[l.kind], NULL, "%.*s", (int)l.text.n, l.text.p);
	}
}

static void
check_programs(struct teller *t, const struct admin *a)
{
	auto_buf path = buf_new(WHY_SIZE), said = buf_new(CHECKED_MAX);
	checked_path(&a->conf, "smtpd", &path);
	int r = checked_run(a, path.p, ERRAND_ERRORS, &said);
	if (r < 0) {
		finding_tell(t, "programs", FINDING_FAIL, "is all of Postern installed?", "%s: %s",
			path.p, strerror(-r));
		return;
	}
	tell_lines(t, &said);
	if (r == 0)
		finding_tell(t, "programs", FINDING_OK, NULL,
			"smtpd and the programs that it starts have what they need");
	else if (said.n == 0)
		finding_tell(t, "programs", FINDING_FAIL, NULL, "%s --check ends with %d", path.p,
			r);
}

/* What is well with certificates and users. */
static void
check_helpers(struct teller *t, const struct admin *a)
{
	auto_buf said = buf_new(CHECKED_MAX);
	const struct conf *c = &a->conf;
	if (c->tls.certificate != NULL && c->tls.mode != TLS_OFF)
		(void)checked_run(a, c->who.tls_path, ERRAND_OUTPUT, &said);
	else
		finding_tell(t, "tls", FINDING_OK, NULL,
			"no certificate is set, so clients get no TLS");
	if (c->auth.users != NULL)
		(void)checked_run(a, c->who.auth_path, ERRAND_OUTPUT, &said);
	else if (c->auth.saslauthd == NULL && c->auth.dovecot == NULL)
		finding_tell(t, "auth", FINDING_OK, NULL, "no users are set, so nobody logs in");
	tell_lines(t, &said);
}

/* What mail goes out with. Whether the DNS has the keys is asked by the command for them. */
static void
check_signatures(struct teller *t, const struct conf *c)
{
	if (c->dkim.keys == NULL)
		finding_tell(t, "dkim", FINDING_SKIPPED, "\"postern dkim new DOMAIN\" makes a key",
			"dkim_keys is not set, so mail is not signed");
	else
		finding_tell(t, "dkim", FINDING_OK, NULL, "the keys of %s sign mail; \"postern "
			"dkim check\" compares them with the DNS", c->dkim.keys);
	if (c->tls_reports.on == CONF_YES)
		finding_tell(t, "tls reports", FINDING_OK, NULL, "domains that ask for reports on "
			"TLS are sent them, from %s", c->tls_reports.from);
}

/* ---- who may ------------------------------------------------------------------------------- */

static void
list_nets(const struct netlist *l, struct buf *out)
{
	char text[NETADDR_TEXT];
	for (size_t i = 0; i < l->n; i++) {
		bool v4 = netaddr_is_v4(&l->v[i].addr) && l->v[i].bits >= 96;
		netaddr_text(&l->v[i].addr, text);
		buf_printf(out, "%s%s/%d", i > 0 ? " " : "", text,
			v4 ? l->v[i].bits - 96 : l->v[i].bits);
	}
}

static void
check_rights(struct teller *t, const struct conf *c)
{
	auto_buf who = buf_new(WHO_MAX);
	const struct conf_receive *r = &c->receive;
	bool users = c->auth.users != NULL || c->auth.saslauthd != NULL || c->auth.dovecot != NULL;
	if (r->relay_local == CONF_YES)
		buf_puts(&who, "this host");
	if (r->relay_nets.n > 0)
		buf_puts(&who, who.n > 0 ? ", " : "");
	list_nets(&r->relay_nets, &who);
	if (users)
		buf_puts(&who, who.n > 0 ? ", users who log in" : "users who log in");
	if (who.n == 0)
		buf_puts(&who, "nobody");
	if (r->open_relay == CONF_YES)
		finding_tell(t, "rights", FINDING_FAIL,
			"take out open_relay, and the world out of "
			"relay_nets",
			"the whole world may send to the whole world: %.*s", (int)who.n, who.p);
	else
		finding_tell(t, "rights", FINDING_OK, NULL,
			"to anybody may send: %.*s; everybody to: %s", (int)who.n, who.p,
			r->relay_domains != NULL && r->relay_domains[0] != '\0' ? r->relay_domains
										: "nobody");
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* Since when (s) relays have given up to fetch policies; 0: they have not; -1: we may not look. */
static int64_t
look_for_fetches(const struct conf *c)
{
	struct spool s;
	struct stscache policies;
	int err = spool_look(&s, c->who.spool);
	stscache_look(&policies, s.root);
	int64_t since = err == -EACCES ? -1 : fetchless_look(policies.dir);
	stscache_close(&policies);
	spool_close(&s);
	return since;
}

/* As the user of the service, and then with nothing but sockets. NULL: it cannot be. */
static struct resolver *
change_over(struct teller *t, struct admin *a, int64_t *given_up)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (program_drop_root(&a->conf, &a->from, &a->options, &why) < 0) {
		finding_tell(t, "user", FINDING_FAIL,
			"\"systemd-sysusers\" makes the user of the "
			"units",
			"%.*s", (int)why.n, why.n > 0 ? why.p : "");
		return NULL;
	}
	*given_up = look_for_fetches(&a->conf);
	struct resolver *r = asking_begin(a, &why);
	if (r == NULL)
		finding_tell(t, "user", FINDING_FAIL, NULL, "%.*s", (int)why.n,
			why.n > 0 ? why.p : "");
	return r;
}

/* Where mail comes in; 25, unless --port says otherwise. 0: it is none. */
static uint16_t
port_of(const struct admin *a)
{
	const char *given = admin_option(a, "port");
	int port = given == NULL ? SMTP_PORT : net_port(span_of(given));
	return port > 0 ? (uint16_t)port : 0;
}

static void
look_at_all(struct teller *t, struct admin *a, uint16_t port, const char *target)
{
	check_programs(t, a);
	check_helpers(t, a);
	check_signatures(t, &a->conf);
	check_rights(t, &a->conf);
	machine_spool(t, &a->conf);
	machine_clock(t);
	machine_port(t, port);
	machine_units(t, &a->conf);
	int64_t given_up = 0;
	struct resolver *r = change_over(t, a, &given_up);
	if (r == NULL)
		return;
	naming_resolvers(t, &a->conf);
	naming_dnssec(t, &a->conf);
	naming_policies(t, &a->conf, given_up);
	naming_hostname(t, &a->conf, r);
	naming_way_out(t, &a->conf, r, target);
	resolver_close(r);
}

static int
run(struct admin *a, int argc, char **argv)
{
	struct teller t = { .out = &a->out };
	auto_buf why = buf_new(WHY_SIZE);
	uint16_t port = port_of(a);
	if (port == 0)
		return admin_misused(a, "--port %s: not a port", admin_option(a, "port"));
	int r = conf_load(&a->conf, &a->options.conf, &a->from, &why);
	if (r < 0) {
		finding_tell(&t, "configuration", FINDING_FAIL, "mend it, and look again", "%.*s",
			(int)why.n, why.n > 0 ? why.p : "");
		return ADMIN_CONFIG;
	}
	finding_tell(&t, "configuration", FINDING_OK, NULL, "%s",
		a->from.file != NULL ? a->from.file
				     : "there is no file: all is as it is by default");
	look_at_all(&t, a, port, argc > 0 ? argv[0] : NULL);
	return t.told.n[FINDING_FAIL] > 0 ? ADMIN_NOTHING : ADMIN_DONE;
}

static const struct command_option options[] = {
	{ "port", "PORT", "where mail comes in, if it is not 25" },
	{ NULL, NULL, NULL },
};

const struct command command_doctor = {
	.name = "doctor",
	.operands = "[DOMAIN|HOST[:PORT]]",
	.what = "is all well? what is not, and what to do; tries a host if one is named",
	.needs = NEEDS_NOTHING,
	.least = 0,
	.most = 1,
	.options = options,
	.run = run,
};

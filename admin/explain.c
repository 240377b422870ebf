/*
 * explain: where mail to an address goes, how, and why it does not.
 *
 * Reads what a relay reads: configuration, DNS, what is remembered of hosts, what waits. It becomes
 * the user of the service if root calls it, and is locked in like a relay before the first octet of
 * a stranger comes, for answers of the DNS and of hosts are looked at here.
 */
#include "admin/command.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "admin/asking.h"
#include "admin/explained.h"
#include "admin/facts.h"
#include "admin/knock.h"
#include "admin/submitted.h"
#include "lib/cleanup.h"
#include "mail/address.h"
#include "mail/match.h"
#include "process/program.h"

enum { WHY_SIZE = 1024 };

/* ---- what it takes ------------------------------------------------------------------------- */

static void lack(json_t *all, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What this user may not see. */
static void
lack(json_t *all, const char *fmt, ...)
{
	auto_buf b = buf_new(WHY_SIZE);
	json_t *list = json_object_get(all, "lacks");
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	(void)json_array_append_new(list, out_string(buf_span(&b)));
}

/* The addresses as they were written; those that stand for others. ADMIN_DONE, or the status. */
static int
take_addresses(struct admin *a, const char *to, struct address *rcpt, struct address *sender,
	json_t *all)
{
	const char *from = admin_plain(admin_option(a, "from"));
	const char *whole = to;
	if (strcasecmp(to, "postmaster") == 0)
		whole = a->conf.who.postmaster;
	if (address_mailbox(span_of(whole), rcpt) < 0)
		return admin_misused(a, "%s: not an address", to);
	if (from != NULL && strcmp(from, "<>") != 0 && address_mailbox(span_of(from), sender) < 0)
		return admin_misused(a, "--from %s: not an address", from);
	char lane[LANE_NAME_SIZE];
	bool anybody = lane_name_of(rcpt->domain, lane) == 0 &&
		match_domain(a->conf.receive.relay_domains, span_of(lane));
	(void)json_object_set_new(all, "address", out_string(span_of(to)));
	(void)json_object_set_new(all, "stands_for",
		whole != to ? out_string(span_of(whole)) : json_null());
	(void)json_object_set_new(all, "sender", out_string(sender->whole));
	(void)json_object_set_new(all, "from_anybody", json_boolean(anybody));
	return ADMIN_DONE;
}

/* Opens what a relay has open, as far as this user may. ADMIN_DONE, or the status. */
static int
open_all(struct admin *a, struct facts *f, struct hosts *hosts, struct stscache *policies,
	json_t *all)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (program_drop_root(&a->conf, &a->from, &a->options, &why) < 0) {
		admin_trouble(a, "%.*s", (int)why.n, why.n > 0 ? why.p : "");
		return ADMIN_CONFIG;
	}
	int err = spool_look(&a->spool, a->conf.who.spool);
	f->empty = err == -ENOENT || (err == 0 && a->spool.lanes < 0);
	if (err < 0 && !f->empty)
		lack(all, "spool %s: %s, so neither what waits nor what is remembered of hosts",
			a->conf.who.spool, strerror(-err));
	hosts_look(hosts, a->spool.root, a->conf.relay.remember_hosts);
	stscache_look(policies, a->spool.root);
	if (conf_find_nameservers(&a->conf, &a->from, &why) < 0 || why.n > 0)
		lack(all, CONF_RESOLVER ": %.*s", (int)why.n, why.n > 0 ? why.p : "");
	const struct conf_servers *servers = &a->conf.relay.nameserver;
	f->resolver = resolver_open(servers->v, servers->n, a->conf.who.hostname);
	if (f->resolver == NULL) {
		admin_trouble(a, "cannot open a resolver: %s", strerror(errno));
		return ADMIN_LATER;
	}
	if (servers->tcp)
		resolver_use_tcp(f->resolver);
	resolver_use_hosts(f->resolver, HOSTS_FILE);
	resolver_trust(f->resolver, &a->conf.relay.dnssec_trusted);
	const char *missing = knock_prepare(&a->conf);
	if (missing != NULL && admin_option(a, "probe") != NULL) {
		admin_trouble(a, "cannot load OpenSSL: %s", missing);
		return ADMIN_LATER;
	}
	return ADMIN_DONE;
}

/* Answers of the DNS and of hosts are a stranger's: from now on there is nothing to take. */
static int
lock_in(const struct admin *a)
{
	tzset();
	int r = sandbox_enter(SANDBOX_RELAY, a->spool.root >= 0 ? &a->spool : NULL, -1);
	if (r >= 0)
		return ADMIN_DONE;
	admin_trouble(a, "cannot lock myself in: %s", strerror(-r));
	return ADMIN_LATER;
}

/* ADMIN_NOTHING: there is no host for such mail now, or none of those that were probed is ready. */
static int
find_out(struct admin *a, struct facts *f, json_t *all)
{
	struct exchangers x = { 0 };
	facts_route(f, all);
	facts_queue(f, all);
	facts_dns(f, all);
	facts_hosts(f, all, &x);
	bool fine = x.n > 0;
	if (admin_option(a, "probe") != NULL) {
		json_t *seen = knock_hosts(f, &x);
		size_t n = json_array_size(seen);
		fine = n > 0 && json_is_true(json_object_get(json_array_get(seen, n - 1), "ready"));
		(void)json_object_set_new(all, "probe", seen);
	}
	exchangers_free(&x);
	return fine ? ADMIN_DONE : ADMIN_NOTHING;
}

static int
explain(struct admin *a, const char *to, json_t *all)
{
	struct address rcpt = { 0 }, sender = { 0 };
	struct hosts hosts;
	struct stscache policies;
	struct facts f = { .conf = &a->conf, .from = &a->from, .spool = &a->spool,
		.hosts = &hosts, .policies = &policies };
	int status = open_all(a, &f, &hosts, &policies, all);
	if (status == ADMIN_DONE)
		status = take_addresses(a, to, &rcpt, &sender, all);
	if (status == ADMIN_DONE && facts_begin(&f, sender.whole, rcpt.domain) < 0)
		status = admin_misused(a, "%s: not a domain that mail can go to", to);
	if (status == ADMIN_DONE) {
		/* Files are asked for, which are out of reach then. */
		facts_policy(&f, all);
		(void)json_object_set_new(all, "submitted",
			submitted_fate(&a->conf, sender.whole, &rcpt));
		(void)json_object_set_new(all, "guarded",
			json_is_true(json_object_get(all, "from_anybody"))
			? submitted_by_strangers(&a->conf, &rcpt) : json_null());
		status = lock_in(a);
	}
	if (status == ADMIN_DONE)
		status = find_out(a, &f, all);
	if (f.resolver != NULL)
		resolver_close(f.resolver);
	return status;
}

static int
run(struct admin *a, int argc, char **argv)
{
	(void)argc;
	json_t *all = json_object();
	(void)json_object_set_new(all, "lacks", json_array());
	int status = explain(a, admin_plain(argv[0]), all);
	if (status > ADMIN_NOTHING)
		json_decref(all);
	else if (a->out.json)
		out_json(&a->out, all);
	else {
		explained_say(&a->out, all);
		json_decref(all);
	}
	return status;
}

static const struct command_option options[] = {
	{ "from", "ADDRESS", "the sender, for routes by sender; else the null sender, <>" },
	{ "probe", NULL, "also say EHLO, STARTTLS and QUIT to a host" },
	{ NULL, NULL, NULL },
};

const struct command command_explain = {
	.name = "explain",
	.operands = "ADDRESS",
	.what = "where mail to an address goes, how, and what is in its way",
	.needs = NEEDS_CONF,
	.least = 1,
	.most = 1,
	.options = options,
	.run = run,
};

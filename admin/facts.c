#include "admin/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/out.h"
#include "conf/credential.h"
#include "conf/nameserver.h"
#include "conf/routes.h"
#include "conf/target.h"
#include "conf/way.h"
#include "delivery/destinations.h"
#include "delivery/fetchless.h"
#include "delivery/policy.h"
#include "delivery/race.h"
#include "delivery/stslane.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/dir.h"
#include "queue/lane.h"
#include "sending/dial.h"

enum { WHY_SIZE = 1024, WAITING_MAX = 1000000, REASON_SIZE = 1024 };

int
facts_begin(struct facts *f, struct span sender, struct span domain)
{
	f->sender = sender;
	f->domain = domain;
	if (lane_name_of(domain, f->lane) < 0)
		return -EINVAL;
	routes_lane(f->conf, sender, f->lane);
	way_of(f->conf, f->lane, &f->delivery);
	return 0;
}

static json_t *
text_or_null(const char *s)
{
	return s != NULL ? out_string(span_of(s)) : json_null();
}

static void
set(json_t *o, const char *name, json_t *value)
{
	(void)json_object_set_new(o, name, value);
}

static const struct route *
route_of(const struct facts *f)
{
	return way_route(f->conf, lane_name_route(span_of(f->lane)));
}

/* ---- which way ----------------------------------------------------------------------------- */

/* The first line of its section that says anything. */
static int
line_of(const struct route *r)
{
	int first = 0;
	for (int i = 0; i < CONF_KEYS_MAX; i++)
		if (r->line[i] != 0 && (first == 0 || r->line[i] < first))
			first = r->line[i];
	return first;
}

void
facts_route(const struct facts *f, json_t *o)
{
	const struct route *r = route_of(f);
	set(o, "lane", out_string(span_of(f->lane)));
	set(o, "route", r == NULL ? json_null()
		: json_pack("{s:s, s:o, s:i, s:o, s:o, s:o}", "name", r->name, "file",
			text_or_null(f->from->file), "line", line_of(r), "domains",
			text_or_null(r->domains), "senders", text_or_null(r->senders), "hosts",
			text_or_null(f->delivery.hosts)));
}

/* ---- what waits ---------------------------------------------------------------------------- */

/* What stands in @retry for people: "3 failed attempts: ...". */
static json_t *
reason_of(const struct lane *l)
{
	char text[REASON_SIZE];
	auto_fd fd = openat(l->dir, LANE_RETRY, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	struct span rest = { text, n > 0 ? (size_t)n : 0 };
	struct span line = span_line(&rest);
	(void)span_cut(&line, ':');
	line = span_trim(line);
	return line.n > 0 ? out_string(line) : json_null();
}

static int
count_waiting(const struct lane *l)
{
	int n = 0;
	auto_dir d = dir_open(l->dir);
	for (const char *name; d != NULL && n < WAITING_MAX && (name = dir_next(d)) != NULL;)
		n += id_valid(span_of(name));
	return n;
}

static void
add_lane(const struct facts *f, json_t *o)
{
	struct lane l = LANE_CLOSED;
	struct lane_state st;
	int r = lane_look(&l, f->spool, f->lane);
	if (r < 0) { /* what cannot be seen is not 0 */
		set(o, "waiting", r == -ENOENT ? json_integer(0) : json_null());
		if (r != -ENOENT)
			(void)json_array_append_new(json_object_get(o, "lacks"),
				json_sprintf("lane %s: %s", f->lane, strerror(-r)));
		return;
	}
	set(o, "waiting", json_integer(count_waiting(&l)));
	lane_state(&l, &st);
	if (st.down)
		set(o, "backoff", json_pack("{s:i, s:o, s:o}", "attempts", st.attempts, "next",
			out_time(st.next), "reason", reason_of(&l)));
	lane_close(&l);
}

void
facts_queue(const struct facts *f, json_t *o)
{
	const struct conf_schedule *retry = &f->conf->relay.retry;
	json_t *schedule = json_array();
	for (int i = 0; i < retry->n; i++)
		(void)json_array_append_new(schedule, json_integer(retry->v[i]));
	set(o, "backoff", json_null());
	set(o, "waiting", f->empty ? json_integer(0) : json_null());
	if (f->spool->lanes >= 0)
		add_lane(f, o);
	set(o, "schedule", schedule);
	set(o, "expire", json_integer(f->conf->relay.expire));
}

/* ---- who takes it -------------------------------------------------------------------------- */

static json_t *
host_of(const struct exchanger *e)
{
	char addr[NETADDR_TEXT];
	netaddr_text(&e->addr, addr);
	return json_pack("{s:o, s:o, s:i, s:i}", "host", out_string(span_of(e->host)), "address",
		e->socket ? json_null() : json_string(addr), "port", (int)e->port, "preference",
		(int)e->preference);
}

/* A question, and what was found. The hosts of it that cannot be used are told, too. */
static void
add_answer(json_t *list, const char *name, const char *kind, enum answer a,
	const struct exchangers *x)
{
	static const char *const words[] = { [ANSWER_FOUND] = "found",
		[ANSWER_NULL_MX] = "takes no mail (null MX)", [ANSWER_NO_NAME] = "no such name",
		[ANSWER_NO_DATA] = "nothing to send mail to",
		[ANSWER_NO_HOST] = "no host has an address",
		[ANSWER_TEMPORARY] = "no answer that can be relied on" };
	json_t *hosts = json_array();
	bool doubt = a != ANSWER_FOUND || x->unknown <= EXCHANGER_WORST;
	for (size_t i = 0; i < x->n; i++)
		(void)json_array_append_new(hosts, host_of(&x->v[i]));
	(void)json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:b, s:o, s:o}", "name",
		out_string(span_of(name)), "asked", kind, "answer", words[a], "implicit",
		x->implicit, "why", doubt && x->why[0] != '\0' ? out_string(span_of(x->why))
		: json_null(), "hosts", hosts));
}

static void
ask(const struct facts *f, const struct target *t, json_t *list)
{
	struct exchangers x = { 0 };
	enum family family = f->delivery.family;
	int64_t deadline = clock_deadline(f->delivery.timeout_dns);
	bool operators = route_of(f) != NULL;
	enum answer a = operators ? resolver_named(f->resolver, t->name, family, &x)
		: ANSWER_NO_NAME;
	if (a == ANSWER_FOUND) {
		add_answer(list, t->name, "/etc/hosts", a, &x);
	} else if (t->kind == TARGET_HOST) {
		exchangers_free(&x);
		a = resolver_addresses(f->resolver, t->name, family, deadline, &x);
		add_answer(list, t->name, "addresses", a, &x);
	} else {
		exchangers_free(&x);
		a = resolver_exchangers(f->resolver, t->name, family, deadline, &x);
		add_answer(list, t->name, "MX", a, &x);
	}
	exchangers_free(&x);
}

/* An address that was written down is not asked for. */
static void
ask_for_hosts(const struct facts *f, json_t *list)
{
	struct span rest = span_of(f->delivery.hosts);
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		struct target t;
		if (target_parse(word, &t) == 0 &&
			(t.kind == TARGET_HOST || t.kind == TARGET_DOMAIN))
			ask(f, &t, list);
	}
}

void
facts_dns(const struct facts *f, json_t *o)
{
	const struct conf_servers *s = &f->conf->relay.nameserver;
	json_t *servers = json_array(), *list = json_array();
	for (int i = 0; i < s->n; i++) {
		char *text = NULL;
		size_t n;
		FILE *mem = open_memstream(&text, &n);
		if (mem == NULL)
			continue;
		nameserver_print(&s->v[i], mem);
		fclose(mem);
		(void)json_array_append_new(servers, json_string(text));
		free(text);
	}
	if (route_of(f) != NULL) {
		ask_for_hosts(f, list);
	} else {
		struct target t = { .kind = TARGET_DOMAIN };
		snprintf(t.name, sizeof(t.name), "%s", f->lane);
		ask(f, &t, list);
	}
	set(o, "nameservers", servers);
	set(o, "dns", list);
}

/* ---- in which order ------------------------------------------------------------------------ */

/* Why it stands where it stands; `before` is the one in front of it, or NULL. */
static const char *
place_of(const struct facts *f, const struct exchanger *e, const struct host_record *h,
	const struct exchanger *before, const struct host_record *was)
{
	bool random = f->delivery.mx_order == MX_RANDOM;
	if (h->failed != 0)
		return before == NULL || was->failed != 0 ? "it failed lately, as all others did"
			: "it failed lately: tried when no other one is left";
	if (before == NULL)
		return h->latency > 0 && !random ? "best preference, and quickest of late"
			: "best preference";
	if (before->preference != e->preference)
		return "when all of better preference failed, or said nothing for long";
	return random ? "as good as the one before, in random order"
		: h->latency > was->latency ? "as good as the one before, and slower of late"
			: "as good as the one before";
}

static void
add_memory(json_t *one, const struct host_record *h)
{
	static const char *const words[] = { "in clear: its TLS did not work",
		"HELO: it does not take EHLO", "a command at a time", "a message at a time",
		"DATA instead of BDAT", "fewer parameters",
		"the plainest way to log in" };
	const int64_t when[] = { h->clear, h->helo, h->lockstep, h->single, h->unchunked,
		h->fewer, h->plain };
	json_t *notes = json_array();
	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++)
		if (when[i] != 0)
			(void)json_array_append_new(notes, json_string(words[i]));
	set(one, "latency_ms", h->latency > 0 ? json_integer(h->latency) : json_null());
	set(one, "failed", out_time(h->failed));
	set(one, "greylist_s", h->grey > 0 ? json_integer(h->grey) : json_null());
	set(one, "remembered", notes);
}

/* By which it is decided which TLS a host must have, but for the host. */
static struct policy_facts
facts_of(const struct facts *f, const struct stscache_entry *e)
{
	return (struct policy_facts){ .delivery = &f->delivery, .lane = f->lane,
		.sts = e->id[0] != '\0' ? &e->policy : NULL, .sts_id = e->id };
}

static json_t *
list_hosts(const struct facts *f, const struct exchangers *x, const struct stscache_entry *e)
{
	json_t *list = json_array();
	struct host_record was = { 0 }, h;
	struct policy_facts facts = facts_of(f, e);
	for (size_t i = 0; i < x->n; i++) {
		json_t *one = host_of(&x->v[i]);
		struct policy p;
		facts.to = &x->v[i];
		policy_decide(&p, &facts);
		set(one, "policy", json_string(policy_source_word(p.source)));
		set(one, "policy_words", out_string(span_of(p.words)));
		hosts_recall(f->hosts, &x->v[i], &h);
		set(one, "why", json_string(place_of(f, &x->v[i], &h,
			i > 0 ? &x->v[i - 1] : NULL, &was)));
		set(one, "tls_first", json_boolean(x->v[i].tls_first));
		add_memory(one, &h);
		(void)json_array_append_new(list, one);
		was = h;
	}
	return list;
}

/* Is a host of an answer among those that mail goes to? */
static bool
is_used(const json_t *host, const struct exchangers *x)
{
	const char *address = json_string_value(json_object_get(host, "address"));
	char text[NETADDR_TEXT];
	for (size_t i = 0; address != NULL && i < x->n; i++) {
		netaddr_text(&x->v[i].addr, text);
		if (strcmp(text, address) == 0)
			return true;
	}
	return false;
}

static const char *
reason_to_leave_out(const char *address)
{
	static const char *const words[] = { [NET_PRIVATE] = "a private address",
		[NET_LOOPBACK] = "an address of loopback",
		[NET_LINK_LOCAL] = "an address of a link",
		[NET_UNSPECIFIED] = "no address of a host",
		[NET_MULTICAST] = "no address of a host" };
	struct netaddr a;
	if (netaddr_parse(span_of(address), &a) == 0 && netaddr_class(&a) != NET_PUBLIC)
		return words[netaddr_class(&a)];
	return "it is this host, or no better than this host is";
}

/* By the policy of MTA-STS, which may name another host with the same address. */
static bool
is_barred(const json_t *host, const struct sts_policy *sts)
{
	const char *name = json_string_value(json_object_get(host, "host"));
	return sts != NULL && sts->mode == STS_ENFORCE && !sts_allows(sts, span_of(name));
}

static const char *
reason_for(const json_t *host, const struct sts_policy *sts)
{
	if (is_barred(host, sts))
		return "MTA-STS: the policy of the domain does not name it";
	return reason_to_leave_out(json_string_value(json_object_get(host, "address")));
}

/* What the DNS named and mail does not go to. */
static json_t *
list_left_out(const json_t *answers, const struct exchangers *x, const struct sts_policy *sts)
{
	json_t *list = json_array(), *hosts, *host;
	size_t i, k;
	for (i = 0; i < json_array_size(answers); i++) {
		hosts = json_object_get(json_array_get(answers, i), "hosts");
		json_array_foreach(hosts, k, host) {
			const char *address =
				json_string_value(json_object_get(host, "address"));
			if (address == NULL || (is_used(host, x) && !is_barred(host, sts)))
				continue;
			json_t *one = json_deep_copy(host);
			set(one, "why", json_string(reason_for(host, sts)));
			(void)json_array_append_new(list, one);
		}
	}
	return list;
}

/* ---- MTA-STS ------------------------------------------------------------------------------- */

static json_t *
list_patterns(const struct stscache_entry *e)
{
	json_t *list = json_array();
	struct span rest = e->policy.text;
	for (struct span mx; e->id[0] != '\0' && (mx = sts_next_mx(&rest)).n > 0;)
		(void)json_array_append_new(list, out_string(mx));
	return list;
}

/* The record that the DNS tells, the policy that is kept, and whether others can be fetched. */
static json_t *
sts_of(const struct facts *f, const struct stscache_entry *e, const struct txt *record,
	bool in_force)
{
	char id[STS_ID + 1];
	bool any = e->id[0] != '\0', told = sts_record(buf_span(&record->texts), id);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "record",
		told ? json_string(id) : json_null(), "why",
		told || record->answer == ANSWER_FOUND ? json_null() : json_string(record->why),
		"mode", any ? json_string(sts_mode_word(e->policy.mode)) : json_null(), "id",
		any ? json_string(e->id) : json_null(), "fetched",
		out_time(any ? e->fetched : 0), "max_age",
		any ? json_integer(e->policy.max_age) : json_null(), "mx", list_patterns(e),
		"in_force", in_force, "tried", out_time(e->tried), "given_up",
		out_time(fetchless_look(f->policies->dir)));
}

/* With the look-up of hosts; those that it does not allow are left out. */
static enum outcome
find_hosts(const struct facts *f, json_t *o, struct exchangers *x, struct stscache_entry *e,
	struct buf *why)
{
	struct txt record = { .answer = ANSWER_TEMPORARY };
	bool wanted = stslane_is_wanted(f->conf, &f->delivery, f->lane);
	if (wanted)
		stslane_ask_record(f->resolver, f->lane, &record);
	enum outcome r = destinations_find(f->resolver, f->conf, &f->delivery, f->lane, x, why);
	if (wanted)
		stscache_load(f->policies, f->lane, e);
	bool in_force = wanted && stscache_is_valid(e, clock_wall());
	set(o, "mta_sts", wanted ? sts_of(f, e, &record, in_force) : json_null());
	buf_free(&record.texts);
	if (!in_force)
		stscache_free(e);
	const struct policy_facts facts = facts_of(f, e);
	return r == DONE && !policy_sift(x, &facts, why) ? SOFT : r;
}

void
facts_hosts(const struct facts *f, json_t *o, struct exchangers *x)
{
	static const char *const words[] = { [DONE] = "found", [SOFT] = "later", [HARD] = "never" };
	auto_buf why = buf_new(WHY_SIZE);
	struct stscache_entry e = STSCACHE_ENTRY_NONE;
	enum outcome r = find_hosts(f, o, x, &e, &why);
	if (r != DONE)
		exchangers_free(x);
	else
		(void)race_order(&f->delivery, f->hosts, x);
	set(o, "outcome", json_string(words[r]));
	set(o, "why", why.n > 0 ? out_string(buf_span(&why)) : json_null());
	set(o, "hosts", list_hosts(f, x, &e));
	set(o, "left_out", list_left_out(json_object_get(o, "dns"), x,
		e.id[0] != '\0' ? &e.policy : NULL));
	stscache_free(&e);
}

/* ---- on which terms ------------------------------------------------------------------------ */

/* The name that a certificate must have, where one is relied on (delivery/policy.c). */
static json_t *
names_of(const struct facts *f)
{
	json_t *list = json_array();
	if (route_of(f) == NULL) {
		(void)json_array_append_new(list, out_string(span_of(f->lane)));
		return list;
	}
	struct span rest = span_of(f->delivery.hosts);
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		struct target t;
		char text[NETADDR_TEXT];
		if (target_parse(word, &t) < 0 || t.kind == TARGET_SOCKET)
			continue;
		netaddr_text(&t.addr, text);
		(void)json_array_append_new(list,
			out_string(span_of(t.kind == TARGET_ADDRESS ? text : t.name)));
	}
	return list;
}

static json_t *
tls_of(const struct facts *f)
{
	const char *ca = f->conf->relay.ca;
	int err = access(ca, R_OK) < 0 ? errno : 0;
	static const char *const dane[] = { [CONF_DANE_OFF] = "off", [CONF_DANE_AUTO] = "auto",
		[CONF_DANE_ONLY] = "only" };
	return json_pack("{s:s, s:b, s:s, s:b, s:o, s:o, s:o}", "dane", dane[f->delivery.dane],
		"dnssec", resolver_is_trusted(f->resolver),
		"policy", policy_word(f->delivery.tls), "implicit",
		f->delivery.tls_implicit == CONF_YES, "names", names_of(f), "authorities",
		out_string(span_of(ca)), "trouble", err != 0 ? json_string(strerror(err))
		: json_null());
}

/* Whether it can be had is asked of the file system; what it is, is nobody's business here. */
static json_t *
login_of(const struct facts *f)
{
	const struct conf_delivery *d = &f->delivery;
	char login[LOGIN_NAME_SIZE];
	if (d->user == NULL)
		return json_null();
	way_login(f->conf, f->lane, login);
	const char *file = d->password_file;
	bool handed = file != NULL && (credential_named(span_of(file)) ||
		credential_variable_named(span_of(file)));
	int err = file != NULL && !handed && access(file, R_OK) < 0 ? errno : 0;
	return json_pack("{s:o, s:s, s:o, s:o, s:b, s:o}", "user", out_string(span_of(d->user)),
		"login", login, "password_file", text_or_null(file), "token_command",
		text_or_null(d->token_command), "in_clear", d->auth_clear == CONF_YES, "trouble",
		err != 0 ? json_string(strerror(err)) : json_null());
}

void
facts_policy(const struct facts *f, json_t *o)
{
	set(o, "tls", tls_of(f));
	set(o, "login", login_of(f));
}

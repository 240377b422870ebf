#include "admin/explained.h"

#include <string.h>

#include "lib/clock.h"

enum { TIME_SIZE = 64 };

static const char *
text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static int64_t
number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static bool
is_so(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

/* Begins a line; what belongs to the line before has no name. */
static void
line(struct out *o, const char *name)
{
	out_colour(o, OUT_BOLD);
	out_say(o, "%-13s", name);
	out_colour(o, OUT_PLAIN);
}

/* A stranger's text, or nothing. */
static void
word(struct out *o, const char *before, const char *text, const char *behind)
{
	if (text == NULL)
		return;
	out_say(o, "%s", before);
	out_text(o, span_of(text));
	out_say(o, "%s", behind);
}

/* "in 3 min", "2 h ago". */
static void
say_when(struct out *o, int64_t t)
{
	char text[TIME_SIZE];
	int64_t left = t - clock_wall();
	out_duration(text, sizeof(text), left < 0 ? -left : left);
	out_say(o, left > 0 ? "in %s" : "%s ago", text);
}

static void
say_address(struct out *o, const json_t *all)
{
	line(o, "mail to");
	word(o, "", text_of(all, "address"), "");
	word(o, ", which stands for ", text_of(all, "stands_for"), "");
	out_say(o, "\n");
	line(o, "from");
	word(o, "<", text_of(all, "sender"), ">\n");
	line(o, "taken from");
	out_say(o, is_so(all, "from_anybody") ? "anybody (relay_domains)\n"
		: "clients that may relay (\"postern doctor\" has them)\n");
}

/* How it goes, and to whom instead. */
static void
say_goes(struct out *o, const char *before, const json_t *s)
{
	const json_t *one, *list = json_object_get(s, "recipients");
	size_t i;
	word(o, before, text_of(s, "goes"), "");
	json_array_foreach(list, i, one)
		word(o, i == 0 ? ": to " : ", ", json_string_value(one), "");
}

/* What rewriting and guard make of it. */
static void
say_submitted(struct out *o, const json_t *all)
{
	const json_t *s = json_object_get(all, "submitted");
	if (!json_is_object(s))
		return;
	line(o, "from our own");
	say_goes(o, "it goes ", s);
	word(o, "; the sender becomes ", text_of(s, "sender"), "");
	word(o, "; where they are missing it gets ", text_of(s, "adds"), "");
	word(o, "; ", text_of(s, "trouble"), "");
	out_say(o, "\n");
}

/* What guard makes of mail that is taken from anybody. */
static void
say_guarded(struct out *o, const json_t *all)
{
	const json_t *s = json_object_get(all, "guarded");
	if (!json_is_object(s))
		return;
	line(o, "from others");
	say_goes(o, "by guard it goes ", s);
	out_say(o, "\n");
}

static void
say_route(struct out *o, const json_t *all)
{
	const json_t *r = json_object_get(all, "route");
	line(o, "route");
	if (json_is_null(r)) {
		word(o, "none: to the mail exchangers of ", text_of(all, "lane"), "\n");
		return;
	}
	word(o, "", text_of(r, "name"), "");
	word(o, ", ", text_of(r, "file"), "");
	if (number_of(r, "line") > 0)
		out_say(o, ":%lld", (long long)number_of(r, "line"));
	word(o, ": hosts ", text_of(r, "hosts"), "");
	if (json_is_null(json_object_get(r, "domains")) &&
		json_is_null(json_object_get(r, "senders")))
		out_say(o, ", for all mail that no route before it has");
	word(o, ", for mail to ", text_of(r, "domains"), "");
	word(o, ", for mail from ", text_of(r, "senders"), "");
	out_say(o, "\n");
}

static void
say_queue(struct out *o, const json_t *all)
{
	const json_t *b = json_object_get(all, "backoff"), *n = json_object_get(all, "waiting");
	line(o, "queue");
	if (json_is_null(n))
		out_say(o, "unknown, see below");
	else
		out_say(o, "%lld message%s wait%s", (long long)json_integer_value(n),
			json_integer_value(n) == 1 ? "" : "s",
			json_integer_value(n) == 1 ? "s" : "");
	word(o, " in lane ", text_of(all, "lane"), "\n");
	line(o, "back-off");
	if (json_is_null(b)) {
		out_say(o, json_is_null(n) ? "unknown\n" : "none\n");
		return;
	}
	out_say(o, "%lld attempts in a row reached no host; next try ",
		(long long)number_of(b, "attempts"));
	say_when(o, number_of(b, "next"));
	word(o, ": ", text_of(b, "reason"), "");
	out_say(o, "\n");
}

static void
say_place(struct out *o, const json_t *h)
{
	word(o, "", text_of(h, "host"), "");
	word(o, "[", text_of(h, "address"), "]");
	if (!json_is_null(json_object_get(h, "address")))
		out_say(o, ":%lld", (long long)number_of(h, "port"));
}

static void
say_answer(struct out *o, const json_t *a)
{
	size_t i;
	json_t *h;
	line(o, "dns");
	word(o, "", text_of(a, "name"), " ");
	word(o, "", text_of(a, "asked"), ": ");
	word(o, "", text_of(a, "answer"), "");
	out_say(o, is_so(a, "implicit") ? ", no MX record: its own addresses" : "");
	word(o, ": ", text_of(a, "why"), "");
	out_say(o, "\n");
	json_array_foreach(json_object_get(a, "hosts"), i, h) {
		line(o, "");
		out_say(o, "%5lld ", (long long)number_of(h, "preference"));
		word(o, "", text_of(h, "host"), " ");
		word(o, "", text_of(h, "address"), "\n");
	}
}

static void
say_list(struct out *o, const char *before, const json_t *list, const char *between)
{
	size_t i;
	json_t *one;
	json_array_foreach(list, i, one)
		word(o, i == 0 ? before : between, json_string_value(one), "");
}

static void
say_dns(struct out *o, const json_t *all)
{
	size_t i;
	json_t *a;
	const json_t *servers = json_object_get(all, "nameservers");
	line(o, "nameservers");
	say_list(o, "", servers, ", ");
	out_say(o, json_array_size(servers) == 0 ? "none\n" : "\n");
	json_array_foreach(json_object_get(all, "dns"), i, a)
		say_answer(o, a);
}

static void
say_hosts(struct out *o, const json_t *all)
{
	size_t i;
	json_t *h;
	if (strcmp(text_of(all, "outcome"), "found") != 0) {
		line(o, "hosts");
		out_colour(o, OUT_BAD);
		out_say(o, strcmp(text_of(all, "outcome"), "never") == 0
			? "none, and the mail is returned" : "none for now, and the mail waits");
		out_colour(o, OUT_PLAIN);
		word(o, ": ", text_of(all, "why"), "");
		out_say(o, "\n");
	}
	json_array_foreach(json_object_get(all, "hosts"), i, h) {
		line(o, i == 0 ? "hosts" : "");
		out_say(o, "%zu. ", i + 1);
		say_place(o, h);
		word(o, ": ", text_of(h, "why"), "");
		if (number_of(h, "latency_ms") > 0)
			out_say(o, ", greets after %lld ms",
				(long long)number_of(h, "latency_ms"));
		if (number_of(h, "failed") > 0) {
			out_say(o, ", failed ");
			say_when(o, number_of(h, "failed"));
		}
		say_list(o, "; by what was learned: ", json_object_get(h, "remembered"), ", ");
		if (strcmp(text_of(h, "policy"), "setting") != 0)
			word(o, "; ", text_of(h, "policy_words"), "");
		out_say(o, "\n");
	}
	json_array_foreach(json_object_get(all, "left_out"), i, h) {
		line(o, i == 0 ? "left out" : "");
		say_place(o, h);
		word(o, ": ", text_of(h, "why"), "\n");
	}
}

/* Does mail wait for nothing that would have to be fetched? */
static bool
is_given_up(const json_t *s)
{
	return number_of(s, "given_up") > 0;
}

/* A policy that is kept. */
static void
say_policy(struct out *o, const json_t *s)
{
	const char *told = text_of(s, "record");
	word(o, "", text_of(s, "mode"), "");
	word(o, ", id ", text_of(s, "id"), ", fetched ");
	say_when(o, number_of(s, "fetched"));
	say_list(o, ", mx: ", json_object_get(s, "mx"), ", ");
	if (!is_so(s, "in_force"))
		out_say(o, "; its time is over");
	else if (told == NULL)
		word(o, "; in force although there is no record of it now (",
			text_of(s, "why") != NULL ? text_of(s, "why") : "none that is right", ")");
	if (told != NULL && strcmp(told, text_of(s, "id")) != 0)
		word(o, "; the record tells id ", told, is_given_up(s)
			? ", whose policy cannot be fetched"
			: ", whose policy is fetched with the next mail");
}

/* Whatever the domain has: nothing can be fetched on this host. */
static void
say_given_up(struct out *o, const json_t *s)
{
	char text[TIME_SIZE];
	if (!is_given_up(s))
		return;
	out_duration(text, sizeof(text), clock_wall() - number_of(s, "given_up"));
	out_colour(o, OUT_BAD);
	out_say(o, "; for %s no fetch has come to be there", text);
	out_colour(o, OUT_PLAIN);
	out_say(o, ": policies that are kept count alone (see \"postern doctor\")");
}

static void
say_sts(struct out *o, const json_t *all)
{
	const json_t *s = json_object_get(all, "mta_sts");
	if (!json_is_object(s))
		return;
	line(o, "mta-sts");
	if (text_of(s, "mode") != NULL)
		say_policy(o, s);
	else if (text_of(s, "record") != NULL)
		word(o, "id ", text_of(s, "record"), is_given_up(s)
			? ": the policy cannot be fetched"
			: ": the policy is fetched with the next mail");
	else
		word(o, "none: ", text_of(s, "why") != NULL ? text_of(s, "why")
			: "no record that is right", "");
	if (number_of(s, "tried") > 0) {
		out_say(o, "; a fetch came to nothing ");
		say_when(o, number_of(s, "tried"));
	}
	say_given_up(o, s);
	out_say(o, "\n");
}

/* What stands above delivery_tls, or does not. */
static void
say_dane(struct out *o, const json_t *t)
{
	const char *dane = text_of(t, "dane");
	if (strcmp(text_of(t, "policy"), "none") == 0 || strcmp(dane, "off") == 0)
		return;
	if (!is_so(t, "dnssec"))
		out_say(o, "; no DANE, for not all nameservers are on this host or in "
			"dnssec_trusted");
	else if (strcmp(dane, "only") == 0)
		out_say(o, "; and only to hosts with a TLSA record (dane = only)");
	else
		out_say(o, "; of a host that has a TLSA record, as that says");
}

/* A policy that is in force and not for a test stands above delivery_tls, too. */
static void
say_enforced(struct out *o, const json_t *all)
{
	const json_t *s = json_object_get(all, "mta_sts");
	const char *mode = json_is_object(s) && is_so(s, "in_force") ? text_of(s, "mode") : NULL;
	if (mode != NULL && strcmp(mode, "enforce") == 0)
		out_say(o, "; by the policy of mta-sts not without, and with a certificate for the "
			"host");
}

static void
say_tls(struct out *o, const json_t *all)
{
	const json_t *t = json_object_get(all, "tls");
	const char *policy = text_of(t, "policy");
	bool verify = strcmp(policy, "verify") == 0;
	line(o, "tls");
	out_say(o, strcmp(policy, "none") == 0 ? "none: in clear, whatever is offered"
		: strcmp(policy, "may") == 0 ? "may: if the host offers it; whoever it is"
		: verify ? "verify: or not at all, and the certificate must be good"
			 : "encrypt: or not at all; whoever the host is");
	out_say(o, is_so(t, "implicit") ? ", from the first octet" : "");
	if (verify)
		say_list(o, " for ", json_object_get(t, "names"), " or ");
	if (verify && !json_is_null(json_object_get(t, "trouble"))) {
		word(o, "; but ", text_of(t, "authorities"), ": ");
		word(o, "", text_of(t, "trouble"), "");
	}
	say_dane(o, t);
	say_enforced(o, all);
	out_say(o, "\n");
}

static void
say_login(struct out *o, const json_t *all)
{
	const json_t *l = json_object_get(all, "login");
	line(o, "login");
	if (json_is_null(l)) {
		out_say(o, "none\n");
		return;
	}
	word(o, "as ", text_of(l, "user"), "");
	word(o, ", password from ", text_of(l, "password_file"), "");
	word(o, ", token by ", text_of(l, "token_command"), "");
	word(o, " (", text_of(l, "trouble"), ")");
	out_say(o, is_so(l, "in_clear") ? ", without TLS too\n"
		: ", to hosts that the route names and that have a good certificate\n");
}

static void
say_schedule(struct out *o, const json_t *all)
{
	size_t i;
	json_t *t;
	char text[TIME_SIZE];
	line(o, "retry");
	json_array_foreach(json_object_get(all, "schedule"), i, t) {
		out_duration(text, sizeof(text), json_integer_value(t));
		out_say(o, i == 0 ? "after %s" : ", %s", text);
	}
	out_duration(text, sizeof(text), number_of(all, "expire"));
	out_say(o, ", and so on; returned after %s\n", text);
}

static void
say_probe(struct out *o, const json_t *all)
{
	size_t i;
	json_t *p;
	json_array_foreach(json_object_get(all, "probe"), i, p) {
		bool ready = is_so(p, "ready");
		line(o, "probe");
		say_place(o, p);
		out_colour(o, ready ? OUT_GOOD : OUT_BAD);
		out_say(o, ready ? " is ready for mail" : " failed");
		out_colour(o, OUT_PLAIN);
		word(o, ": ", ready ? NULL : text_of(p, "said"), "");
		word(o, "; ", text_of(p, "then"), "");
		out_say(o, "\n");
		if (json_is_null(json_object_get(p, "offers")) || !ready)
			continue;
		line(o, "");
		word(o, "", text_of(p, "tls"), "");
		out_say(o, text_of(p, "tls") == NULL ? "in clear\n" : "\n");
		if (text_of(p, "certificate") != NULL) {
			line(o, "");
			word(o, "certificate: ", text_of(p, "certificate"), "\n");
		}
		line(o, "");
		say_list(o, "offers ", json_object_get(p, "offers"), " ");
		word(o, "; AUTH ", text_of(p, "auth"), "");
		out_say(o, "; ready after %lld ms\n", (long long)number_of(p, "milliseconds"));
	}
}

void
explained_say(struct out *o, const json_t *all)
{
	say_address(o, all);
	say_submitted(o, all);
	say_guarded(o, all);
	say_route(o, all);
	say_queue(o, all);
	say_dns(o, all);
	say_hosts(o, all);
	say_sts(o, all);
	say_tls(o, all);
	say_login(o, all);
	say_schedule(o, all);
	say_probe(o, all);
	if (json_array_size(json_object_get(all, "lacks")) == 0)
		return;
	line(o, "not seen");
	say_list(o, "", json_object_get(all, "lacks"), "; ");
	out_say(o, "\n");
}

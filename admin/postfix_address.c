#include "admin/postfix_address.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "admin/postmap.h"
#include "conf/people.h"
#include "conf/recipient_map.h"
#include "lib/cleanup.h"

enum {
	DEPTH = 10,    /* of aliases of aliases */
	LOOKS = 10000, /* in all: names that name each other twice would never end */
};

#define BETWEEN " \t,"

static const char *const recipient_tables[] = { "recipient_canonical_maps", "canonical_maps",
	"virtual_alias_maps", "smtp_generic_maps", "alias_maps", "alias_database" };
static const char *const sender_tables[] = { "sender_canonical_maps", "canonical_maps",
	"smtp_generic_maps" };

enum { TABLES = sizeof(recipient_tables) / sizeof(recipient_tables[0]), ALIASES = TABLES - 2 };

struct addresses {
	struct translation *t;
	struct sheet *main;
	struct postmap tables[TABLES]; /* those for recipients */
	struct postmap local;	       /* mydestination */
	struct span hostname, origin;
	struct buf map;		       /* lines of recipient_map */
	struct buf masquerade, except; /* values of these keys */
	int looked;		       /* how often something was looked up */
	struct buf mailboxes;	       /* names of those of whom that was said, each with LF */
	char own[HOSTNAME_SIZE], mailname[HOSTNAME_SIZE];
};

static void
add_word(struct buf *list, struct span word)
{
	buf_printf(list, "%s%.*s", list->n > 0 ? " " : "", (int)word.n, word.p);
}

/* What stands behind the "@"; empty if there is none. */
static struct span
domain_of(struct span address)
{
	(void)span_cut(&address, '@');
	return address;
}

static struct span
at_domain(struct span address)
{
	struct span domain = domain_of(address);
	return domain.n > 0 ? (struct span){ domain.p - 1, domain.n + 1 } : domain;
}

static struct span
local_part(struct span address)
{
	return span_cut(&address, '@');
}

/* ---- senders ----------------------------------------------------------------------------- */

/* A sender that keeps its local part, in a domain of which all are masqueraded like that. */
static bool
is_covered(const struct postmap *m, const struct postmap_row *row)
{
	const struct postmap_row *all = postmap_find(m, at_domain(row->key));
	return all != NULL && span_ieq(local_part(row->key), local_part(row->value)) &&
	       span_ieq(all->value, at_domain(row->value));
}

static void
put_sender(
	struct addresses *a, const struct postmap *m, const struct postmap_row *row, bool *forced)
{
	struct translation *t = a->t;
	bool domain = row->key.n > 1 && row->key.p[0] == '@';
	postmap_from(t, row);
	if (postmap_is_any(row)) {
		if (!*forced)
			translate_set(t, "force_from", row->value);
		*forced = true;
	} else if (row->kind == POSTMAP_PATTERN) {
		translate_warn(
			t, "senders are not rewritten by patterns; see masquerade and force_from");
	} else if (domain && row->value.n > 1 && row->value.p[0] == '@') {
		buf_printf(&a->masquerade, "%s%.*s=%.*s", a->masquerade.n > 0 ? " " : "",
			(int)row->key.n - 1, row->key.p + 1, (int)row->value.n - 1,
			row->value.p + 1);
	} else if (domain) {
		translate_warn(t,
			"if no mail has other senders: force_from = %.*s, which is for all of them",
			(int)row->value.n, row->value.p);
	} else if (span_ieq(row->key, row->value)) {
		add_word(&a->except, row->key);
	} else if (!is_covered(m, row)) {
		translate_warn(t,
			"%.*s keeps its name as a sender: masquerade is for domains, force_from "
			"for all",
			(int)row->key.n, row->key.p);
	}
}

/* masquerade_domains: what is below one of these is called by it. */
static void
put_domains(struct addresses *a, const struct told *setting)
{
	struct span rest = setting->value;
	translate_from(a->t, a->main, setting);
	for (struct span word; (word = span_word(&rest, BETWEEN)).n > 0;) {
		if (word.p[0] == '!')
			translate_warn(a->t, "%.*s: there are no exceptions for domains",
				(int)word.n, word.p);
		else
			buf_printf(&a->masquerade, "%s.%.*s=%.*s", a->masquerade.n > 0 ? " " : "",
				(int)word.n, word.p, (int)word.n, word.p);
	}
}

static void
put_senders(struct addresses *a)
{
	bool forced = false;
	const struct told *domains = translate_find(a->main, "masquerade_domains");
	struct span except = translate_value(a->main, "masquerade_exceptions");
	for (size_t i = 0; i < sizeof(sender_tables) / sizeof(sender_tables[0]); i++) {
		const struct told *maps = translate_find(a->main, sender_tables[i]);
		struct postmap m = { .n = 0 };
		if (maps == NULL)
			continue;
		translate_from(a->t, a->main, maps);
		postmap_read(&m, a->t, maps->value, POSTMAP_PAIRS);
		for (int k = 0; k < m.n; k++)
			put_sender(a, &m, &m.v[k], &forced);
		translate_from(a->t, a->main, maps);
		if (a->masquerade.n + a->except.n > 0 && domains == NULL)
			translate_say(a->t, "masquerade has what it says of whole domains");
		postmap_free(&m);
	}
	if (domains != NULL)
		put_domains(a, domains);
	if (a->masquerade.n > 0)
		translate_set(a->t, "masquerade", buf_span(&a->masquerade));
	for (struct span word; (word = span_word(&except, BETWEEN)).n > 0;)
		add_word(&a->except, word);
	if (a->except.n > 0)
		translate_set(a->t, "masquerade_except", buf_span(&a->except));
}

/* ---- recipients -------------------------------------------------------------------------- */

/* Mail for this domain goes to mailboxes of this host. */
static bool
is_local(const struct addresses *a, struct span domain)
{
	if (translate_find(a->main, "mydestination") == NULL)
		return span_ieq(domain, a->hostname) || span_ieq(domain, span_of("localhost"));
	return postmap_find(&a->local, domain) != NULL;
}

/* What recipient_map takes a bare name for. */
static bool
is_ours(const struct addresses *a, struct span domain)
{
	return span_ieq(domain, a->hostname) || span_ieq(domain, span_of("localhost"));
}

/* What becomes of an address, or a name at this host, by the tables; NULL: it is final. */
static const struct postmap_row *
look_up(const struct addresses *a, struct span to)
{
	struct span domain = domain_of(to), name = local_part(to);
	bool here = domain.n == 0 || span_ieq(domain, a->origin) || is_local(a, domain);
	const struct postmap_row *row = NULL;
	for (int i = 0; i < TABLES && row == NULL; i++) {
		const struct postmap *m = &a->tables[i];
		if (i >= ALIASES) {
			row = domain.n == 0 || is_local(a, domain) ? postmap_find(m, name) : NULL;
			continue;
		}
		row = postmap_find(m, to);
		if (row == NULL && here)
			row = postmap_find(m, name);
		if (row == NULL && domain.n > 0)
			row = postmap_find(m, at_domain(to));
	}
	return row;
}

/* The next of a row's addresses; what stands between quotation marks is one. */
static struct span
cut_target(struct span *rest)
{
	struct span word = span_word(rest, BETWEEN);
	if (word.n == 0 || word.p[0] != '"')
		return word;
	struct span inside = span_from(word.p + 1, rest->p + rest->n);
	word = span_cut(&inside, '"');
	*rest = inside;
	return word;
}

/* Once of each. */
static void
tell_mailbox(struct addresses *a, struct span name)
{
	struct span rest = buf_span(&a->mailboxes);
	while (rest.n > 0)
		if (span_ieq(span_cut(&rest, '\n'), name))
			return;
	buf_add(&a->mailboxes, name);
	buf_puts(&a->mailboxes, "\n");
	translate_warn(a->t,
		"%.*s has a mailbox on this host, of which Postern has none: say in recipient_map "
		"where that mail goes",
		(int)name.n, name.p);
}

static void
put_final(struct addresses *a, struct buf *list, struct span to)
{
	struct span domain = domain_of(to), rest = buf_span(list);
	auto_buf whole = buf_new(LIMIT_ADDRESS);
	if (is_local(a, domain.n > 0 ? domain : a->origin)) {
		tell_mailbox(a, local_part(to));
		return;
	}
	buf_add(&whole, to);
	if (domain.n == 0)
		buf_printf(&whole, "@%.*s", (int)a->origin.n, a->origin.p);
	for (struct span word; (word = span_word(&rest, BETWEEN)).n > 0;)
		if (span_ieq(word, buf_span(&whole)))
			return;
	buf_printf(list, "%s%.*s", list->n > 0 ? ", " : "", (int)whole.n, whole.p);
}

static void put_targets(struct addresses *a, struct buf *list, const struct postmap_row *row,
	struct span to, int depth);

/* One of those addresses, or who gets mail for it. */
static void
put_target(struct addresses *a, struct buf *list, const struct postmap_row *row, struct span to,
	struct span word, int depth)
{
	auto_buf moved = buf_new(LIMIT_ADDRESS);
	bool itself = word.p[0] == '\\';
	word = itself ? span_skip(word, 1) : word;
	if (word.n == 0)
		return;
	if (word.p[0] == '|' || word.p[0] == '/' || span_istarts(word, span_of(":include:"))) {
		translate_warn(a->t,
			"%.*s: mail goes to addresses, not to programs, files or lists in files",
			(int)word.n, word.p);
		return;
	}
	if (word.p[0] == '@' && to.p[0] != '@') {
		buf_printf(&moved, "%.*s%.*s", (int)local_part(to).n, to.p, (int)word.n, word.p);
		word = buf_span(&moved);
	}
	const struct postmap_row *next = itself ? NULL : look_up(a, word);
	if (next != NULL && next != row && !span_ieq(word, to) && depth < DEPTH)
		put_targets(a, list, next, word, depth + 1);
	else if (word.n > 0 && word.p[0] == '@')
		buf_printf(list, "%s%.*s", list->n > 0 ? ", " : "", (int)word.n, word.p);
	else if (word.n > 0)
		put_final(a, list, word);
}

/* Who gets mail for the key of this row, `to`, by all that is looked up one after the other. */
static void
put_targets(struct addresses *a, struct buf *list, const struct postmap_row *row, struct span to,
	int depth)
{
	struct span rest = row->value;
	for (struct span word; (word = cut_target(&rest)).n > 0;) {
		if (a->looked++ == LOOKS)
			translate_warn(a->t,
				"the addresses from here on are left out: more than %d had to be "
				"looked up",
				LOOKS);
		if (a->looked > LOOKS) {
			list->err = -E2BIG;
			return;
		}
		put_target(a, list, row, to, word, depth);
	}
}

/* A line, if it can be one. */
static void
put_line(struct addresses *a, struct span name, struct span domain, const struct buf *list)
{
	auto_buf line = buf_new(RECIPIENT_MAP_FILE);
	buf_printf(&line, "%.*s%s%.*s: %.*s", (int)name.n, name.p, domain.n > 0 ? "@" : "",
		(int)domain.n, domain.n > 0 ? domain.p : "", (int)list->n, list->p);
	const char *wrong = line.err != 0 ? "too long" : recipient_map_check(buf_span(&line));
	if (wrong != NULL) {
		translate_warn(a->t, "%.*s: %s", (int)name.n, name.p, wrong);
		return;
	}
	buf_add(&a->map, buf_span(&line));
	buf_puts(&a->map, "\n");
}

/* "example.org anything" says that the domain is one of those that have aliases. */
static bool
declares_domain(const struct postmap *m, const struct postmap_row *row)
{
	for (int i = 0; i < m->n; i++)
		if (span_ieq(domain_of(m->v[i].key), row->key))
			return true;
	return memchr(row->key.p, '.', row->key.n) != NULL &&
	       memchr(row->value.p, '@', row->value.n) == NULL;
}

static void
put_recipient(
	struct addresses *a, const struct postmap *m, const struct postmap_row *row, bool is_alias)
{
	struct span key = row->key;
	bool bare = memchr(key.p, '@', key.n) == NULL;
	auto_buf list = buf_new(RECIPIENT_MAP_FILE);
	postmap_from(a->t, row);
	if (row->kind != POSTMAP_KEY) {
		translate_warn(a->t, "recipients are not found by patterns; where all go to one: "
				     "guard = redirect ADDRESS");
		return;
	}
	if (bare && !is_alias && declares_domain(m, row))
		return;
	put_targets(a, &list, row, key, 0);
	if (list.n == 0 || list.err != 0)
		return;
	put_line(a, key, (struct span){ "", 0 }, &list);
	for (int i = 0; i < a->local.n && bare; i++)
		if (!is_ours(a, a->local.v[i].key) && a->local.v[i].kind == POSTMAP_KEY)
			put_line(a, key, a->local.v[i].key, &list);
	if (bare && !is_alias && !is_ours(a, a->origin) && !is_local(a, a->origin))
		put_line(a, key, a->origin, &list);
}

/* The text stands in comments, unless it is written where it belongs. */
static void
put_map(struct addresses *a)
{
	struct span rest = buf_span(&a->map);
	translate_from_nothing(a->t);
	if (a->map.err != 0)
		translate_warn(a->t, "recipient_map has %d octets; not all of the tables fit",
			RECIPIENT_MAP_FILE);
	if (a->map.n == 0)
		return;
	buf_puts(a->t->to, "\n");
	if (translate_file(a->t, "recipient_map", "recipients", rest, 0644) || a->t->files != NULL)
		return;
	translate_say(a->t, "that file is to hold:");
	while (rest.n > 0) {
		struct span line = span_line(&rest);
		translate_say(a->t, "\t%.*s", (int)line.n, line.p);
	}
}

static void
put_recipients(struct addresses *a)
{
	bool local_delivery = translate_find(a->main, "mydestination") == NULL || a->local.n > 0;
	for (int i = 0; i < TABLES; i++) {
		const struct told *maps = translate_find(a->main, recipient_tables[i]);
		/* newaliases alone reads what only alias_database names */
		if (maps == NULL || (i >= ALIASES && !local_delivery) ||
			(i > ALIASES && translate_find(a->main, recipient_tables[ALIASES]) != NULL))
			continue;
		translate_from(a->t, a->main, maps);
		postmap_read(&a->tables[i], a->t, maps->value,
			i >= ALIASES ? POSTMAP_ALIASES : POSTMAP_PAIRS);
	}
	for (int i = 0; i < TABLES; i++)
		for (int k = 0; k < a->tables[i].n; k++) {
			const struct postmap_row *row = &a->tables[i].v[k];
			if (row->kind != POSTMAP_KEY ||
				postmap_find(&a->tables[i], row->key) == row)
				put_recipient(a, &a->tables[i], row, i >= ALIASES);
		}
	put_map(a);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void
find_names(struct addresses *a)
{
	const struct told *local = translate_find(a->main, "mydestination");
	a->hostname = translate_value(a->main, "myhostname");
	if (a->hostname.n == 0 && gethostname(a->own, sizeof(a->own) - 1) == 0)
		a->hostname = span_of(a->own);
	a->origin = translate_value(a->main, "myorigin");
	if (a->origin.n > 0 && a->origin.p[0] == '/') {
		auto_buf path = buf_new(TRANSLATE_LINE);
		buf_add(&path, a->origin);
		buf_add(&path, (struct span){ "", 1 });
		a->origin = path.err == 0 && people_mailname(path.p, a->mailname)
				    ? span_of(a->mailname)
				    : a->hostname;
	}
	if (a->origin.n == 0)
		a->origin = a->hostname;
	if (local == NULL)
		return;
	translate_from(a->t, a->main, local);
	postmap_read(&a->local, a->t, local->value, POSTMAP_LIST);
}

void
postfix_address_put(struct translation *t, struct sheet *s)
{
	struct addresses a = { .t = t,
		.main = s,
		.map = buf_new(RECIPIENT_MAP_FILE),
		.masquerade = buf_new(TRANSLATE_LINE),
		.except = buf_new(TRANSLATE_LINE),
		.mailboxes = buf_new(TRANSLATE_FILE) };
	find_names(&a);
	put_senders(&a);
	put_recipients(&a);
	translate_from_nothing(t);
	for (int i = 0; i < TABLES; i++)
		postmap_free(&a.tables[i]);
	postmap_free(&a.local);
	buf_free(&a.map);
	buf_free(&a.masquerade);
	buf_free(&a.except);
	buf_free(&a.mailboxes);
}

#include "admin/postfix_lists.h"

#include "admin/postmap.h"
#include "lib/cleanup.h"

static void
add_word(struct buf *list, const char *before, struct span word)
{
	buf_printf(list, "%s%s%.*s", list->n > 0 ? " " : "", before, (int)word.n, word.p);
}

/* An exception would make what is written wider than what was meant. */
static bool
is_exception(struct translation *t, struct span word, const char *key)
{
	if (word.p[0] != '!')
		return false;
	translate_warn(t, "%.*s: %s has no exceptions; what it names is not kept out", (int)word.n,
		word.p, key);
	return true;
}

/* Networks, without loopback, which is this host itself. */
void
postfix_lists_nets(struct translation *t, struct sheet *s, const struct told *setting,
	const char *key)
{
	auto_buf list = buf_new(TRANSLATE_FILE);
	struct postmap nets;
	int before = t->warnings;
	(void)s;
	postmap_read(&nets, t, setting->value, POSTMAP_LIST);
	for (int i = 0; i < nets.n; i++) {
		struct span word = nets.v[i].key;
		struct netlist one = { 0 };
		if (span_starts(word, span_of("127.")) || span_starts(word, span_of("[::1]")) ||
			span_starts(word, span_of("[::ffff:127.")) || is_exception(t, word, key))
			continue;
		if (netlist_parse(word, &one) < 0)
			translate_warn(
				t, "%.*s: %s are addresses and networks", (int)word.n, word.p, key);
		else
			add_word(&list, "", word);
		netlist_free(&one);
	}
	if (list.n > 0)
		translate_set(t, key, buf_span(&list));
	else if (t->warnings == before)
		translate_say(t, "this host itself may send anyway");
	postmap_free(&nets);
}

/* Below its domains, too, unless that was taken out of a list which few know. */
void
postfix_lists_domains(
	struct translation *t, struct sheet *s, const struct told *setting, const char *key)
{
	auto_buf list = buf_new(TRANSLATE_FILE);
	struct postmap domains;
	const struct told *parents = translate_find(s, "parent_domain_matches_subdomains");
	bool below = parents == NULL || memmem(parents->value.p, parents->value.n, "relay_domains",
						sizeof("relay_domains") - 1) != NULL;
	postmap_read(&domains, t, setting->value, POSTMAP_LIST);
	for (int i = 0; i < domains.n; i++) {
		struct span word = domains.v[i].key;
		if (is_exception(t, word, key))
			continue;
		if (domains.v[i].kind != POSTMAP_KEY) {
			translate_warn(t, "%.*s: %s are domains, and \".domain\" for what is below",
				(int)word.n, word.p, key);
			continue;
		}
		add_word(&list, "", word);
		if (below && word.p[0] != '.')
			add_word(&list, ".", word);
	}
	if (list.n > 0)
		translate_set(t, key, buf_span(&list));
	postmap_free(&domains);
}

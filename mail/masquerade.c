#include "mail/masquerade.h"

#define BETWEEN " \t,"

/* Cuts "domain=domain" in two. */
static struct span
cut_rule(struct span word, struct span *to)
{
	struct span from = span_cut(&word, '=');
	*to = word;
	return from;
}

bool
masquerade_valid(struct span rules)
{
	for (struct span word, to; (word = span_word(&rules, BETWEEN)).n > 0;) {
		struct span from = cut_rule(word, &to);
		if (!address_is_domain(span_skip(from, from.n > 0 && from.p[0] == '.')) ||
			!address_is_domain(to))
			return false;
	}
	return true;
}

static bool
is_exception(const char *list, const struct address *a)
{
	struct span rest = span_of(list != NULL ? list : "");
	for (struct span word; (word = span_word(&rest, BETWEEN)).n > 0;)
		if (address_same(word, a->local) || address_same(word, a->whole))
			return true;
	return false;
}

static bool
is_below(struct span domain, struct span suffix)
{
	return suffix.n > 0 && suffix.p[0] == '.' && domain.n > suffix.n &&
		span_ieq(suffix, span_skip(domain, domain.n - suffix.n));
}

struct span
masquerade_domain(const struct masquerade *m, const struct address *a)
{
	struct span rest = span_of(m->rules != NULL ? m->rules : "");
	for (struct span word, to; (word = span_word(&rest, BETWEEN)).n > 0;) {
		struct span from = cut_rule(word, &to);
		if (!span_ieq(from, a->domain) && !is_below(a->domain, from))
			continue;
		return is_exception(m->except, a) ? (struct span){ 0 } : to;
	}
	return (struct span){ 0 };
}

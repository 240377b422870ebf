#include "conf/guard.h"

#include "mail/address.h"
#include "mail/match.h"

#define BETWEEN " \t,"

/* Addresses and domains, ".domain" for all that are below; but not all there are. */
static bool
is_list(struct span list)
{
	size_t n = 0;
	for (struct span word; (word = span_word(&list, BETWEEN)).n > 0; n++) {
		struct address a;
		if (address_mailbox(word, &a) < 0 &&
			!address_is_domain(span_skip(word, word.p[0] == '.')))
			return false;
	}
	return n > 0;
}

/* Who gets the mail of all needs no extension to get it. */
static bool
is_target(struct span s)
{
	struct address a;
	return address_mailbox(s, &a) == 0 && span_is_ascii(s);
}

bool
guard_parse(const char *value, struct guard *out)
{
	struct span rest = span_trim(span_of(value != NULL ? value : "no"));
	struct span kind = span_word(&rest, " \t");
	rest = span_trim(rest);
	if (span_ieq(kind, span_of("no")) && rest.n == 0)
		*out = (struct guard){ .kind = GUARD_NONE };
	else if (span_ieq(kind, span_of("allow")) && is_list(rest))
		*out = (struct guard){ GUARD_ALLOW, rest.p };
	else if (span_ieq(kind, span_of("redirect")) && is_target(rest))
		*out = (struct guard){ GUARD_REDIRECT, rest.p };
	else if (span_ieq(kind, span_of("sink")) && rest.n > 1 && rest.p[0] == '/')
		*out = (struct guard){ GUARD_SINK, rest.p };
	else
		return false;
	return true;
}

bool
guard_allows(const struct guard *g, struct span address)
{
	switch (g->kind) {
	case GUARD_ALLOW:
		return match_sender(g->what, address);
	case GUARD_REDIRECT:
		return address_same(address, span_of(g->what));
	case GUARD_SINK:
		return false;
	default:
		return true;
	}
}

#include "mail/match.h"

#include <string.h>

bool
match_domain(const char *list, struct span domain)
{
	struct span rest = span_of(list);
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		if (span_ieq(word, domain) || span_eq(word, span_of("*")))
			return true;
		if (word.p[0] == '.' && domain.n > word.n &&
			span_ieq(word, span_skip(domain, domain.n - word.n)))
			return true;
	}
	return false;
}

bool
match_sender(const char *list, struct span sender)
{
	const char *at = sender.n > 0 ? memrchr(sender.p, '@', sender.n) : NULL;
	struct span rest = span_of(list);
	if (at == NULL)
		return false;
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;)
		if (span_ieq(word, sender))
			return true;
	return match_domain(list, span_from(at + 1, sender.p + sender.n));
}

bool
match_user_sender(struct span senders, struct span address)
{
	senders = span_trim(senders);
	if (senders.n == 0 || address.n == 0)
		return true;
	while (senders.n > 0) {
		struct span word = span_cut(&senders, ' ');
		bool domain = word.n > 0 && word.p[0] == '@';
		if (domain && address.n > word.n &&
			span_ieq(word, span_skip(address, address.n - word.n)))
			return true;
		if (word.n > 0 && !domain && span_ieq(word, address))
			return true;
	}
	return false;
}

#include "mail/match.h"

#include <string.h>

#include "mail/address.h"

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
		if (address_same(word, sender))
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
		if (word.n > 0 && !domain && address_same(word, address))
			return true;
	}
	return false;
}

/* ---- users of this host --------------------------------------------------------------------- */

static const struct span every = { "*", 1 };

/* A number of a user; -1: it is none. */
static int64_t
uid_of(struct span s)
{
	int64_t n = span_number(s);
	return n <= UINT32_MAX ? n : -1;
}

/* "LOW-HIGH", or a number alone. False: it is neither. */
static bool
uid_range(struct span s, int64_t *low, int64_t *high)
{
	struct span first = span_cut(&s, '-');
	*low = uid_of(first);
	*high = s.p == first.p + first.n ? *low : uid_of(s);
	return *low >= 0 && *high >= *low;
}

static bool
names_user(struct span who, const struct match_user *user)
{
	int64_t low, high;
	if (user->nobody)
		return false;
	if (uid_range(who, &low, &high))
		return user->uid >= low && user->uid <= high;
	return user->name.n > 0 && span_eq(who, user->name);
}

/* His name in one of his domains. */
static bool
is_self(const struct match_user *user, struct span address)
{
	char room[LIMIT_ADDRESS];
	const char *at = memrchr(address.p, '@', address.n);
	if (at == NULL || user->nobody || user->name.n == 0 ||
		!span_ieq(address_plain(span_from(address.p, at), room), user->name))
		return false;
	struct span domain = span_from(at + 1, address.p + address.n);
	for (size_t i = 0; i < sizeof(user->domains) / sizeof(user->domains[0]); i++)
		if (user->domains[i].n > 0 && span_ieq(domain, user->domains[i]))
			return true;
	return false;
}

static bool
allows(struct span sender, const struct match_user *user, struct span address)
{
	if (span_eq(sender, every))
		return true;
	if (span_eq(sender, span_of("self")))
		return is_self(user, address);
	return match_user_sender(sender, address);
}

bool
match_local_sender(const char *list, const struct match_user *user, struct span address)
{
	struct span rest = span_of(list);
	bool named = false, own = false, others = false;
	if (address.n == 0)
		return true;
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;) {
		struct span who = span_cut(&word, '=');
		bool his = names_user(who, user);
		named = named || his;
		own = own || (his && allows(word, user, address));
		others = others || (span_eq(who, every) && allows(word, user, address));
	}
	return named ? own : others;
}

/* What useradd takes, and more: no octet that means something in the list. */
static bool
is_user_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c == '_' && i == 0) ||
			    (i > 0 && c != '\0' &&
				(ascii_digit(c) || strchr("_.-$@", c) != NULL))))
			return false;
	}
	return s.n > 0;
}

bool
match_local_any(const char *list, const struct match_user *user)
{
	return match_local_sender(list, user, span_of("@")); /* nobody's: for it is "*" alone */
}

bool
match_is_local_rule(struct span word)
{
	struct address a;
	int64_t low, high;
	struct span who = span_cut(&word, '=');
	if (!span_eq(who, every) && !uid_range(who, &low, &high) && !is_user_name(who))
		return false;
	return span_eq(word, every) || span_eq(word, span_of("self")) ||
		(word.n > 1 && word.p[0] == '@' && address_is_domain(span_skip(word, 1))) ||
		address_mailbox(word, &a) == 0;
}

bool
match_local_names(const char *list)
{
	struct span rest = span_of(list);
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;)
		if (!span_eq(word, span_of("*=*")))
			return true;
	return false;
}

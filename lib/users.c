#include "users.h"

#include <stdio.h>

/* The part of *s up to `end`; *s moves behind it. */
static struct span
cut(struct span *s, char end)
{
	const char *p = s->n > 0 ? memchr(s->p, end, s->n) : NULL;
	struct span part = p != NULL ? span_from(s->p, p) : *s;
	*s = span_skip(*s, part.n + (p != NULL));
	return part;
}

bool
users_find(struct span text, struct span name, struct user *out)
{
	bool found = false;
	while (text.n > 0) {
		struct span line = cut(&text, '\n');
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		struct user u = { .name = cut(&line, ':') };
		u.secrets = cut(&line, ':');
		u.senders = line;
		if (!found && u.name.n > 0 && span_eq(u.name, name)) {
			*out = u; /* and go on: the time tells nothing */
			found = true;
		}
	}
	return found;
}

bool
users_secret(const struct user *u, const char *kind, char out[static USERS_SECRET])
{
	struct span rest = u->secrets, want = span_of(kind);
	while (rest.n > 0) {
		struct span word = cut(&rest, ' ');
		if (word.n < want.n || memcmp(word.p, want.p, want.n) != 0)
			continue;
		if (kind[0] == '{')
			word = span_skip(word, want.n);
		if (word.n >= USERS_SECRET)
			return false;
		snprintf(out, USERS_SECRET, "%.*s", (int)word.n, word.p);
		return true;
	}
	return false;
}

bool
users_may_send(struct span senders, struct span address)
{
	senders = span_trim(senders);
	if (senders.n == 0 || address.n == 0)
		return true;
	while (senders.n > 0) {
		struct span word = cut(&senders, ' ');
		bool domain = word.n > 0 && word.p[0] == '@';
		if (domain && address.n > word.n &&
			span_ieq(word, span_skip(address, address.n - word.n)))
			return true;
		if (word.n > 0 && !domain && span_ieq(word, address))
			return true;
	}
	return false;
}

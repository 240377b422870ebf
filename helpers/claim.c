#include "helpers/claim.h"

#include <errno.h>
#include <stdio.h>

bool
claim_read_users(struct claim *c)
{
	const char *file = c->conf.auth.users;
	int r = file != NULL ? users_read(file, &c->users, &c->length) : 0;
	errno = -r;
	return r == 0;
}

struct span
claim_users(const struct claim *c)
{
	return span_without_mark((struct span){ c->users, c->length });
}

struct password_file
claim_file(const struct claim *c)
{
	return (struct password_file){ claim_users(c), c->conf.auth.case_sensitive == CONF_YES };
}

void
claim_find_user(struct claim *c, const char *name)
{
	const struct password_file file = claim_file(c);
	c->user = (struct user){ 0 };
	c->known = users_find(file.text, span_of(name), file.exact, &c->user);
	struct span found = c->known ? c->user.name : span_of(name);
	snprintf(c->name, sizeof(c->name), "%.*s", (int)found.n, found.p);
}

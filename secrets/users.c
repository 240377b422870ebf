#include "secrets/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/file.h"

int
users_read(const char *path, char **text, size_t *n)
{
	auto_fd fd = file_open(path);
	char *p = fd < 0 ? NULL : file_read(fd, USERS_MAX, n);
	if (p == NULL)
		return -errno;
	*text = p;
	return 0;
}

/* The next line that is somebody's; `line` counts from 1. */
static bool
next_user(struct span *text, struct user *out)
{
	while (text->n > 0) {
		struct span line = span_line(text);
		out->line++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		out->name = span_cut(&line, ':');
		out->secrets = span_cut(&line, ':');
		out->senders = line;
		if (out->name.n > 0)
			return true;
	}
	return false;
}

bool
users_find(struct span text, struct span name, bool exact, struct user *out)
{
	enum { NONE, ALIKE, SAME } found = NONE, fits;
	for (struct user u = { 0 }; next_user(&text, &u);) {
		fits = span_eq(u.name, name) ? SAME
			: !exact && span_ieq(u.name, name) ? ALIKE
							   : NONE;
		if (fits > found) {
			*out = u; /* and go on: the time tells nothing */
			found = fits;
		}
	}
	return found != NONE;
}

bool
users_namesake(struct span text, struct span name, struct user *out)
{
	struct span wanted = span_cut(&name, '@');
	for (struct user u = { 0 }; next_user(&text, &u);) {
		struct span rest = u.name;
		if (span_trim(u.senders).n > 0 && span_ieq(span_cut(&rest, '@'), wanted)) {
			*out = u;
			return true;
		}
	}
	return false;
}

unsigned
users_stray_cr(struct span text)
{
	return span_stray_cr_at(text);
}

struct span
users_first_secrets(struct span text)
{
	for (struct user u = { 0 }; next_user(&text, &u);)
		if (u.secrets.n > 0)
			return u.secrets;
	return (struct span){ 0 };
}

bool
users_secret(const struct user *u, const char *kind, char out[static USERS_SECRET])
{
	struct span rest = u->secrets, want = span_of(kind);
	while (rest.n > 0) {
		struct span word = span_cut(&rest, ' ');
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
users_is_odd(const struct user *u)
{
	static const char *const kinds[] = { "{SCRAM-SHA-256}", "{SCRAM-SHA-1}", "$", "*", "!" };
	struct span rest = u->secrets;
	bool any = false;
	for (struct span word; (word = span_word(&rest, " ")).n > 0;) {
		any = true;
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (word.n >= strlen(kinds[i]) &&
				memcmp(word.p, kinds[i], strlen(kinds[i])) == 0)
				return false;
	}
	return any;
}

unsigned
users_odd(struct span text)
{
	for (struct user u = { 0 }; next_user(&text, &u);)
		if (users_is_odd(&u))
			return u.line;
	return 0;
}

bool
users_first_secret(struct span text, const char *kind, char out[static USERS_SECRET])
{
	out[0] = '\0';
	for (struct user u = { 0 }; next_user(&text, &u);)
		if (users_secret(&u, kind, out))
			return true;
	return false;
}

#include "submit/recipients.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "mail/address.h"
#include "mail/addrlist.h"
#include "mail/aliases.h"

enum {
	DEPTH_MAX = 10,     /* aliases of aliases */
	STEPS_MAX = 100000, /* values of all of them, for one that has many of many */
	SHOWN = 100,    /* octets of what is quoted to the user */
	WHY_MAX = 1000,
};

struct recipients
recipients_new(struct span aliases)
{
	return (struct recipients){ .aliases = aliases, .why = buf_new(WHY_MAX) };
}

void
recipients_free(struct recipients *r)
{
	free(r->v);
	buf_free(&r->why);
}

static int
refuse(struct recipients *r, int status, struct span what, const char *wrong)
{
	buf_reset(&r->why);
	buf_puts(&r->why, "\"");
	buf_escape(&r->why, what, SHOWN);
	buf_printf(&r->why, "\" %s", wrong);
	return status;
}

static bool
is_there(const struct recipients *r, struct span address)
{
	for (size_t i = 0; i < r->n; i++)
		if (span_eq(span_of(r->v[i].address), address))
			return true;
	return false;
}

static int
keep(struct recipients *r, struct span address, bool bare)
{
	enum { FIRST = 16 };
	if (is_there(r, address))
		return EX_OK;
	if (r->n == RECIPIENTS_MAX)
		return refuse(r, EX_DATAERR, address, "is one recipient too many");
	if (r->n == r->room) {
		size_t room = r->room > 0 ? 2 * r->room : FIRST;
		struct recipient *v = reallocarray(r->v, room, sizeof(*v));
		if (v == NULL)
			return refuse(r, EX_TEMPFAIL, address, "cannot be kept: no memory");
		r->v = v;
		r->room = room;
	}
	struct recipient *new = &r->v[r->n++];
	snprintf(new->address, sizeof(new->address), "%.*s", (int)address.n, address.p);
	new->bare = bare;
	return EX_OK;
}

/* Is it an address, once it has a domain? */
static bool
is_address(struct span text, bool bare)
{
	char whole[LIMIT_PATH + sizeof("@localhost")];
	struct address a;
	int n = snprintf(whole, sizeof(whole), "%.*s%s", (int)text.n, text.p,
		bare ? "@localhost" : "");
	return n > 0 && n < (int)sizeof(whole) &&
		address_mailbox((struct span){ whole, (size_t)n }, &a) == 0;
}

/* Without the name that every host has for itself (RFC 6761 section 6.3). */
static void
strip_localhost(struct listed *a)
{
	char *at = memrchr(a->text, '@', a->n);
	if (a->bare || at == NULL)
		return;
	struct span domain = { at + 1, a->n - (size_t)(at + 1 - a->text) };
	if (!span_ieq(domain, span_of("localhost")) &&
		!span_ieq(domain, span_of("localhost.localdomain")))
		return;
	*at = '\0';
	a->n = (size_t)(at - a->text);
	a->bare = true;
}

static int add_list(struct recipients *r, struct span list, struct span from, int depth);

/* One value of the alias `name`. */
static int
add_value(struct recipients *r, const struct alias *value, struct span name, int depth)
{
	switch (value->kind) {
	case ALIAS_FINAL:
		return is_address(value->text, true)
			? keep(r, value->text, true)
			: refuse(r, EX_CONFIG, name, "has an alias that is no name");
	case ALIAS_PROGRAM:
		return refuse(r, EX_CONFIG, name,
			"is an alias for a program, and Postern runs none");
	case ALIAS_FILE:
		return refuse(r, EX_CONFIG, name,
			"is an alias for a file, and Postern writes to none");
	case ALIAS_INCLUDE:
		return refuse(r, EX_CONFIG, name,
			"is an alias that includes a file, which Postern does not read");
	default:
		return add_list(r, value->text, name, depth);
	}
}

/* The recipients that a name stands for. `from` is the alias that it came from, or empty. */
static int
add_name(struct recipients *r, struct span name, struct span from, int depth)
{
	struct span values;
	struct alias value;
	if (aliases_same(name, from) || !aliases_find(r->aliases, name, &values))
		return keep(r, name, true);
	bool any = false;
	while (aliases_value(&values, &value)) {
		if (depth == DEPTH_MAX || ++r->steps > STEPS_MAX)
			return refuse(r, EX_CONFIG, name, "is an alias of aliases without an end");
		int status = add_value(r, &value, name, depth + 1);
		if (status != EX_OK)
			return status;
		any = true;
	}
	return any ? EX_OK : refuse(r, EX_CONFIG, name, "is an alias for nobody");
}

static int
add_list(struct recipients *r, struct span list, struct span from, int depth)
{
	struct span rest = list;
	struct listed a;
	int found;
	while ((found = addrlist_next(&rest, &a)) > 0) {
		strip_localhost(&a);
		struct span text = { a.text, a.n };
		if (!is_address(text, a.bare))
			return refuse(r, EX_DATAERR, text, "is no address");
		int status = a.bare ? add_name(r, text, from, depth) : keep(r, text, false);
		if (status != EX_OK)
			return status;
	}
	return found == 0 ? EX_OK : refuse(r, EX_DATAERR, span_trim(span_chomp(list)),
		"is no list of addresses");
}

int
recipients_add(struct recipients *r, struct span list)
{
	return add_list(r, list, (struct span){ 0 }, 0);
}

bool
recipients_one(struct span text, struct recipient *out)
{
	struct listed a, more;
	int found = addrlist_next(&text, &a);
	if (found < 0 || (found > 0 && addrlist_next(&text, &more) != 0))
		return false;
	if (found == 0)
		a = (struct listed){ 0 };
	strip_localhost(&a);
	if (a.n > 0 && !is_address((struct span){ a.text, a.n }, a.bare))
		return false;
	snprintf(out->address, sizeof(out->address), "%s", a.text);
	out->bare = a.bare && a.n > 0;
	return true;
}

#include "conf/target.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "mail/address.h"

static int
parse_socket(struct span path, struct target *out)
{
	struct target t = { .kind = TARGET_SOCKET };
	if (path.n == 0 || path.p[0] != '/' ||
		path.n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -EINVAL;
	memcpy(t.name, path.p, path.n);
	*out = t;
	return 0;
}

/* What stands before a port: a name, or in brackets an address or a name. */
static int
parse_host(struct span s, struct target *t)
{
	bool brackets = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
	if (brackets)
		s = (struct span){ s.p + 1, s.n - 2 };
	t->kind = TARGET_ADDRESS;
	if (brackets && netaddr_parse(s, &t->addr) == 0)
		return 0;
	if (!address_is_domain(s))
		return -EINVAL;
	t->kind = brackets || t->port != 0 ? TARGET_HOST : TARGET_DOMAIN;
	memcpy(t->name, s.p, s.n);
	return 0;
}

bool
target_name_possible(struct span name)
{
	while (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	const char *dot = name.n > 0 ? memrchr(name.p, '.', name.n) : NULL;
	struct span last = dot != NULL ? span_from(dot + 1, name.p + name.n) : name;
	return last.n > 0 && span_digits(last).n < last.n;
}

int
target_parse(struct span word, struct target *out)
{
	static const struct span unix = { "unix:", 5 };
	struct target t = { 0 };
	if (span_istarts(word, unix))
		return parse_socket(span_skip(word, unix.n), out);
	const char *from = word.n > 0 ? memrchr(word.p, ']', word.n) : NULL;
	if (from == NULL)
		from = word.p;
	const char *colon = word.n > 0 ? memchr(from, ':', (size_t)(word.p + word.n - from)) : NULL;
	if (colon != NULL) {
		int port = net_port(span_from(colon + 1, word.p + word.n));
		if (port < 0)
			return -EINVAL;
		t.port = (uint16_t)port;
		word = span_from(word.p, colon);
	}
	if (parse_host(word, &t) < 0)
		return -EINVAL;
	*out = t;
	return 0;
}

bool
target_all_have_ports(const char *hosts)
{
	struct span rest = span_of(hosts);
	struct target t;
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;)
		if (target_parse(word, &t) < 0 || (t.port == 0 && t.kind != TARGET_SOCKET))
			return false;
	return true;
}

bool
target_all_named(const char *hosts)
{
	struct span rest = span_of(hosts);
	struct target t;
	for (struct span word; (word = span_word(&rest, " \t,")).n > 0;)
		if (target_parse(word, &t) < 0 || t.kind == TARGET_DOMAIN)
			return false;
	return true;
}

int
target_sources(struct span list, struct sources *out)
{
	struct sources s = { 0 };
	for (struct span word; (word = span_word(&list, " \t,")).n > 0;) {
		struct netaddr a;
		if (netaddr_parse(word, &a) < 0)
			return -EINVAL;
		bool *has = netaddr_is_v4(&a) ? &s.has4 : &s.has6;
		if (*has)
			return -EINVAL;
		*has = true;
		*(netaddr_is_v4(&a) ? &s.v4 : &s.v6) = a;
	}
	*out = s;
	return 0;
}

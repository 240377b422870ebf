#include "conf/target.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

enum { NAME_MAX_TEXT = 253 }; /* what fits into the 255 octets of RFC 1035 */

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

/* Letters, digits, "-" and, for names of containers have it, "_". */
static bool
is_label(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		if (!ascii_digit(c) && (c < 'a' || c > 'z') && c != '-' && c != '_')
			return false;
	}
	return s.n > 0 && s.n <= LIMIT_LABEL && s.p[0] != '-';
}

/*
 * Can this be the name of a host? Not if it ends in a number: all that reads names takes that for
 * an address, and it is none, or it would have been read as one (L48).
 */
static bool
is_name(struct span s)
{
	struct span label = { NULL, 0 };
	if (s.n > NAME_MAX_TEXT)
		return false;
	for (struct span rest = s; rest.n > 0;) {
		label = span_cut(&rest, '.');
		if (!is_label(label))
			return false;
	}
	bool hex = span_istarts(label, span_of("0x"));
	return label.n > 0 && s.p[s.n - 1] != '.' && !hex && span_digits(label).n < label.n;
}

/* What stands before a port: an address or a name, perhaps in brackets. */
static int
parse_host(struct span s, struct target *t)
{
	bool brackets = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
	if (brackets)
		s = (struct span){ s.p + 1, s.n - 2 };
	if (brackets && span_istarts(s, span_of("IPv6:")))
		s = span_skip(s, strlen("IPv6:"));
	t->kind = TARGET_ADDRESS;
	if (netaddr_parse(s, &t->addr) == 0)
		return 0;
	if (s.n > 1 && s.p[s.n - 1] == '.') /* the root, where all names end */
		s.n--;
	if (!is_name(s))
		return -EINVAL;
	t->kind = brackets || t->port != 0 ? TARGET_HOST : TARGET_DOMAIN;
	memcpy(t->name, s.p, s.n);
	return 0;
}

/* A port, and `host` what stands before it. 0: none is there; -EINVAL. */
static int
split_port(struct span word, struct span *host)
{
	struct netaddr a;
	const char *from = memrchr(word.p, ']', word.n);
	*host = word;
	if (netaddr_parse(word, &a) == 0) /* its colons lead to no port */
		return 0;
	if (from == NULL)
		from = word.p;
	const char *colon = memchr(from, ':', (size_t)(word.p + word.n - from));
	if (colon == NULL)
		return 0;
	*host = span_from(word.p, colon);
	return net_port(span_from(colon + 1, word.p + word.n));
}

int
target_parse(struct span word, struct target *out)
{
	static const struct span unix = { "unix:", 5 };
	struct target t = { 0 };
	if (span_istarts(word, unix))
		return parse_socket(span_skip(word, unix.n), out);
	struct span host;
	int port = word.n > 0 ? split_port(word, &host) : -EINVAL;
	if (port < 0)
		return -EINVAL;
	t.port = (uint16_t)port;
	if (parse_host(host, &t) < 0)
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

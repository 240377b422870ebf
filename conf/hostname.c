#include "conf/hostname.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/target.h"
#include "lib/cleanup.h"
#include "mail/address.h"

enum { NAME_SHOWN = 100 };

static bool
is_dash(char c)
{
	return c == '-' || c == '_';
}

/* A label, as a domain may have it: LDH, and no dash at its ends. */
static void
add_label(struct buf *name, struct span label)
{
	while (label.n > 0 && is_dash(label.p[0]))
		label = span_skip(label, 1);
	while (label.n > 0 && is_dash(label.p[label.n - 1]))
		label.n--;
	if (name->n > 0)
		buf_puts(name, ".");
	for (size_t i = 0; i < label.n; i++)
		buf_add(name, (struct span){ is_dash(label.p[i]) ? "-" : label.p + i, 1 });
}

/* RFC 6761 section 6.3: what every host is called, so that it names none. */
static bool
is_everybody(struct span name)
{
	struct span first = span_cut(&name, '.');
	return span_ieq(first, span_of("localhost")) &&
		(name.n == 0 || span_istarts(name, span_of("localdomain")));
}

bool
hostname_of(struct span given, char out[static HOSTNAME_SIZE])
{
	auto_buf name = buf_new(LIMIT_DOMAIN);
	struct netaddr address;
	struct target t; /* what ends in a number is no host to others */
	while (given.n > 0 && given.p[given.n - 1] == '.')
		given.n--;
	if (netaddr_parse(given, &address) == 0) {
		netaddr_literal(&address, out);
		return true;
	}
	while (given.n > 0)
		add_label(&name, span_cut(&given, '.'));
	if (name.err != 0 || name.n == 0 || !address_is_domain(buf_span(&name)) ||
		target_parse(buf_span(&name), &t) < 0 || is_everybody(buf_span(&name)))
		return false;
	snprintf(out, HOSTNAME_SIZE, "%.*s", (int)name.n, name.p);
	return true;
}

/* How well an address names this host to others; 0: not at all. */
static int
fitness(enum netclass class)
{
	switch (class) {
	case NET_PUBLIC:
		return 3;
	case NET_PRIVATE:
		return 2;
	case NET_LOOPBACK:
		return 1;
	default:
		return 0;
	}
}

/* The best address of this host, as a literal. */
static void
own_literal(char out[static HOSTNAME_SIZE])
{
	struct ifaddrs *list = NULL;
	struct netaddr address;
	int best = 0;
	snprintf(out, HOSTNAME_SIZE, "[127.0.0.1]");
	if (getifaddrs(&list) < 0)
		return;
	for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || netaddr_from(i->ifa_addr, &address) < 0 ||
			fitness(netaddr_class(&address)) <= best)
			continue;
		best = fitness(netaddr_class(&address));
		netaddr_literal(&address, out);
	}
	freeifaddrs(list);
}

void
hostname_default(char out[static HOSTNAME_SIZE], struct buf *doubt)
{
	char given[HOSTNAME_SIZE] = "";
	(void)gethostname(given, sizeof(given) - 1);
	if (!hostname_of(span_of(given), out))
		own_literal(out);
	bool same = strcmp(given, out) == 0;
	if (same && strchr(out, '.') != NULL)
		return;
	buf_puts(doubt, "hostname is not set, and the system's name, \"");
	buf_escape(doubt, span_of(given), NAME_SHOWN);
	buf_printf(doubt, same ? "\", has no domain: other hosts may refuse it"
			       : "\", is no name for mail: it is %s here", out);
}

#include "lib/wrapper.h"

#include <string.h>

extern char **environ;

/* Variables that hold the address of a client; of a name that begins with "*", its end counts. */
static const struct variable {
	const char *name;
	bool may_be_name; /* some write a host's name there, and its address into another */
	bool has_port;    /* behind a colon, and then IPv6 is in brackets */
	bool web;         /* a web server's, too (RFC 3875 section 4.1) */
} variables[] = {
	{ "TCPREMOTEIP", false, false, false },   /* ucspi-tcp, ipsvd, s6-networking, couriertcpd */
	{ "TCPREMOTEADDR", false, true, false },  /* tcpsvd of busybox and toybox */
	{ "TCP6REMOTEIP", false, false, false },  /* ucspi-tcp6 */
	{ "SSLREMOTEIP", false, false, false },   /* ucspi-ssl */
	{ "NCAT_REMOTE_ADDR", false, false, false },
	{ "*_PEERADDR", false, false, false },    /* socat: SOCAT_, or its own name's */
	{ "REMOTE_ADDR", false, false, true },    /* systemd, websocketd */
	{ "REMOTE_HOST", true, false, true },     /* stunnel, xinetd */
};

/* Is it a variable of that wrapper? HTTP_* are not its word but that of a web server's client. */
static bool
has_end(struct span name, struct span end)
{
	static const struct span header = { "HTTP_", 5 };
	return name.n > end.n && span_eq(span_skip(name, name.n - end.n), end) &&
		!span_starts(name, header);
}

/* Which of the variables a text "NAME=value" of the environment sets. NULL: none of them. */
static const struct variable *
variable_of(struct span name)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		struct span want = span_of(variables[i].name);
		if (want.p[0] == '*') {
			if (has_end(name, span_skip(want, 1)))
				return &variables[i];
		} else if (span_eq(name, want)) {
			return &variables[i];
		}
	}
	return NULL;
}

static struct span
without_port(struct span s)
{
	const char *colon = s.n > 0 ? memrchr(s.p, ':', s.n) : NULL;
	bool port = colon != NULL && net_port(span_skip(s, (size_t)(colon + 1 - s.p))) > 0;
	return port ? span_from(s.p, colon) : s;
}

/* An address, which may stand in brackets and have a scope ("fe80::1%eth0"). */
static bool
parse_address(const struct variable *v, struct span s, struct netaddr *out)
{
	s = span_unbracket(v->has_port ? without_port(s) : s);
	return netaddr_parse(span_cut(&s, '%'), out) == 0;
}

/* By all variables that say so; they must agree. */
enum wrapper_word
wrapper_client(struct netaddr *out)
{
	bool told = false, named = false;
	for (char **e = environ; e != NULL && *e != NULL; e++) {
		struct netaddr a;
		struct span value = span_of(*e), name = span_cut(&value, '=');
		const struct variable *v = variable_of(name);
		if (v == NULL)
			continue;
		if (!parse_address(v, value, &a)) {
			if (!v->may_be_name)
				return WRAPPER_NONSENSE;
			named = true;
			continue;
		}
		if (told && !netaddr_eq(&a, out))
			return WRAPPER_NONSENSE;
		*out = a;
		told = true;
	}
	return told ? WRAPPER_ADDRESS : named ? WRAPPER_NONSENSE : WRAPPER_NOTHING;
}

bool
wrapper_is_there(bool script)
{
	for (char **e = environ; e != NULL && *e != NULL; e++) {
		struct span rest = span_of(*e);
		const struct variable *v = variable_of(span_cut(&rest, '='));
		if (v != NULL && !(script && v->web))
			return true;
	}
	return false;
}

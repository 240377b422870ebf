#include "session/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

extern char **environ;

enum { OVERFLOW_UID = 65534 };

/* ---- what a wrapper says ------------------------------------------------------------------- */

/* Variables that hold the address of a client; of a name that begins with "*", its end counts. */
static const struct variable {
	const char *name;
	bool may_be_name; /* some write a host's name there, and its address into another */
	bool has_port;    /* behind a colon, and then IPv6 is in brackets */
} variables[] = {
	{ "TCPREMOTEIP", false, false },   /* ucspi-tcp, ipsvd, s6-networking, couriertcpd */
	{ "TCPREMOTEADDR", false, true },  /* tcpsvd of busybox and toybox */
	{ "TCP6REMOTEIP", false, false },  /* ucspi-tcp6 */
	{ "SSLREMOTEIP", false, false },   /* ucspi-ssl */
	{ "NCAT_REMOTE_ADDR", false, false },
	{ "*_PEERADDR", false, false },    /* socat: SOCAT_, or the name that it was started by */
	{ "REMOTE_ADDR", false, false },   /* systemd, websocketd */
	{ "REMOTE_HOST", true, false },    /* stunnel, xinetd */
};

enum told { TOLD_NOTHING, TOLD_NONSENSE, TOLD_ADDRESS };

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

/* Where the client is, by all variables that say so; they must agree. */
static enum told
ask_wrappers(struct netaddr *out)
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
				return TOLD_NONSENSE;
			named = true;
			continue;
		}
		if (told && !netaddr_eq(&a, out))
			return TOLD_NONSENSE;
		*out = a;
		told = true;
	}
	return told ? TOLD_ADDRESS : named ? TOLD_NONSENSE : TOLD_NOTHING;
}

/* ---- what the kernel says ------------------------------------------------------------------- */

static void
settle(struct peer *p, enum peer_place place, const struct netaddr *addr)
{
	p->place = place;
	p->user = false;
	p->addr = addr != NULL ? *addr : (struct netaddr){ 0 };
	if (addr != NULL)
		netaddr_literal(addr, p->text);
	else
		snprintf(p->text, sizeof(p->text), place == PEER_HERE ? "local" : "unknown");
}

/*
 * Has every user of the system a number of its own here? In a namespace of users those that it does
 * not know have one number together, which may be ours.
 */
static bool
tells_users_apart(void)
{
	char text[64] = "";
	auto_fd fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return false;
	struct span s = span_of(text);
	return span_number(span_word(&s, " \n")) == 0 && span_number(span_word(&s, " \n")) == 0 &&
		span_number(span_word(&s, " \n")) == UINT32_MAX;
}

/* Root and ourselves. */
static bool
is_trusted_user(uid_t uid)
{
	return uid == 0 || (uid == geteuid() && (uid != OVERFLOW_UID || tells_users_apart()));
}

/* By the user who made the other end of a UNIX socket. */
static void
judge_user(int fd, struct peer *p)
{
	struct ucred c;
	socklen_t n = sizeof(c);
	bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0 && n == sizeof(c);
	settle(p, known && is_trusted_user(c.uid) ? PEER_HERE : PEER_UNKNOWN, NULL);
	if (!known)
		return;
	p->user = true;
	p->uid = c.uid;
	p->nobody = c.uid == OVERFLOW_UID && !tells_users_apart();
	if (p->place == PEER_UNKNOWN)
		snprintf(p->text, sizeof(p->text), "uid=%u", c.uid);
}

/* Keeps the name of the UNIX socket `fd`, by which the configuration knows a proxy. */
static void
name_listener(int fd, struct peer *p)
{
	struct sockaddr_un un = { 0 };
	socklen_t n = sizeof(un);
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	if (getsockname(fd, (struct sockaddr *)&un, &n) < 0 || n <= head)
		n = (socklen_t)head;
	size_t length = (n < sizeof(un) ? n : sizeof(un)) - head;
	if (length > 0 && un.sun_path[0] == '\0')
		un.sun_path[0] = '@';
	snprintf(p->listener, sizeof(p->listener), "%.*s", length > 0 ? (int)length : 1,
		length > 0 ? un.sun_path : "*");
}

/* Where the client of a connected socket is, if no wrapper says so. */
static void
judge_socket(int fd, const struct sockaddr *sa, struct peer *p)
{
	struct netaddr addr;
	if (netaddr_from(sa, &addr) == 0) {
		settle(p, PEER_AT, &addr);
	} else if (sa->sa_family == AF_UNIX) {
		name_listener(fd, p);
		judge_user(fd, p);
	} else {
		settle(p, PEER_UNKNOWN, NULL);
	}
}

/* 1: a socket; 0: something else, and *p is untouched; or -errno. */
static int
ask_kernel(int fd, struct peer *p)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	int listens = 0;
	socklen_t size = sizeof(listens);
	if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0) {
		p->named = ss.ss_family == AF_UNIX && n > offsetof(struct sockaddr_un, sun_path);
		judge_socket(fd, (struct sockaddr *)&ss, p);
		return 1;
	}
	if (errno == ENOTSOCK || errno == EBADF)
		return 0;
	int err = errno;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0)
		return -EOPNOTSUPP;
	return -err;
}

int
peer_of(int in, int out, struct peer *peer)
{
	struct peer p = { 0 };
	struct netaddr told;
	settle(&p, PEER_HERE, NULL);
	int r = ask_kernel(in, &p);
	if (r < 0)
		return r;
	p.socket = r > 0;
	if (r == 0 && (r = ask_kernel(out, &p)) < 0)
		return r;
	bool elsewhere = p.place == PEER_AT && !netaddr_is_loopback(&p.addr);
	enum told word = elsewhere ? TOLD_NOTHING : ask_wrappers(&told);
	if (p.named && getenv("REMOTE_ADDR") != NULL)
		word = TOLD_NONSENSE; /* the name of its socket, for all we know */
	if (word != TOLD_NOTHING)
		settle(&p, word == TOLD_ADDRESS ? PEER_AT : PEER_UNKNOWN,
			word == TOLD_ADDRESS ? &told : NULL);
	*peer = p;
	return 0;
}

/* ---- proxies ------------------------------------------------------------------------------- */

bool
peer_is_proxy(const struct peer *p, const struct conf_receive *c)
{
	struct span list = span_of(c->proxies.sockets != NULL ? c->proxies.sockets : "");
	if (p->place == PEER_AT && netlist_contains(&c->proxies.nets, &p->addr))
		return true;
	/* Where users come in, each of them would be one, who could be at any address he names. */
	bool any = c->local_users != CONF_YES;
	for (struct span word; p->listener[0] != '\0' && (word = span_word(&list, " ")).n > 0;)
		if (span_eq(word, span_of("*")) ? any : span_eq(word, span_of(p->listener)))
			return true;
	return false;
}

void
peer_become(struct peer *p, const struct netaddr *client)
{
	p->relayed = true;
	settle(p, PEER_AT, client);
}

void
peer_stay_proxy(struct peer *p)
{
	p->proxy = true;
	p->user = false;
}

/* ---- what follows --------------------------------------------------------------------------- */

bool
peer_is_user(const struct peer *p, const struct conf_receive *c)
{
	return p->user && c->local_users == CONF_YES && !peer_is_proxy(p, c);
}

bool
peer_is_bound(const struct peer *p, const struct conf_receive *c)
{
	return peer_is_user(p, c) && p->place != PEER_HERE;
}

/* A program or a user of this host, and not by its network. */
static bool
is_here(const struct peer *p, const struct conf_receive *c)
{
	return p->place == PEER_HERE || peer_is_user(p, c);
}

bool
peer_is_local(const struct peer *p, const struct conf_receive *c)
{
	bool here = is_here(p, c) ||
		(p->place == PEER_AT && netaddr_is_loopback(&p->addr) && !p->relayed);
	return here && c->relay_local == CONF_YES;
}

bool
peer_is_direct(const struct peer *p, const struct conf_receive *c)
{
	return is_here(p, c) && !p->proxy && peer_is_local(p, c);
}

bool
peer_may_relay(const struct peer *p, const struct conf_receive *c)
{
	return !p->proxy && (peer_is_local(p, c) ||
		(p->place == PEER_AT && netlist_contains(&c->relay_nets, &p->addr)));
}

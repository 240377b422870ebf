#include "session/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/wrapper.h"

enum { OVERFLOW_UID = 65534 };

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
	enum wrapper_word word = elsewhere ? WRAPPER_NOTHING : wrapper_client(&told);
	if (p.named && getenv("REMOTE_ADDR") != NULL)
		word = WRAPPER_NONSENSE; /* the name of its socket, for all we know */
	if (word != WRAPPER_NOTHING)
		settle(&p, word == WRAPPER_ADDRESS ? PEER_AT : PEER_UNKNOWN,
			word == WRAPPER_ADDRESS ? &told : NULL);
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

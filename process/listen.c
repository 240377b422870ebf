#include "process/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/net.h"

/* What the kernel keeps until a worker accepts; the sysctl net.core.somaxconn may lower it. */
enum { BACKLOG = 1024 };

/* ---- handed over ---------------------------------------------------------------------------- */

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t n = sizeof(on);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on != 0;
}

/* A variable's number, or -1. */
static int64_t
number_in(const char *name)
{
	const char *value = getenv(name);
	return value != NULL ? span_number(span_of(value)) : -1;
}

int
listen_inherited(void)
{
	int64_t n = number_in("LISTEN_FDS");
	if (n <= 0 || number_in("LISTEN_PID") != getpid() || !is_listening(LISTEN_FIRST))
		return 0;
	if (n > OPTIONS_LISTEN)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (!is_listening(LISTEN_FIRST + i))
			return -EINVAL;
	return (int)n;
}

/* ---- bound here ----------------------------------------------------------------------------- */

static void
switch_on(int fd, int level, int option)
{
	const int on = 1;
	(void)setsockopt(fd, level, option, &on, sizeof(on));
}

/* A socket at this address, or -errno. One that is not there yet is no reason to wait for it. */
static int
bind_to(const struct sockaddr_storage *ss, socklen_t n, bool both)
{
	int only = !both;
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
	switch_on(fd, IPPROTO_IP, IP_FREEBIND);
	if (ss->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (bind(fd, (const struct sockaddr *)ss, n) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int err = errno;
	close(fd);
	return -err;
}

/* At every address of this host: IPv6, which has IPv4 too, or that alone where there is no IPv6. */
static int
bind_anywhere(uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_storage ss = { 0 };
	memcpy(&ss, &six, sizeof(six));
	int fd = bind_to(&ss, sizeof(six), true);
	if (fd != -EAFNOSUPPORT)
		return fd;
	memcpy(&ss, &four, sizeof(four));
	return bind_to(&ss, sizeof(four), true);
}

/* Cuts a text in front of its port. The port, or -1. */
static int
cut_port(struct span text, struct span *host)
{
	const char *colon = text.n > 0 ? memrchr(text.p, ':', text.n) : NULL;
	if (colon == NULL)
		return -1;
	*host = span_from(text.p, colon);
	return net_port(span_skip(text, host->n + 1));
}

socklen_t
listen_parse(struct span text, struct sockaddr_storage *ss)
{
	struct netaddr addr;
	struct span host;
	int port = cut_port(text, &host);
	if (port < 0)
		return 0;
	bool bracketed = span_unbracket(host).n < host.n;
	if (netaddr_parse(span_unbracket(host), &addr) < 0 || netaddr_is_v4(&addr) == bracketed)
		return 0;
	return netaddr_to(&addr, (uint16_t)port, ss);
}

/* "192.0.2.1:25", "[2001:db8::1]:25", "*:25". A socket, or -errno. */
static int
bind_text(struct span text)
{
	struct sockaddr_storage ss;
	struct span host;
	int port = cut_port(text, &host);
	if (port >= 0 && span_eq(host, span_of("*")))
		return bind_anywhere((uint16_t)port);
	socklen_t n = listen_parse(text, &ss);
	return n > 0 ? bind_to(&ss, n, false) : -EINVAL;
}

int
listen_bind(const struct options *o, struct buf *why)
{
	for (int i = 0; i < o->listeners; i++) {
		int fd = bind_text(span_of(o->listen[i]));
		if (fd == LISTEN_FIRST + i)
			continue;
		buf_printf(why, "--listen %s: %s", o->listen[i],
			fd == -EINVAL  ? "not ADDRESS:PORT, [IPv6]:PORT or *:PORT"
				: fd < 0 ? strerror(-fd) : "descriptors are in the way");
		return fd < 0 ? fd : -EBUSY;
	}
	return o->listeners;
}

/* ---- both ----------------------------------------------------------------------------------- */

bool
listen_is_over(int n)
{
	struct pollfd at[OPTIONS_LISTEN];
	const struct timespec at_once = { 0 };
	bool over = false;
	for (int i = 0; i < n; i++)
		at[i] = (struct pollfd){ .fd = LISTEN_FIRST + i, .events = POLLRDHUP };
	(void)ppoll(at, (nfds_t)n, &at_once, NULL); /* which who is locked in may call */
	for (int i = 0; i < n; i++)
		over = over || at[i].revents != 0;
	return over;
}

void
listen_ready(int n)
{
	for (int fd = LISTEN_FIRST; fd < LISTEN_FIRST + n; fd++) {
		int flags = fcntl(fd, F_GETFL);
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

int
listen_hand_over(int n)
{
	char pid[24], count[24];
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	snprintf(count, sizeof(count), "%d", n);
	for (int fd = LISTEN_FIRST; fd < LISTEN_FIRST + n; fd++)
		if (fcntl(fd, F_SETFD, 0) < 0)
			return -errno;
	return setenv("LISTEN_PID", pid, 1) < 0 || setenv("LISTEN_FDS", count, 1) < 0 ? -errno : 0;
}

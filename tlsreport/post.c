#include "tlsreport/post.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/fetching.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/handover.h"
#include "mail/address.h"
#include "process/log.h"
#include "tlsreport/bounds.h"

enum {
	HTTPS = 443,
	/* HTTP: what says that another time may do better (RFC 9110 section 15, RFC 6585) */
	TIMEOUT = 408, TOO_EARLY = 425, TOO_MANY = 429,
};

/* ---- descriptors --------------------------------------------------------------------------- */

/* One octet, with a descriptor, or none: -1. */
static bool
pass(int socket, int fd)
{
	return handover_send(socket, "F", 1, &fd, fd >= 0) == 0;
}

/* False: the other side is gone. *fd is what came, or -1. */
static bool
take(int socket, int *fd)
{
	char octet;
	int fds[HANDOVER_FDS];
	ssize_t got = handover_receive(socket, &octet, 1, 0, fds);
	for (int i = 1; i < HANDOVER_FDS; i++)
		cleanup_fd(&fds[i]);
	*fd = fds[0];
	return got > 0;
}

/* A socket to a fetch that has this connection; -1: it cannot be started. */
static int
start_one(int connection, const struct launcher *l)
{
	int ends[2];
	if (connection < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	pid_t pid = fetching_start(l, (const int[]){ ends[1], connection });
	close(ends[1]);
	if (pid > 0)
		return ends[0];
	close(ends[0]);
	return -1;
}

/* A fetch has ended; each way to do so that is none of its work is told once. */
static void
tell_end(const struct launcher *l, int status)
{
	static int told;
	struct log_fields f = { .event = "launch" };
	auto_buf why = buf_new(LIMIT_COMMAND);
	if (!fetching_has_failed(status, &why) || status == told)
		return;
	told = status;
	log_event(LOG_ERR, &f, "fetch_path %s: %.*s", l->conf->who.fetch_path, (int)why.n, why.p);
}

/*
 * Those that have ended, but for this one: or each would keep its number until that does. How many.
 */
static int
reap_others(pid_t one, const struct launcher *l)
{
	siginfo_t i = { .si_pid = 0 };
	int status, n = 0;
	while (waitid(P_ALL, 0, &i, WEXITED | WNOHANG | WNOWAIT) == 0 && i.si_pid > 0 &&
		i.si_pid != one) {
		if (waitpid(i.si_pid, &status, 0) > 0)
			tell_end(l, status);
		i.si_pid = 0;
		n++;
	}
	return n;
}

void
post_start_all(int socket, pid_t maker, const struct launcher *l)
{
	int running = 0;
	for (int connection; take(socket, &connection);) {
		running -= reap_others(maker, l);
		auto_fd end = running < POST_FETCHES ? start_one(connection, l) : -1;
		running += end >= 0;
		cleanup_fd(&connection);
		if (!pass(socket, end))
			return;
	}
}

/* ---- one report ---------------------------------------------------------------------------- */

/*
 * Those below 1024 belong to services of other protocols, which nobody may have us speak HTTPS to.
 */
static bool
is_port(int64_t n)
{
	return n == HTTPS || (n >= 1024 && n <= UINT16_MAX);
}

/* "https://host:port/path": what is behind "#" is not for the host. False: no domain, no port. */
static bool
read_url(const char *url, struct fetch_question *q)
{
	struct span rest = span_skip(span_of(url), strlen("https://")), host = rest;
	rest = span_cut(&rest, '#');
	host = rest;
	for (host.n = 0; host.n < rest.n && strchr("/?", rest.p[host.n]) == NULL; host.n++)
		;
	struct span path = span_skip(rest, host.n), port = host, name = span_cut(&port, ':');
	int64_t number = name.n < host.n ? span_number(port) : HTTPS;
	if (!address_is_domain(name) || !is_port(number) ||
		path.n + 1 >= sizeof(q->path))
		return false;
	q->port = (uint32_t)number;
	snprintf(q->host, sizeof(q->host), "%.*s", (int)name.n, name.p);
	snprintf(q->path, sizeof(q->path), "%s%.*s",
		path.n == 0 || path.p[0] != '/' ? "/" : "", (int)path.n, path.n > 0 ? path.p : "");
	snprintf(q->type, sizeof(q->type), "application/tlsrpt+gzip");
	return true;
}

/* What the web server said. */
static int
judge(uint32_t status, struct buf *why)
{
	enum { OK = 200, OTHER = 300, CLIENT = 400, SERVER = 500 };
	if (status >= OK && status < OTHER)
		return 0;
	buf_reset(why);
	buf_printf(why, "HTTP status %u", (unsigned)status);
	return status >= CLIENT && status < SERVER && status != TIMEOUT && status != TOO_EARLY &&
		status != TOO_MANY ? -EPERM : -EAGAIN;
}

/* Over this connection. As post_report. */
static int
post_by(const struct poster *p, int connection, const struct fetch_question *q, const char *packed,
	int64_t deadline, struct buf *why)
{
	struct fetch_reply reply;
	auto_buf body = buf_new(FETCH_REPLY);
	int fd = -1;
	if (!pass(p->starter, connection) || !take(p->starter, &fd) || fd < 0) {
		buf_printf(why, "cannot start %s", p->conf->who.fetch_path);
		return -ECHILD;
	}
	auto_fd end = fd;
	enum fetch_trouble t = fetching_ask(end, q, packed, deadline, &reply, &body, why);
	if (t == FETCH_DONE)
		return judge(reply.status, why);
	return t == FETCH_NONE ? -ECHILD : clock_left(deadline) == 0 ? -ETIMEDOUT : -EAGAIN;
}

/*
 * To a web server inside (allow_destinations) a report may go only if the domain that it is about
 * names one of its own. A certificate for that is what no other one inside has; else anybody's
 * record could have us post to any of them, and to any path.
 */
static int
connect_to(const struct poster *p, const struct fetch_question *q, int64_t deadline,
	struct buf *why)
{
	bool own = bounds_is_own(span_of(q->host), span_of(p->domain));
	return (own ? fetching_connect : fetching_connect_outside)(p->resolver, p->conf, q->host,
		(uint16_t)q->port, deadline, why);
}

int
post_report(const struct poster *p, const char *url, struct span packed, struct buf *why)
{
	struct fetch_question q = { .post = (uint32_t)packed.n };
	int64_t deadline = clock_deadline(p->seconds);
	buf_reset(why);
	if (packed.n > FETCH_POST || !read_url(url, &q)) {
		buf_puts(why, "not a URL that a report can be posted to");
		return -EPERM;
	}
	auto_fd connection = connect_to(p, &q, deadline, why);
	if (connection == FETCHING_UNABLE)
		return -ECHILD;
	if (connection < 0)
		return clock_left(deadline) == 0 ? -ETIMEDOUT : -EAGAIN;
	return post_by(p, connection, &q, packed.p, deadline, why);
}

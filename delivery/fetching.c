#include "delivery/fetching.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delivery/destinations.h"
#include "lib/clock.h"
#include "lib/wait.h"
#include "sending/dial.h"

enum {
	ADDRESSES = 4, /* of a host that are tried, for there is one time for all */
	/* s for fetch to be there, on a host that is busy; a time of its own, for what the web
	 * server has left of the other one says nothing of this host */
	START = 10,
	NOT_LOADED = 127, /* exit status of the C library's loader, and of a shell */
};

/* ---- the connection ------------------------------------------------------------------------ */

/* One address. A descriptor or -errno. */
static int
connect_to(const struct exchanger *to, const char *source, int64_t deadline)
{
	int err = 0;
	socklen_t n = sizeof(err);
	int fd = dial_begin(to, source);
	if (fd < 0)
		return fd;
	int r = wait_for(fd, POLLOUT, deadline, NULL);
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		err = errno;
	if (r == 0 && err == 0)
		return fd;
	close(fd);
	return r < 0 ? r : -err;
}

/* Does this -errno say that it is this host that cannot? No route is one of the other host, too. */
static bool
is_shortage(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS;
}

static int
connect_any(const struct conf *conf, struct exchangers *x, uint16_t port, int64_t deadline,
	struct buf *why)
{
	int fd = -1;
	for (size_t i = 0; i < x->n && i < ADDRESSES && fd < 0; i++) {
		int64_t until = clock_deadline(conf->delivery.timeout_connect);
		char name[DIAL_NAME];
		x->v[i].port = port;
		dial_name(&x->v[i], name);
		fd = connect_to(&x->v[i], conf->delivery.source, clock_earlier(until, deadline));
		buf_reset(why);
		buf_printf(why, "%s: connect: %s", name, strerror(-fd));
	}
	return is_shortage(fd) ? FETCHING_UNABLE : fd < 0 ? -1 : fd;
}

int
fetching_connect(struct resolver *r, const struct conf *conf, const char *host, uint16_t port,
	int64_t deadline, struct buf *why)
{
	struct exchangers x = { 0 };
	int fd = -1;
	struct resolver *plain = resolver_copy(r); /* DANE is no business of web servers */
	if (plain == NULL) {
		buf_puts(why, strerror(ENOMEM));
		return FETCHING_UNABLE;
	}
	resolver_use_dane(plain, 0);
	enum answer a = resolver_addresses(plain, host, conf->delivery.family, deadline, &x);
	resolver_close(plain);
	if (a != ANSWER_FOUND) {
		buf_printf(why, "DNS: %s", x.why);
		fd = x.unreached ? FETCHING_UNABLE : -1;
	} else if (!destinations_vet(conf, &conf->delivery, &x)) {
		buf_printf(why, "%s has no address that is connected to (loopback, private, ...; "
			"see allow_destinations)", host);
	} else {
		fd = connect_any(conf, &x, port, deadline, why);
	}
	exchangers_free(&x);
	return fd;
}

int
fetching_connect_outside(struct resolver *r, const struct conf *conf, const char *host,
	uint16_t port, int64_t deadline, struct buf *why)
{
	struct conf outside = *conf; /* its texts and lists stay the other's */
	outside.relay.allow_destinations = (struct netlist){ 0 };
	return fetching_connect(r, &outside, host, port, deadline, why);
}

/* ---- the program --------------------------------------------------------------------------- */

pid_t
fetching_start(const struct launcher *l, const int fds[static 2])
{
	return launch_brief(l, "fetch", l->conf->who.fetch_path, fds, FETCH_LIFE);
}

static const char *
reason_of_signal(int number)
{
	return number == SIGALRM ? ", for it did not end in its time"
		: number == SIGXCPU ? ", for it has kept a processor busy for too long" : "";
}

bool
fetching_has_failed(int status, struct buf *why)
{
	buf_reset(why);
	if (WIFSIGNALED(status))
		buf_printf(why, "it was killed by signal %d%s", WTERMSIG(status),
			reason_of_signal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		buf_printf(why, "it ended with status %d%s", WEXITSTATUS(status),
			WEXITSTATUS(status) == NOT_LOADED ? ": is a library missing?" : "");
	return why->n > 0;
}

/* ---- the question -------------------------------------------------------------------------- */

/* All n octets. False: it has ended, or the time is over. */
static bool
send_all(int fd, const void *p, size_t n, int64_t deadline)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = send(fd, (const char *)p + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && (errno != EAGAIN || wait_for(fd, POLLOUT, deadline, NULL) < 0))
			return false;
		done += r > 0 ? (size_t)r : 0;
	}
	return true;
}

static bool
receive_all(int fd, void *p, size_t n, int64_t deadline)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = wait_for(fd, POLLIN, deadline, NULL) == 0
			? recv(fd, (char *)p + done, n - done, MSG_DONTWAIT) : 0;
		if (r == 0 || (r < 0 && errno != EAGAIN))
			return false;
		done += r > 0 ? (size_t)r : 0;
	}
	return true;
}

static bool
receive_body(int fd, size_t n, int64_t deadline, struct buf *body)
{
	char part[4096];
	while (body->n < n && body->err == 0) {
		size_t some = n - body->n < sizeof(part) ? n - body->n : sizeof(part);
		if (!receive_all(fd, part, some, deadline))
			return false;
		buf_add(body, (struct span){ part, some });
	}
	return body->err == 0;
}

enum fetch_trouble
fetching_ask(int fd, const struct fetch_question *q, const char *post, int64_t deadline,
	struct fetch_reply *reply, struct buf *body, struct buf *why)
{
	struct fetch_question timed = *q;
	char ready = 0;
	buf_reset(why);
	buf_reset(body);
	if (!receive_all(fd, &ready, 1, clock_deadline(START)) || ready != FETCH_READY) {
		buf_puts(why, "no fetch can be started on this host");
		return FETCH_NONE;
	}
	timed.ms = (uint32_t)clock_left(deadline); /* not before: its beginning took some of it */
	if (!send_all(fd, &timed, sizeof(timed), deadline) ||
		!send_all(fd, post, q->post, deadline) ||
		!receive_all(fd, reply, sizeof(*reply), deadline) || reply->n > FETCH_REPLY ||
		!receive_body(fd, reply->n, deadline, body)) {
		buf_puts(why, clock_left(deadline) == 0 ? "timed out"
							: "fetch ended without an answer");
		return FETCH_FAILED;
	}
	reply->type[sizeof(reply->type) - 1] = reply->why[sizeof(reply->why) - 1] = '\0';
	if (reply->trouble != FETCH_DONE)
		buf_escape(why, span_of(reply->why), LIMIT_LOG_TEXT);
	return reply->trouble == FETCH_CERTIFICATE ? FETCH_CERTIFICATE
		: reply->trouble == FETCH_DONE     ? FETCH_DONE : FETCH_FAILED;
}

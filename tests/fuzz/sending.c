/*
 * Replies of a server of SMTP or LMTP to a whole conversation (F2 to F5, F9, F12, F18). What we send
 * has lines, what we keep is printable, and nothing is done that was not answered with 2xx.
 *
 * The server says its next reply when that is waited for: so this target has waits of its own, in
 * place of lib/wait.c. A "+" before a reply has it said together with the one before.
 */
#include "sending/begin.h"
#include "sending/sasl.h"
#include "sending/sending.h"
#include "sending/tlsclient.h"
#include "lib/wait.h"
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY "Subject: x\r\n\r\n.\r\nbody\r\n"

enum { JOBS = 3, RCPTS = 2, SENT_MAX = 64 * 1024, INPUT_MAX = 4096 };

static struct link l; /* large */
static bool lmtp;
static struct span script; /* what the server still has to say */
static int server = -1;

/* ---- waits ---------------------------------------------------------------------------------- */

/* Up to the end of a reply, or of all. */
static struct span
next_reply(void)
{
	const char *start = script.p;
	bool more = script.n > 0;
	while (more) {
		struct span line = { script.p, script.n };
		const char *lf = memchr(line.p, '\n', line.n);
		script = lf != NULL ? span_skip(line, (size_t)(lf + 1 - line.p)) : span_skip(line, line.n);
		size_t n = line.n - script.n;
		more = script.n > 0 && ((n > 3 && line.p[3] == '-') || script.p[0] == '+');
	}
	return span_from(start, script.p);
}

static void
say_next(void)
{
	static char octets[INPUT_MAX]; /* in one piece: a socket has room for a few hundred, not for more */
	struct span said = next_reply();
	size_t n = 0;
	for (size_t i = 0; i < said.n; i++)
		if (said.p[i] != '+' || (i > 0 && said.p[i - 1] != '\n'))
			octets[n++] = said.p[i];
	must(send(server, octets, n, MSG_DONTWAIT) == (ssize_t)n);
	if (script.n == 0)
		shutdown(server, SHUT_WR);
}

bool
wait_is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	return poll(&p, 1, 0) > 0;
}

int
wait_which(int fd, short events, int64_t deadline, const volatile int *stop)
{
	(void)deadline;
	(void)stop;
	if (!wait_is_ready(fd, events))
		say_next();
	return wait_is_ready(fd, events) ? events : -ETIMEDOUT;
}

int
wait_for(int fd, short events, int64_t deadline, const volatile int *stop)
{
	int r = wait_which(fd, events, deadline, stop);
	return r < 0 ? r : 0;
}

/* ---- what must be so ------------------------------------------------------------------------ */

static void
check_text(const struct buf *b)
{
	for (size_t i = 0; i < b->n; i++)
		must(b->p[i] >= ' ' && b->p[i] <= '~'); /* E6 */
}

/* What the server got: lines that end in CRLF, and no end of data but ours (A7). */
static void
check_sent(int fd)
{
	static char sent[SENT_MAX];
	ssize_t n = recv(fd, sent, sizeof(sent), MSG_DONTWAIT);
	const char *tls = n > 0 ? memmem(sent, (size_t)n, "STARTTLS\r\n", 10) : NULL;
	if (tls != NULL) /* what follows may be a handshake */
		n = tls + 10 - sent;
	for (ssize_t i = 0; i < n; i++) {
		must(sent[i] != '\n' || (i > 0 && sent[i - 1] == '\r'));
		must(sent[i] != '\r' || i + 1 == n || sent[i + 1] == '\n');
	}
	must(n < (ssize_t)sizeof(sent));
}

/*
 * Whoever counts as served was answered with 2xx (by LMTP before the connection was lost, perhaps),
 * and whoever was not tried knows nothing.
 */
static void
check_job(const struct job *j)
{
	must(j->end != JOB_OPEN);
	for (int i = 0; i < RCPTS; i++) {
		const struct rcpt *r = j->to[i];
		bool told = j->end == JOB_ANSWERED || (lmtp && j->end == JOB_LOST);
		must(r->outcome != DONE ||
			(told && memmem(r->text.p, r->text.n, ": 2", 3) != NULL));
		must(r->text.err == 0 && (r->text.n > 0) == (j->end != JOB_UNTRIED));
		must(j->end != JOB_UNTRIED || r->outcome == SOFT);
		check_text(&r->text);
	}
}

struct set {
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
};

static void
make_jobs(struct set *s, const struct message *m)
{
	for (int j = 0; j < JOBS; j++) {
		s->jobs[j] = (struct job){ .m = m, .n = RCPTS };
		for (int i = 0; i < RCPTS; i++) {
			s->rcpt[j][i] = (struct rcpt){ .address = span_of("r@r.example"),
				.index = i, .outcome = SOFT, .text = buf_new(2 * LIMIT_REPLY_TEXT) };
			s->jobs[j].to[i] = &s->rcpt[j][i];
		}
	}
}

static void
free_jobs(struct set *s)
{
	for (int j = 0; j < JOBS; j++)
		for (int i = 0; i < RCPTS; i++)
			buf_free(&s->rcpt[j][i].text);
}

static void
send_all(struct job *jobs)
{
	unsigned can = l.host.can;
	int64_t max_size = l.host.limit.size;
	int started = 0, landed = 0;
	while (landed < JOBS) {
		if (started < JOBS && !sending_full(&l)) {
			sending_start(&l, &jobs[started++]);
			continue;
		}
		must(sending_land(&l) == &jobs[landed]); /* in order */
		check_job(&jobs[landed++]);
	}
	must((l.host.can & ~can) == 0 && l.host.limit.size == max_size); /* BDAT may go (L10) */
	must(l.flow.jobs == 0 && l.flow.replies == 0 && l.flow.octets == 0);
}

/* How the relay would set it up. */
static void
set_terms(const struct conf_delivery *conf, const struct login *who, int window)
{
	static struct tls_setup setup = { .authorities = -1 };
	l.terms = (struct link_terms){ .name = "mx.example[192.0.2.1]:25", .conf = conf,
		.hostname = "us.example", .timeout_tls = 1, .min_data_rate = 1, .window_size = 1 << 20,
		.policy = DELIVERY_TLS_MAY, .tls_setup = &setup,
		.peer = { .dir = -1, .host = "mx.example" }, .login = who, .window = window, .discards = window > 1 };
}

static void
converse(struct span replies, int window)
{
	static struct conf_delivery conf = { .timeout_greeting = 1, .timeout_helo = 1, .timeout_mail = 1, .timeout_rcpt = 1,
		.timeout_data_start = 1, .timeout_data_block = 1, .timeout_data_end = 1,
		.timeout_quit = 1, .auth_clear = CONF_YES };
	static int body = -1;
	static char user[] = "us", token[] = "secret";
	static const struct login who = { .user = user, .token = token };
	struct set set;
	int fd[2];
	conf.protocol = lmtp ? PROTOCOL_LMTP : PROTOCOL_SMTP;
	if (body < 0) {
		body = memfd_create("body", MFD_CLOEXEC);
		must(write(body, BODY, strlen(BODY)) == (ssize_t)strlen(BODY));
	}
	const struct message m = { .fd = body, .length = strlen(BODY),
		.env = { .sender = span_of("s@s.example"), .body = BODY_8BITMIME } };
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	must(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
	script = replies;
	server = fd[1];
	make_jobs(&set, &m);
	set_terms(&conf, memmem(replies.p, replies.n, "AUTH ", 5) != NULL ? &who : NULL, window);
	if (begin_link(&l, fd[0]) == DONE) {
		send_all(set.jobs);
		link_quit(&l, INT64_MAX);
	}
	check_text(&l.text);
	check_sent(fd[1]);
	link_close(&l);
	close(fd[1]);
	free_jobs(&set);
	buf_free(&l.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && size <= INPUT_MAX)
		for (int i = 0; i < 4; i++) {
			lmtp = i % 2 != 0;
			converse((struct span){ (const char *)data, size }, i < 2 ? 1 : JOBS);
		}
	return 0;
}

/*
 * Replies of a server of SMTP or LMTP, all of them at once, to a whole conversation (F2 to F5, F9, F12, F18). What
 * we send has lines, what we keep is printable, and nothing is done that was not answered with 2xx.
 */
#include "../../delivery/client.c"

#include "delivery/sasl.h"
#include "delivery/sending.h"
#include "fuzz.h"

#include <sys/mman.h>
#include <sys/socket.h>

#define BODY "Subject: x\r\n\r\n.\r\nbody\r\n"

enum { JOBS = 3, RCPTS = 2, SENT_MAX = 64 * 1024, INPUT_MAX = 100 * 1024 };

static struct client c; /* large */
static bool lmtp;

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
	for (ssize_t i = 0; i < n; i++) {
		must(sent[i] != '\n' || (i > 0 && sent[i - 1] == '\r'));
		must(sent[i] != '\r' || i + 1 == n || sent[i + 1] == '\n');
	}
	must(n < (ssize_t)sizeof(sent));
}

/*
 * Whoever counts as served was answered with 2xx (by LMTP before the connection was lost, perhaps), and whoever
 * was not tried knows nothing.
 */
static void
check_job(const struct job *j)
{
	must(j->end != JOB_OPEN);
	for (int i = 0; i < RCPTS; i++) {
		const struct rcpt *r = j->to[i];
		must(r->outcome != DONE || ((j->end == JOB_ANSWERED || (lmtp && j->end == JOB_LOST)) && memmem(r->text.p, r->text.n, ": 2", 3) != NULL));
		must(r->text.err == 0 && (r->text.n > 0) == (j->end != JOB_UNTRIED));
		must(j->end != JOB_UNTRIED || r->outcome == SOFT);
		check_text(&r->text);
	}
}

static void
converse(struct span replies, int window)
{
	static struct conf conf = { .hostname = (char *)(uintptr_t)"us.example",
		.timeout_greeting = 1, .timeout_helo = 1, .timeout_mail = 1, .timeout_rcpt = 1,
		.timeout_data_start = 1, .timeout_data_block = 1, .timeout_data_end = 1,
		.timeout_quit = 1, .window_size = 1 << 20 };
	static int body = -1;
	static struct tls_setup setup = { .authorities = -1 };
	static char user[] = "us", token[] = "secret";
	static const struct credentials who = { .user = user, .token = token, .clear = true };
	conf.protocol = lmtp ? PROTOCOL_LMTP : PROTOCOL_SMTP;
	struct rcpt rcpt[JOBS][RCPTS];
	struct job jobs[JOBS];
	int fd[2];
	if (body < 0) {
		body = memfd_create("body", MFD_CLOEXEC);
		must(write(body, BODY, strlen(BODY)) == (ssize_t)strlen(BODY));
	}
	struct message m = { .fd = body, .env = { .sender = span_of("s@s.example"), .body = BODY_8BITMIME },
		.length = strlen(BODY) };
	for (int j = 0; j < JOBS; j++) {
		jobs[j] = (struct job){ .m = &m, .n = RCPTS };
		for (int i = 0; i < RCPTS; i++) {
			rcpt[j][i] = (struct rcpt){ .address = span_of("r@r.example"), .index = i,
				.outcome = SOFT, .text = buf_new(2 * LIMIT_REPLY) };
			jobs[j].to[i] = &rcpt[j][i];
		}
	}
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	must(send(fd[1], replies.p, replies.n, MSG_DONTWAIT) == (ssize_t)replies.n);
	shutdown(fd[1], SHUT_WR);
	c.fd = fd[0];
	c.conf = &conf;
	c.text.max = LIMIT_REPLY;
	snprintf(c.name, sizeof(c.name), "mx.example[192.0.2.1]:25");
	stream_init(&c.stream, c.fd, c.fd, true, NULL);
	c.window = window;
	c.policy = DELIVERY_TLS_MAY;
	c.tls_setup = &setup;
	c.peer = (struct resume){ .dir = -1, .host = "mx.example" };
	c.credentials = memmem(replies.p, replies.n, "AUTH ", 5) != NULL ? &who : NULL;
	if (introduce(&c) == DONE) {
		unsigned can = c.can;
		int64_t max_size = c.max_size;
		int started = 0, landed = 0;
		while (landed < JOBS) {
			if (started < JOBS && !sending_full(&c)) {
				sending_start(&c, &jobs[started++]);
				continue;
			}
			must(sending_land(&c) == &jobs[landed]); /* in order */
			check_job(&jobs[landed++]);
		}
		must(c.can == can && c.max_size == max_size && c.jobs == 0 && c.replies == 0 && c.octets == 0);
		client_quit(&c);
	}
	check_text(&c.text);
	check_sent(fd[1]);
	client_close(&c);
	close(fd[1]);
	for (int j = 0; j < JOBS; j++)
		for (int i = 0; i < RCPTS; i++)
			buf_free(&rcpt[j][i].text);
	buf_free(&c.text);
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

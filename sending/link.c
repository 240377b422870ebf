#include "sending/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "sending/tlsclient.h"

enum { CODE_DIGITS = 3, REPLY_LINES = 200, WHY_SIZE = 512 };

void
link_say(struct link *l, const char *what, const char *why)
{
	l->code = 0;
	buf_reset(&l->text);
	buf_printf(&l->text, "%s: %s", what, why);
}

static const char *
failure(enum stream_result r)
{
	switch (r) {
	case STREAM_TIMEOUT:
		return "timed out";
	case STREAM_EOF:
		return "connection closed by the host";
	case STREAM_TOO_LONG:
	case STREAM_FLOOD:
	case STREAM_BAD:
		return "not a reply";
	default:
		return "connection lost";
	}
}

/* RFC 5321 section 4.2: three digits, then blank, hyphen or nothing. 0 if it is none. */
static int
reply_code(struct span line)
{
	if (line.n < CODE_DIGITS || line.p[0] < '2' || line.p[0] > '5')
		return 0;
	for (int i = 1; i < CODE_DIGITS; i++)
		if (line.p[i] < '0' || line.p[i] > '9')
			return 0;
	if (line.n > CODE_DIGITS && line.p[CODE_DIGITS] != ' ' && line.p[CODE_DIGITS] != '-')
		return 0;
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

enum outcome
link_outcome(int code)
{
	return code >= 200 && code < 300 ? DONE : code >= 500 ? HARD : SOFT;
}

/*
 * Asks the system to acknowledge at once what the host sends. A host that writes each reply by
 * itself waits for the acknowledgement of the first (Nagle), which would go out after 40 ms. The
 * system forgets the wish, so it is repeated before each wait.
 */
static void
hasten(const struct link *l)
{
	const int one = 1;
	if (!stream_pending(&l->stream))
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

int
link_listen(struct link *l, const char *to_what, int64_t seconds, link_learns *learns)
{
	int64_t deadline = clock_deadline(seconds);
	struct span line;
	l->code = 0;
	buf_reset(&l->text);
	hasten(l);
	for (int i = 0; i < REPLY_LINES; i++) {
		enum stream_result r = stream_line(&l->stream, LIMIT_REPLY_LINE, LIMIT_REPLY,
			deadline, &line);
		int code = r == STREAM_OK ? reply_code(line) : 0;
		if (code == 0 || (l->code != 0 && l->code != code)) {
			link_say(l, to_what, failure(r == STREAM_OK ? STREAM_BAD : r));
			return -EIO;
		}
		if (learns != NULL && i > 0 && link_outcome(code) == DONE && line.n > CODE_DIGITS)
			learns(&l->host, span_skip(line, CODE_DIGITS + 1));
		l->code = code;
		if (l->text.n < LIMIT_LOG_TEXT)
			buf_escape(&l->text, i > 0 ? span_skip(line, CODE_DIGITS) : line,
				LIMIT_LOG_TEXT);
		if (line.n == CODE_DIGITS || line.p[CODE_DIGITS] == ' ')
			return 0;
	}
	link_say(l, to_what, "endless reply");
	return -EIO;
}

int
link_reply(struct link *l, const char *to_what, int64_t seconds)
{
	return link_listen(l, to_what, seconds, NULL);
}

void
link_put(struct link *l, struct span bytes, int64_t seconds)
{
	stream_put(&l->stream, bytes, clock_deadline(seconds));
}

void
link_puts(struct link *l, const char *text, int64_t seconds)
{
	link_put(l, span_of(text), seconds);
}

int
link_ask(struct link *l, const char *command, const char *argument, int64_t seconds)
{
	link_puts(l, command, seconds);
	link_puts(l, argument, seconds);
	link_puts(l, "\r\n", seconds);
	return link_reply(l, command, seconds);
}

bool
link_judge(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (l->proof.tls == NULL || l->terms.target[0] == '\0')
		return false;
	if (l->proof.trust == TRUST_UNKNOWN)
		l->proof.trust = tlsclient_verify(l->proof.tls, l->terms.target, &why)
			? TRUSTED : NOT_TRUSTED;
	return l->proof.trust == TRUSTED;
}

void
link_describe(const struct link *l, struct buf *out)
{
	bool verified = l->terms.policy == DELIVERY_TLS_VERIFY || l->proof.trust == TRUSTED;
	if (l->proof.tls != NULL)
		tlsclient_describe(l->proof.tls, out);
	buf_puts(out, l->proof.tls == NULL ? "in clear"
			: verified ? ", verified" : ", not verified");
	if (l->proof.mechanism != NULL)
		buf_printf(out, ", authenticated by %s", l->proof.mechanism);
}

bool
link_is_spoiled(const struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	return stream_pending(&l->stream) ||
		(l->proof.tls != NULL ? tlsclient_has_news(l->proof.tls) : poll(&p, 1, 0) != 0);
}

void
link_wake(struct link *l)
{
	if (link_is_spoiled(l))
		link_close(l);
}

void
link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	tlsclient_free(l->proof.tls);
	l->proof.tls = NULL;
	l->stream.below = NULL;
	l->stream.broken = true; /* what is still put goes nowhere */
}

void
link_quit(struct link *l)
{
	if (l->fd < 0)
		return;
	(void)link_ask(l, "QUIT", "", l->terms.conf->timeout_quit);
	if (l->proof.tls != NULL)
		tlsclient_end(l->proof.tls);
	link_close(l);
}

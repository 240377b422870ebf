#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/clock.h"

enum { CODE_DIGITS = 3, REPLY_LINES = 200 };

void
client_say(struct client *c, const char *what, const char *why)
{
	c->code = 0;
	buf_reset(&c->text);
	buf_printf(&c->text, "%s: %s", what, why);
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
client_outcome(int code)
{
	return code >= 200 && code < 300 ? DONE : code >= 500 ? HARD : SOFT;
}

static const struct {
	const char *keyword;
	unsigned can;
} extensions[] = { { "PIPELINING", CAN_PIPELINING }, { "8BITMIME", CAN_8BITMIME },
	{ "SIZE", CAN_SIZE }, { "CHUNKING", CAN_CHUNKING }, { "BINARYMIME", CAN_BINARYMIME },
	{ "SMTPUTF8", CAN_SMTPUTF8 }, { "DSN", CAN_DSN }, { "DELIVERBY", CAN_DELIVERBY },
	{ "MT-PRIORITY", CAN_PRIORITY } };

/* The limit behind SIZE; 0, which is none, for an odd value. */
static int64_t
announced_size(struct span s)
{
	int64_t v = 0;
	for (size_t i = 0; i < s.n && v >= 0; i++) {
		bool digit = s.p[i] >= '0' && s.p[i] <= '9';
		v = digit && v < INT64_MAX / 10 - 10 ? v * 10 + (s.p[i] - '0') : -1;
	}
	return v > 0 ? v : 0;
}

/* Learns from a line of the reply to EHLO; unknown keywords and odd values mean nothing. */
static void
learn(struct client *c, struct span line)
{
	const char *blank = memchr(line.p, ' ', line.n);
	struct span word = blank != NULL ? span_from(line.p, blank) : line;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (!span_ieq(word, span_of(extensions[i].keyword)))
			continue;
		c->can |= extensions[i].can;
		if (extensions[i].can == CAN_SIZE)
			c->max_size = announced_size(span_skip(line,
				word.n + (blank != NULL)));
	}
}

int
client_reply(struct client *c, const char *to_what, int64_t seconds)
{
	int64_t deadline = clock_deadline(seconds);
	struct span line;
	c->code = 0;
	buf_reset(&c->text);
	for (int i = 0; i < REPLY_LINES; i++) {
		enum stream_result r = stream_line(&c->stream, LIMIT_REPLY_LINE, LIMIT_REPLY,
			deadline, &line);
		int code = r == STREAM_OK ? reply_code(line) : 0;
		if (code == 0 || (c->code != 0 && c->code != code)) {
			client_say(c, to_what, failure(r == STREAM_OK ? STREAM_BAD : r));
			return -EIO;
		}
		if (!c->introduced && i > 0 && client_outcome(code) == DONE && line.n > CODE_DIGITS)
			learn(c, span_skip(line, CODE_DIGITS + 1));
		c->code = code;
		c->idle = false;
		if (c->text.n < LIMIT_LOG_TEXT)
			buf_escape(&c->text, i > 0 ? span_skip(line, CODE_DIGITS) : line,
				LIMIT_LOG_TEXT);
		if (line.n == CODE_DIGITS || line.p[CODE_DIGITS] == ' ')
			return 0;
	}
	client_say(c, to_what, "endless reply");
	return -EIO;
}

void
client_put(struct client *c, struct span bytes, int64_t seconds)
{
	stream_put(&c->stream, bytes, clock_deadline(seconds));
}

int
client_ask(struct client *c, const char *command, const char *argument, int64_t seconds)
{
	client_put(c, span_of(command), seconds);
	client_put(c, span_of(argument), seconds);
	client_put(c, span_of("\r\n"), seconds);
	return client_reply(c, command, seconds);
}

static enum outcome
introduce(struct client *c)
{
	const struct conf *conf = c->conf;
	c->introduced = false;
	if (client_reply(c, "greeting", conf->timeout_greeting) < 0)
		return SOFT;
	if (client_outcome(c->code) != DONE)
		return SOFT; /* a bad greeting is a matter of this host: try the next one (R60) */
	c->can = 0;
	c->max_size = 0;
	bool lmtp = conf->protocol == PROTOCOL_LMTP; /* RFC 2033 section 4.1: LHLO, and nothing older */
	int r = client_ask(c, lmtp ? "LHLO " : "EHLO ", conf->hostname, conf->timeout_helo);
	c->introduced = true;
	if (r < 0)
		return SOFT;
	if (client_outcome(c->code) == HARD && !lmtp && client_ask(c, "HELO ", conf->hostname, conf->timeout_helo) < 0)
		return SOFT;
	return client_outcome(c->code) == DONE ? DONE : SOFT;
}

/* Closes; a host that talks hears QUIT first (section 4.1.1.10). Nobody needs its answer. */
static void
leave(struct client *c)
{
	if (c->code != 0) {
		client_put(c, span_of("QUIT\r\n"), c->conf->timeout_quit);
		(void)stream_flush(&c->stream, clock_deadline(c->conf->timeout_quit));
	}
	client_close(c);
}

enum outcome
client_begin(struct client *c, const struct conf *conf, int fd)
{
	int one = 1; /* groups are gathered here; the kernel need not wait for more */
	c->conf = conf;
	c->text.max = LIMIT_REPLY;
	c->fd = fd;
	c->since = clock_ms();
	c->idle = c->cut = false;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_init(&c->stream, fd, fd, true, NULL);
	enum outcome o = introduce(c);
	if (o != DONE)
		leave(c);
	return o;
}

bool
client_is_spoiled(const struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	return stream_pending(&c->stream) || poll(&p, 1, 0) != 0;
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
client_quit(struct client *c)
{
	if (c->fd < 0)
		return;
	(void)client_ask(c, "QUIT", "", c->conf->timeout_quit);
	client_close(c);
}

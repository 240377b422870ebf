#include "sending/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "sending/authclient.h"
#include "sending/tlsclient.h"

enum { CODE_DIGITS = 3, REPLY_LINES = 200, READY_FOR_TLS = 220, WHY_SIZE = 512 };

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
	{ "MT-PRIORITY", CAN_PRIORITY }, { "STARTTLS", CAN_STARTTLS },
	{ "REQUIRETLS", CAN_REQUIRETLS } };

/* A limit; 0, which is none, for an odd value. */
static int64_t
limit_of(struct span s)
{
	int64_t v = 0;
	for (size_t i = 0; i < s.n && v >= 0; i++) {
		bool digit = s.p[i] >= '0' && s.p[i] <= '9';
		v = digit && v < INT64_MAX / 10 - 10 ? v * 10 + (s.p[i] - '0') : -1;
	}
	return v > 0 ? v : 0;
}

/* "RCPTMAX=20 MAILMAX=5" (RFC 9422 section 3); what is not known is passed by. */
static void
learn_limits(struct client *c, struct span words)
{
	const struct {
		const char *name;
		int64_t *limit;
	} known[] = { { "MAILMAX", &c->limit.mails }, { "RCPTMAX", &c->limit.rcpts },
		{ "RCPTDOMAINMAX", &c->limit.domains } };
	for (struct span word; (word = span_word(&words, " ")).n > 0;) {
		struct span name = span_word(&word, "=");
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (span_ieq(name, span_of(known[i].name)))
				*known[i].limit = limit_of(span_word(&word, "="));
	}
}

/* Learns from a line of the reply to EHLO; unknown keywords and odd values mean nothing. */
static void
learn(struct client *c, struct span line)
{
	struct span word = span_word(&line, " ");
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (span_ieq(word, span_of(extensions[i].keyword)))
			c->can |= extensions[i].can;
	if (span_ieq(word, span_of("AUTH")))
		c->mechanisms = auth_learn(line);
	else if (span_ieq(word, span_of("LIMITS")))
		learn_limits(c, line);
	else if (span_ieq(word, span_of("SIZE")))
		c->limit.size = limit_of(span_trim(line));
	else if (span_ieq(word, span_of("DELIVERBY")))
		c->limit.by = limit_of(span_word(&line, " ,")); /* other options may follow */
}

/*
 * A host that writes each reply by itself waits for our acknowledgement of the first (Nagle), and we would wait
 * 40 ms before we send it. The system forgets this wish, so it is said before each wait.
 */
static void
hasten(const struct client *c)
{
	const int one = 1;
	if (!stream_pending(&c->stream))
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

int
client_reply(struct client *c, const char *to_what, int64_t seconds)
{
	int64_t deadline = clock_deadline(seconds);
	struct span line;
	c->code = 0;
	buf_reset(&c->text);
	hasten(c);
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

/* ---- the beginning ------------------------------------------------------------------------- */

/* EHLO, or HELO for who does not know it. What was announced before is forgotten (RFC 3207 section 4.2). */
static enum outcome
say_hello(struct client *c)
{
	const struct conf *conf = c->conf;
	c->introduced = false;
	c->can = c->mechanisms = 0;
	memset(&c->limit, 0, sizeof(c->limit));
	bool lmtp = conf->protocol == PROTOCOL_LMTP; /* RFC 2033 section 4.1: LHLO, and nothing older */
	int r = c->helo ? 0 : client_ask(c, lmtp ? "LHLO " : "EHLO ", conf->hostname, conf->timeout_helo);
	c->introduced = true;
	if (r < 0)
		return SOFT;
	c->helo = c->helo || (client_outcome(c->code) == HARD && !lmtp);
	if (c->helo && client_ask(c, "HELO ", conf->hostname, conf->timeout_helo) < 0)
		return SOFT;
	return client_outcome(c->code) == DONE ? DONE : SOFT;
}

static enum outcome
say_why(struct client *c, const char *what, const struct buf *why)
{
	client_say(c, what, "");
	buf_add(&c->text, buf_span(why));
	return SOFT;
}

/* Under the policy that asks for it. */
static enum outcome
check_certificate(struct client *c)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (c->policy != DELIVERY_TLS_VERIFY || tls_verify(c->tls, c->peer.host, &why) ||
		client_is_trusted(c))
		return DONE;
	return say_why(c, "certificate", &why);
}

static enum outcome
shake_hands(struct client *c)
{
	auto_buf why = buf_new(WHY_SIZE);
	struct tls_how how = { .lenient = c->policy == DELIVERY_TLS_MAY, .resume = !c->fresh };
	int r = tls_begin(c->tls_setup, c->fd, &c->peer, how, clock_deadline(c->conf->timeout_tls),
		&c->tls, &why);
	if (r < 0) {
		c->again = r == -EAGAIN ? AGAIN_FRESH
			: c->policy == DELIVERY_TLS_MAY && !c->implicit ? AGAIN_CLEAR : AGAIN_NOT;
		return say_why(c, "TLS", &why);
	}
	c->stream.below = &tls_transport;
	c->stream.context = c->tls;
	return check_certificate(c);
}

/* The host said something in clear that belongs to nothing we asked. */
static enum outcome
say_injected(struct client *c)
{
	c->again = AGAIN_NOT;
	client_say(c, "STARTTLS", "the host said more than its reply in clear");
	return SOFT;
}

/*
 * The host offers it. What it says in clear before it is asked, or behind its consent, would be taken for
 * replies inside TLS (NO STARTTLS, 2021): then it is not the host, or not one to trust with mail.
 */
static enum outcome
start_tls(struct client *c)
{
	if (stream_pending(&c->stream))
		return say_injected(c);
	c->again = c->policy == DELIVERY_TLS_MAY ? AGAIN_CLEAR : AGAIN_NOT;
	if (client_ask(c, "STARTTLS", "", c->conf->timeout_helo) < 0 || c->code != READY_FOR_TLS)
		return SOFT;
	if (stream_pending(&c->stream))
		return say_injected(c);
	c->again = AGAIN_NOT;
	enum outcome o = shake_hands(c);
	return o == DONE ? say_hello(c) : o;
}

/* TLS as the policy wants it, if it has not begun already. */
static enum outcome
protect(struct client *c)
{
	if (c->tls != NULL || c->policy == DELIVERY_TLS_NONE)
		return DONE;
	if (client_can(c, CAN_STARTTLS))
		return start_tls(c);
	if (c->policy == DELIVERY_TLS_MAY)
		return DONE;
	client_say(c, "STARTTLS", "the host does not offer it");
	return SOFT;
}

static enum outcome
introduce(struct client *c)
{
	enum outcome o = c->implicit ? shake_hands(c) : DONE;
	c->introduced = false;
	if (o != DONE || client_reply(c, "greeting", c->conf->timeout_greeting) < 0)
		return SOFT;
	if (client_outcome(c->code) != DONE)
		return SOFT; /* a bad greeting is a matter of this host: try the next one (R60) */
	o = say_hello(c);
	if (o == DONE)
		o = protect(c);
	if (o == DONE && c->credentials != NULL) {
		o = auth_say(c);
		c->refused = o != DONE;
	}
	return o;
}

/* Closes; a host that talks hears QUIT first (section 4.1.1.10). Nobody needs its answer. */
static void
leave(struct client *c)
{
	if (c->code != 0) {
		client_put(c, span_of("QUIT\r\n"), c->conf->timeout_quit);
		(void)stream_flush(&c->stream, clock_deadline(c->conf->timeout_quit));
	}
	if (c->code != 0 && c->tls != NULL)
		tls_end(c->tls);
	client_close(c);
}

enum outcome
client_begin(struct client *c, const struct conf *conf, int fd)
{
	int one = 1; /* groups are gathered here; the kernel need not wait for more */
	c->conf = conf;
	c->text.max = LIMIT_REPLY;
	c->fd = fd;
	c->idle = c->cut = c->full = c->refused = false;
	c->delivered = c->begun = 0;
	c->again = AGAIN_NOT;
	c->proved = NULL;
	c->trust = TRUST_UNKNOWN;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_init(&c->stream, fd, fd, true, NULL);
	enum outcome o = introduce(c);
	if (o != DONE)
		leave(c);
	return o;
}

bool
client_is_trusted(struct client *c)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (c->tls == NULL || c->target[0] == '\0')
		return false;
	if (c->trust == TRUST_UNKNOWN)
		c->trust = tls_verify(c->tls, c->target, &why) ? TRUSTED : NOT_TRUSTED;
	return c->trust == TRUSTED;
}

void
client_describe(const struct client *c, struct buf *out)
{
	bool verified = c->policy == DELIVERY_TLS_VERIFY || c->trust == TRUSTED;
	if (c->tls != NULL)
		tls_describe(c->tls, out);
	buf_puts(out, c->tls == NULL ? "in clear" : verified ? ", verified" : ", not verified");
	if (c->proved != NULL)
		buf_printf(out, ", authenticated by %s", c->proved);
}

bool
client_is_spoiled(const struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	return stream_pending(&c->stream) ||
		(c->tls != NULL ? tls_has_news(c->tls) : poll(&p, 1, 0) != 0);
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	tls_free(c->tls);
	c->tls = NULL;
	c->stream.below = NULL;
	c->stream.broken = true; /* what is still put goes nowhere */
}

void
client_quit(struct client *c)
{
	if (c->fd < 0)
		return;
	(void)client_ask(c, "QUIT", "", c->conf->timeout_quit);
	if (c->tls != NULL)
		tls_end(c->tls);
	client_close(c);
}

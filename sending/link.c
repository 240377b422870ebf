#include "sending/link.h"

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
learn_limits(struct link *l, struct span words)
{
	const struct {
		const char *name;
		int64_t *limit;
	} known[] = { { "MAILMAX", &l->host.limit.mails }, { "RCPTMAX", &l->host.limit.rcpts },
		{ "RCPTDOMAINMAX", &l->host.limit.domains } };
	for (struct span word; (word = span_word(&words, " ")).n > 0;) {
		struct span name = span_word(&word, "=");
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (span_ieq(name, span_of(known[i].name)))
				*known[i].limit = limit_of(span_word(&word, "="));
	}
}

/* Learns from a line of the reply to EHLO; unknown keywords and odd values mean nothing. */
static void
learn(struct link *l, struct span line)
{
	struct span word = span_word(&line, " ");
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (span_ieq(word, span_of(extensions[i].keyword)))
			l->host.can |= extensions[i].can;
	if (span_ieq(word, span_of("AUTH")))
		l->host.mechanisms = auth_learn(line);
	else if (span_ieq(word, span_of("LIMITS")))
		learn_limits(l, line);
	else if (span_ieq(word, span_of("SIZE")))
		l->host.limit.size = limit_of(span_trim(line));
	else if (span_ieq(word, span_of("DELIVERBY")))
		l->host.limit.by = limit_of(span_word(&line, " ,")); /* other options may follow */
}

/*
 * A host that writes each reply by itself waits for our acknowledgement of the first (Nagle), and we would wait
 * 40 ms before we send it. The system forgets this wish, so it is said before each wait.
 */
static void
hasten(const struct link *l)
{
	const int one = 1;
	if (!stream_pending(&l->stream))
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

int
link_reply(struct link *l, const char *to_what, int64_t seconds)
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
		if (!l->host.introduced && i > 0 && link_outcome(code) == DONE && line.n > CODE_DIGITS)
			learn(l, span_skip(line, CODE_DIGITS + 1));
		l->code = code;
		l->idle = false;
		if (l->text.n < LIMIT_LOG_TEXT)
			buf_escape(&l->text, i > 0 ? span_skip(line, CODE_DIGITS) : line,
				LIMIT_LOG_TEXT);
		if (line.n == CODE_DIGITS || line.p[CODE_DIGITS] == ' ')
			return 0;
	}
	link_say(l, to_what, "endless reply");
	return -EIO;
}

void
link_put(struct link *l, struct span bytes, int64_t seconds)
{
	stream_put(&l->stream, bytes, clock_deadline(seconds));
}

int
link_ask(struct link *l, const char *command, const char *argument, int64_t seconds)
{
	link_put(l, span_of(command), seconds);
	link_put(l, span_of(argument), seconds);
	link_put(l, span_of("\r\n"), seconds);
	return link_reply(l, command, seconds);
}

/* ---- the beginning ------------------------------------------------------------------------- */

/* EHLO, or HELO for who does not know it. What was announced before is forgotten (RFC 3207 section 4.2). */
static enum outcome
say_hello(struct link *l)
{
	const struct conf *conf = l->terms.conf;
	l->host = (struct link_host){ .helo = l->terms.helo };
	bool lmtp = conf->protocol == PROTOCOL_LMTP; /* RFC 2033 section 4.1: LHLO, and nothing older */
	int r = l->host.helo ? 0 : link_ask(l, lmtp ? "LHLO " : "EHLO ", conf->hostname, conf->timeout_helo);
	l->host.introduced = true;
	if (r < 0)
		return SOFT;
	l->host.helo = l->host.helo || (link_outcome(l->code) == HARD && !lmtp);
	if (l->host.helo && link_ask(l, "HELO ", conf->hostname, conf->timeout_helo) < 0)
		return SOFT;
	return link_outcome(l->code) == DONE ? DONE : SOFT;
}

static enum outcome
say_why(struct link *l, const char *what, const struct buf *why)
{
	link_say(l, what, "");
	buf_add(&l->text, buf_span(why));
	return SOFT;
}

/* Under the policy that asks for it. */
static enum outcome
check_certificate(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (l->terms.policy != DELIVERY_TLS_VERIFY || tls_verify(l->proof.tls, l->terms.peer.host, &why) ||
		link_is_trusted(l))
		return DONE;
	return say_why(l, "certificate", &why);
}

static enum outcome
shake_hands(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	struct tls_how how = { .lenient = l->terms.policy == DELIVERY_TLS_MAY, .resume = !l->terms.fresh };
	int r = tls_begin(l->terms.tls_setup, l->fd, &l->terms.peer, how, clock_deadline(l->terms.conf->timeout_tls),
		&l->proof.tls, &why);
	if (r < 0) {
		l->proof.again = r == -EAGAIN ? AGAIN_FRESH
			: l->terms.policy == DELIVERY_TLS_MAY && !l->terms.implicit ? AGAIN_CLEAR : AGAIN_NOT;
		return say_why(l, "TLS", &why);
	}
	l->stream.below = &tls_transport;
	l->stream.context = l->proof.tls;
	return check_certificate(l);
}

/* The host said something in clear that belongs to nothing we asked. */
static enum outcome
say_injected(struct link *l)
{
	l->proof.again = AGAIN_NOT;
	link_say(l, "STARTTLS", "the host said more than its reply in clear");
	return SOFT;
}

/*
 * The host offers it. What it says in clear before it is asked, or behind its consent, would be taken for
 * replies inside TLS (NO STARTTLS, 2021): then it is not the host, or not one to trust with mail.
 */
static enum outcome
start_tls(struct link *l)
{
	if (stream_pending(&l->stream))
		return say_injected(l);
	l->proof.again = l->terms.policy == DELIVERY_TLS_MAY ? AGAIN_CLEAR : AGAIN_NOT;
	if (link_ask(l, "STARTTLS", "", l->terms.conf->timeout_helo) < 0 || l->code != READY_FOR_TLS)
		return SOFT;
	if (stream_pending(&l->stream))
		return say_injected(l);
	l->proof.again = AGAIN_NOT;
	enum outcome o = shake_hands(l);
	return o == DONE ? say_hello(l) : o;
}

/* TLS as the policy wants it, if it has not begun already. */
static enum outcome
protect(struct link *l)
{
	if (l->proof.tls != NULL || l->terms.policy == DELIVERY_TLS_NONE)
		return DONE;
	if (link_can(l, CAN_STARTTLS))
		return start_tls(l);
	if (l->terms.policy == DELIVERY_TLS_MAY)
		return DONE;
	link_say(l, "STARTTLS", "the host does not offer it");
	return SOFT;
}

static enum outcome
introduce(struct link *l)
{
	enum outcome o = l->terms.implicit ? shake_hands(l) : DONE;
	l->host.introduced = false;
	if (o != DONE || link_reply(l, "greeting", l->terms.conf->timeout_greeting) < 0)
		return SOFT;
	if (link_outcome(l->code) != DONE)
		return SOFT; /* a bad greeting is a matter of this host: try the next one (R60) */
	o = say_hello(l);
	if (o == DONE)
		o = protect(l);
	if (o == DONE && l->terms.login != NULL) {
		o = auth_say(l);
		l->proof.refused = o != DONE;
	}
	return o;
}

/* Closes; a host that talks hears QUIT first (section 4.1.1.10). Nobody needs its answer. */
static void
leave(struct link *l)
{
	if (l->code != 0) {
		link_put(l, span_of("QUIT\r\n"), l->terms.conf->timeout_quit);
		(void)stream_flush(&l->stream, clock_deadline(l->terms.conf->timeout_quit));
	}
	if (l->code != 0 && l->proof.tls != NULL)
		tls_end(l->proof.tls);
	link_close(l);
}

enum outcome
link_begin(struct link *l, int fd)
{
	int one = 1; /* groups are gathered here; the kernel need not wait for more */
	l->fd = fd;
	l->text.max = LIMIT_REPLY;
	l->idle = false;
	l->host = (struct link_host){ 0 };
	l->proof = (struct link_proof){ 0 };
	l->flow = (struct link_flow){ 0 };
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_init(&l->stream, fd, fd, true, NULL);
	enum outcome o = introduce(l);
	if (o != DONE)
		leave(l);
	return o;
}

bool
link_is_trusted(struct link *l)
{
	auto_buf why = buf_new(WHY_SIZE);
	if (l->proof.tls == NULL || l->terms.target[0] == '\0')
		return false;
	if (l->proof.trust == TRUST_UNKNOWN)
		l->proof.trust = tls_verify(l->proof.tls, l->terms.target, &why) ? TRUSTED : NOT_TRUSTED;
	return l->proof.trust == TRUSTED;
}

void
link_describe(const struct link *l, struct buf *out)
{
	bool verified = l->terms.policy == DELIVERY_TLS_VERIFY || l->proof.trust == TRUSTED;
	if (l->proof.tls != NULL)
		tls_describe(l->proof.tls, out);
	buf_puts(out, l->proof.tls == NULL ? "in clear" : verified ? ", verified" : ", not verified");
	if (l->proof.mechanism != NULL)
		buf_printf(out, ", authenticated by %s", l->proof.mechanism);
}

bool
link_is_spoiled(const struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	return stream_pending(&l->stream) ||
		(l->proof.tls != NULL ? tls_has_news(l->proof.tls) : poll(&p, 1, 0) != 0);
}

void
link_wake(struct link *l)
{
	if (link_is_spoiled(l))
		link_close(l);
	l->idle = true;
}

void
link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	tls_free(l->proof.tls);
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
		tls_end(l->proof.tls);
	link_close(l);
}
